"""Bytes that are no HTTP, or hardly, from raw sockets: the server answers or hangs up, and nothing is created."""

import contextlib
import random
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.servers import Running, running_changegate
from tests.support.slow_clients import ADMIN, FORM, JSON, Target, head

SEED = 20
REQUESTS = 400
TIMEOUT_SECONDS = 0.1
CHANGES = "/api/now/table/change_request"
RESET = struct.pack("ii", 1, 0)
Bytes = Callable[[random.Random], bytes]


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with running_changegate(folder / "instance", admin_password=ADMIN_PASSWORD, ratelimit_enabled="0") as running:
        yield running


def exchange(target: Target, sent: bytes, chance: random.Random) -> bytes:
    """Send bytes in one of four ways; return what was answered within a moment."""
    ending = chance.choice(["half-close", "reset", "slow", "close"])
    with target.connect() as connection, contextlib.suppress(OSError):
        connection.settimeout(TIMEOUT_SECONDS)
        cut = chance.randrange(len(sent) + 1) if ending == "slow" else len(sent)
        connection.sendall(sent[:cut])
        connection.sendall(sent[cut:])
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif ending != "close":
            if ending == "half-close":
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(65536)
    return b""


def count_changes(server: Running) -> int:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            server.url + CHANGES, auth=("admin", ADMIN_PASSWORD), params={"sysparm_limit": 1}, timeout=9
        )
    assert answer.status_code == 200
    return int(answer.headers["X-Total-Count"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_not_whole_creates_nothing_and_is_no_fault(server: Running, kind: Bytes) -> None:
    chance = random.Random(f"{SEED} {kind.__name__}")
    target = Target(int(server.url.rpartition(":")[2]))
    before = count_changes(server)
    for _ in range(REQUESTS // len(KINDS)):
        sent = kind(chance)
        answered = exchange(target, sent, chance)
        assert not answered.startswith(b"HTTP/1.1 5"), sent
        assert not answered.startswith(b"HTTP/1.1 2"), sent
    assert count_changes(server) == before
    assert server.process.poll() is None


def test_a_well_formed_request_on_the_same_sockets_creates(server: Running) -> None:
    before = count_changes(server)
    target = Target(int(server.url.rpartition(":")[2]))
    with target.connect() as connection:
        connection.sendall(record("Content-Length: 2") + b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        # The connection serves the next request too.
        connection.sendall(record("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")
    assert count_changes(server) == before + 2


def test_nothing_was_logged(server: Running) -> None:
    """Runs last: what was sent is nobody's fault but its sender's."""
    server.process.terminate()
    assert server.process.stdout is not None
    said = server.process.stdout.read()
    assert "Traceback" not in said
    assert "ERROR" not in said
