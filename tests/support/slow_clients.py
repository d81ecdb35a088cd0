"""Clients that keep a server waiting: half a body, one byte a second, an answer that is not read, half a handshake."""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.conftest import ADMIN_PASSWORD
from tests.support.servers import Running

ADMIN = "Authorization: Basic " + base64.b64encode(f"admin:{ADMIN_PASSWORD}".encode()).decode()
SECONDS_BETWEEN_BYTES = 1.0
# As little as the system gives: what a client does not read stays with the server.
LITTLE_ROOM = 4096
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
UNFINISHED_FORMS = (
    ("POST", "/oauth/token", FORM, "Content-Length: 1000"),
    ("POST", "/oauth_token.do", FORM, "Transfer-Encoding: chunked"),
    ("POST", "/login", FORM, "Content-Length: 60000"),
)
UNFINISHED = (
    *UNFINISHED_FORMS,
    ("POST", "/api/now/table/change_request", JSON, ADMIN, "Content-Length: 1000"),
    ("PATCH", "/api/now/table/change_request/1", JSON, ADMIN, "Content-Length: 200000"),
    ("PUT", "/nowhere", "Content-Length: 1000"),
    ("GET", "/healthz", "Content-Length: 1000"),
    ("DELETE", "/healthz", "Content-Length: 1000"),
    (
        "POST",
        "/api/now/attachment/upload",
        "Content-Type: multipart/form-data; boundary=x",
        ADMIN,
        "Content-Length: 9999",
    ),
    ("POST", "/api/now/v1/batch", JSON, "Content-Length: 1000"),
)


@dataclass(frozen=True)
class Target:
    """Where a server listens, and the context by which its clients speak TLS."""

    port: int
    tls: ssl.SSLContext | None = None

    def connect(self, *, room: int | None = None, source: str | None = None) -> socket.socket:
        """Return a connection, with TLS where the server speaks it."""
        raw = socket.socket()
        if source:
            raw.bind((source, 0))
        if room:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", self.port))
        return self.tls.wrap_socket(raw, server_hostname="localhost") if self.tls else raw


def target_of(server: Running) -> Target:
    """Return where a server listens."""
    port = int(server.url.rpartition(":")[2])
    if not server.url.startswith("https"):
        return Target(port)
    return Target(port, ssl.create_default_context(cafile=str(server.instance / "tls" / "ca.pem")))


def head(method: str, path: str, *headers: str) -> bytes:
    """Return the head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


@contextlib.contextmanager
def slow_clients(target: Target, count: int, download: str) -> Iterator[Sequence[socket.socket]]:
    """Keep `count` connections open for as long as the block takes, a quarter of them in each of four ways."""
    with ExitStack() as opened, _trickling() as trickling:
        connections = []
        for number in range(count):
            kind, request = number % 4, UNFINISHED[number // 4 % len(UNFINISHED)]
            if kind == 3:
                connection = socket.create_connection(("127.0.0.1", target.port))
                if not target.tls:
                    connection.sendall(b"GET /healthz HT")
            else:
                connection = target.connect(room=LITTLE_ROOM if kind == 2 else None)
                connection.sendall(head("GET", download, ADMIN) if kind == 2 else head(*request) + b"{")
            if kind == 1:
                trickling.append(connection)
            connections.append(opened.enter_context(connection))
        yield connections


@contextlib.contextmanager
def _trickling() -> Iterator[list[socket.socket]]:
    """Give a list: each connection in it sends one byte a second, for as long as the server lets it."""
    connections: list[socket.socket] = []
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(SECONDS_BETWEEN_BYTES):
            for connection in [*connections]:
                with contextlib.suppress(OSError):
                    connection.sendall(b"a")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield connections
    finally:
        is_over.set()
        sender.join()
