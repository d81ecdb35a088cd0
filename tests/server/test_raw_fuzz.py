"""Bytes that are no HTTP, or hardly, from raw sockets: the server answers or hangs up, and nothing is created."""

import contextlib
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.support.servers import Running, count_sockets, running_changegate, wait_until
from tests.support.slow_clients import ADMIN, FORM, JSON, head, target_of

SEED = 20
# Over plain connections, and as many over TLS.
REQUESTS = 200
TIMEOUT_SECONDS = 0.1
CHANGES = "/api/now/table/change_request"
RESET = struct.pack("ii", 1, 0)
Bytes = Callable[[random.Random], bytes]
PAUSING = 24
LONGEST_SECONDS = 3.0
PAUSE_SECONDS = 0.2
HURRIED = f"""
from changegate.server import connections, waits
waits.SECONDS = waits.HEAD_SECONDS = connections.SILENT_SECONDS = {LONGEST_SECONDS}
waits.BYTES_PER_SECOND = 2**30
connections.SECONDS_BETWEEN_CONNECTION_LOOKS = 0.2
"""


def half_a_body(chance: random.Random) -> bytes:
    return record("Content-Length: 100") + b'{"short_description": "' + b"a" * chance.randrange(70)


def half_a_form(chance: random.Random) -> bytes:
    form = b"grant_type=client_credentials&client_id=a&client_secret=b"
    return head("POST", "/oauth/token", FORM, f"Content-Length: {len(form) + chance.randrange(1, 99)}") + form


def half_a_head(chance: random.Random) -> bytes:
    whole = record("Content-Length: 2")
    return whole[: chance.randrange(len(whole) - 1)]


def bad_chunks(chance: random.Random) -> bytes:
    size = chance.choice([b"-2", b"0x2", b"ZZ", b"2;", b"99999999999999999999", b"", b"2 2", b"\xff", b"3"])
    return record("Transfer-Encoding: chunked") + size + b"\r\n{}\r\n" + chance.choice([b"", b"0", b"0\r\n", b"1\r\n"])


def bad_lengths(chance: random.Random) -> bytes:
    lengths = [chance.choice(["-1", "+2", "2, 2", "0x2", "1e1", "", " ", "9" * 30, "3"]) for _ in range(2)]
    return record(*(f"Content-Length: {length}" for length in lengths)) + b"{}"


def doubled_hosts(chance: random.Random) -> bytes:
    return record(f"Host: {chance.choice(['localhost', 'evil', '', 'a b'])}", "Content-Length: 2") + b"{}"


def no_host(chance: random.Random) -> bytes:
    sent = record("Content-Length: 2") + b"{}"
    return sent.replace(b"Host: localhost\r\n", chance.choice([b"", b"Host:\r\n"]))


def two_framings(chance: random.Random) -> bytes:
    framings = ["Content-Length: 2", f"Transfer-Encoding: {chance.choice(['chunked', 'identity', ' chunked', 'x'])}"]
    chance.shuffle(framings)
    return record(*framings) + chance.choice([b"{}", b"2\r\n{}\r\n"])


def bare_line_feeds(chance: random.Random) -> bytes:
    sent = record("Content-Length: 9") + b"{}"
    return sent.replace(b"\r\n", b"\n", chance.randrange(1, 9))


def mutated(chance: random.Random) -> bytes:
    sent = bytearray(record("Content-Length: 9") + b"{}")
    for _ in range(chance.randrange(1, 6)):
        # Past the name of the method, so that the request stays one that would create.
        sent[chance.randrange(5, len(sent))] = chance.randrange(256)
    return bytes(sent)


KINDS: tuple[Bytes, ...] = (
    *(half_a_body, half_a_form, half_a_head, bad_chunks, bad_lengths),
    *(doubled_hosts, no_host, two_framings, bare_line_feeds, mutated),
)


def record(*headers: str) -> bytes:
    """Return the head of a request of an administrator that creates a change."""
    return head("POST", CHANGES, JSON, ADMIN, *headers)


SHORT, LARGE = b'{"short_description": "Deploy"}', b"{" + b" " * 100_000 + b"}"
# Heads and bodies of requests that create: with a length, in chunks, and too large to be kept in memory.
WHOLE = (
    (record(f"Content-Length: {len(SHORT)}"), SHORT),
    (record("Transfer-Encoding: chunked"), b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    (record(f"Content-Length: {len(LARGE)}"), LARGE),
)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "TLS"])
def server(request: pytest.FixtureRequest, new_instance: NewInstance) -> Iterator[Running]:
    with running_changegate(new_instance(), tls=request.param, patches=HURRIED, ratelimit_enabled="0") as running:
        yield running


