"""A real server on loopback that answers for a key set as badly as it is told to."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LONGEST_ANSWER_SECONDS = 10.0
# No test waits that long, unless it has failed.
LONGEST_HELD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; header names in lower case."""

    target: str
    headers: dict[str, str]


Answer = Callable[[socket.socket, Received], None]


@dataclass
class MisbehavingJwks:
    """What the server answers, and what it was asked; both may be looked at and changed while it runs."""

    port: int
    scheme: str
    answer: Answer
    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    @property
    def hits(self) -> int:
        """Return how many requests came in."""
        return len(self.requests)

    def url(self, host: str = "127.0.0.1", path: str = "/jwks.json") -> str:
        """Return a URL of the server under a host name."""
        return f"{self.scheme}://{host}:{self.port}{path}"


@contextmanager
def misbehaving_jwks(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[MisbehavingJwks]:
    """Serve on a free port of 127.0.0.1, over TLS when a server context is given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if tls is None else "https"
        server = MisbehavingJwks(listener.getsockname()[1], scheme, answer)
        acceptor = threading.Thread(target=_accept, args=(listener, server, tls), daemon=True)
        acceptor.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(LONGEST_ANSWER_SECONDS)


def _accept(listener: socket.socket, server: MisbehavingJwks, tls: ssl.SSLContext | None) -> None:
    workers = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        server.connections += 1
        workers.append(threading.Thread(target=_serve, args=(connection, server, tls), daemon=True))
        workers[-1].start()
    for worker in workers:
        worker.join(LONGEST_ANSWER_SECONDS)


def _serve(connection: socket.socket, server: MisbehavingJwks, tls: ssl.SSLContext | None) -> None:
    with connection, suppress(OSError):
        connection.settimeout(LONGEST_ANSWER_SECONDS)
        if tls is None:
            _converse(connection, server)
            return
        with tls.wrap_socket(connection, server_side=True) as secured:
            _converse(secured, server)


def _converse(connection: socket.socket, server: MisbehavingJwks) -> None:
    received = _receive(connection)
    server.requests.append(received)
    server.answer(connection, received)


def _receive(connection: socket.socket) -> Received:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        read = connection.recv(4096)
        if not read:
            raise ConnectionError
        if (head + read).startswith(b"\x16"):
            connection.sendall(b"HTTP/1.1 400 TLS is not spoken here\r\n\r\n")
            raise ConnectionError
        head += read
    first, *lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Received(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs})


def reply(body: bytes = b"", status: int = 200, *, content_type: str = "application/json", **headers: str) -> Answer:
    """Answer honestly; header names are given with underscores, and `Content_Length` may lie."""
    named = {"Content-Length": str(len(body)), "Content-Type": content_type}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in named.items())]
    return raw("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)


def raw(text: bytes) -> Answer:
    """Answer with exactly these bytes."""
    return lambda connection, _received: connection.sendall(text)


def drip(start: bytes, endless: bytes, pause: float = 0.05) -> Answer:
    """Send something, then a little more every now and then."""

    def answer(connection: socket.socket, _received: Received) -> None:
        connection.sendall(start)
        end = time.monotonic() + LONGEST_ANSWER_SECONDS
        while time.monotonic() < end:
            time.sleep(pause)
            connection.sendall(endless)

    return answer


def hang() -> Answer:
    """Take the request and say nothing until the client gives up."""
    return lambda connection, _received: (connection.recv(1), None)[1]


def after(seconds: float, then: Answer) -> Answer:
    """Answer late."""

    def answer(connection: socket.socket, received: Received) -> None:
        time.sleep(seconds)
        then(connection, received)

    return answer


def once(event: threading.Event, then: Answer) -> Answer:
    """Answer once an event has happened."""

    def answer(connection: socket.socket, received: Received) -> None:
        if event.wait(LONGEST_HELD_SECONDS):
            then(connection, received)

    return answer


def endless_chunks(chunk: bytes = b"a" * 4096) -> Answer:
    """Answer in chunks without a last one."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return drip(head, b"%x\r\n%s\r\n" % (len(chunk), chunk), pause=0)