def exchange(connection: socket.socket, sent: bytes, chance: random.Random) -> bytes:
    """Send bytes and end in one of four ways; return what was answered within a moment."""
    ending = chance.choice(["half-close", "reset", "stay", "close"])
    with connection, contextlib.suppress(OSError):
        connection.settimeout(TIMEOUT_SECONDS)
        cut = chance.randrange(len(sent) + 1)
        connection.sendall(sent[:cut])
        connection.sendall(sent[cut:])
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif ending != "close":
            if ending == "half-close":
                # Past TLS, whose socket would decrypt nothing more.
                socket.socket.shutdown(connection, socket.SHUT_WR)
            return connection.recv(65536)
    return b""


def count_changes(server: Running) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(server.instance / "tls" / "ca.pem")
        answer = session.get(
            server.url + CHANGES, auth=("admin", ADMIN_PASSWORD), params={"sysparm_limit": 1}, timeout=9
        )
    assert answer.status_code == 200
    return int(answer.headers["X-Total-Count"])


def read_all(connection: socket.socket) -> bytes:
    """Return what a connection still gives, up to its end; raises `TimeoutError` if that does not come."""
    data = bytearray()
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while piece := connection.recv(65536):
            data += piece
    return bytes(data)


def assert_ends_with(server: Running, sockets: int) -> None:
    """Assert that a server comes to have no more sockets than it had before."""
    wait_until(lambda: count_sockets(server) <= sockets)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_incomplete_request_creates_nothing_and_is_not_an_error(server: Running, kind: Bytes) -> None:
    chance = random.Random(f"{SEED} {kind.__name__} {server.url[:5]}")
    target = target_of(server)
    before, sockets = count_changes(server), count_sockets(server)
    for _ in range(REQUESTS // len(KINDS)):
        sent = kind(chance)
        answered = exchange(target.connect(), sent, chance)
        assert not answered.startswith((b"HTTP/1.1 5", b"HTTP/1.1 2")), sent
    assert count_changes(server) == before
    assert_ends_with(server, sockets)
    assert server.process.poll() is None


def test_bytes_below_tls_are_no_fault(server: Running) -> None:
    """Half a handshake, HTTP where TLS is expected, and records that are not encrypted."""
    chance = random.Random(f"{SEED} below")
    before, sockets = count_changes(server), count_sockets(server)
    target = target_of(server)
    for _ in range(REQUESTS // len(KINDS)):
        begun = chance.choice([b"\x16\x03\x01\x02\x00\x01", b"\x17\x03\x03\x00\x20", head("GET", "/healthz")[:-2], b""])
        connection = chance.choice([target, replace(target, tls=None)]).connect()
        # Past TLS: what is sent comes as it is.
        raw = socket.socket(fileno=connection.detach())
        assert not exchange(raw, begun + chance.randbytes(40), chance).startswith((b"HTTP/1.1 5", b"HTTP/1.1 2"))
    assert count_changes(server) == before
    assert_ends_with(server, sockets)


def test_a_sender_that_pauses_is_waited_for_but_not_for_long(server: Running) -> None:
    """Before a request, within its head and within its body: half of the senders go on in time."""
    chance = random.Random(f"{SEED} pauses")
    before, sockets = count_changes(server), count_sockets(server)
    target = target_of(server)
    late, timely = [], PAUSING // 2
    with ExitStack() as opened:
        for number in range(PAUSING):
            begun, body = chance.choice(WHOLE)
            whole = begun + body
            cut = (0, chance.randrange(1, len(begun)), chance.randrange(len(begun), len(whole)))[number % 3]
            connection = opened.enter_context(target.connect())
            connection.sendall(whole[:cut])
            if number < PAUSING - timely:
                late.append((connection, whole[cut:]))
                continue
            # One after the other, so that none is late because the machine is busy with the next.
            time.sleep(PAUSE_SECONDS)
            connection.sendall(whole[cut:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        for connection, rest in late:
            connection.settimeout(20 * LONGEST_SECONDS)
            answered = read_all(connection)
            assert not answered or answered.startswith(b"HTTP/1.1 408"), answered
            with contextlib.suppress(OSError):
                connection.sendall(rest)
    assert count_changes(server) == before + timely
    assert_ends_with(server, sockets)


def test_a_well_formed_request_on_the_same_sockets_creates(server: Running) -> None:
    before = count_changes(server)
    with target_of(server).connect() as connection:
        connection.sendall(record("Content-Length: 2") + b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        # The connection serves the next request too.
        connection.sendall(record("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
    assert count_changes(server) == before + 2


def test_nothing_was_logged(server: Running) -> None:
    """Runs last: no request caused an internal error."""
    server.process.terminate()
    assert server.process.stdout is not None
    said = server.process.stdout.read()
    assert "Traceback" not in said
    assert "ERROR" not in said
