"""The front between Granian and the app: bodies, answers, and what is given up while they wait."""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import time
from asyncio import ensure_future, sleep
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from changegate.server import Front, bodies, connections, waits
from changegate.server.bodies import MOST_DRAINED_BYTES, SHORT_BODY_BYTES
from changegate.unproxied import current_request
from tests.support.asgi_client import TIMEOUT_SECONDS, Client, ask, ask_at_once, finish, pieces_of, scope_of
from tests.support.change_rows import count_changes
from tests.support.id_token_desk import ONCE, register_id_token
from tests.support.postponing import CHECKS, Runner, WsgiApp
from tests.support.token_desk import token_desk

CHANGES = "/api/now/table/change_request"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
LARGE = b"{" + b" " * SHORT_BODY_BYTES + b"}"


@pytest.fixture
def server(app: Flask) -> Front:
    return Front(app, 2)


@pytest.fixture
def basic_header(admin: dict[str, str]) -> tuple[str, str]:
    return ("Authorization", admin["Authorization"])


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Keep which connections were cut; there are none."""
    kept: list[tuple[str, int]] = []
    monkeypatch.setattr(connections.Cutter, "cut", lambda _, address, port: kept.append((address, port)))
    return kept


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "SECONDS", 0.3)
    monkeypatch.setattr(waits, "SECONDS_UNCOUNTED", 0.0)
    monkeypatch.setattr(waits, "SECONDS_BETWEEN_LOOKS", 0.05)


def length_of(body: bytes) -> tuple[str, str]:
    return ("Content-Length", str(len(body)))


def create(server: Front, basic_header: tuple[str, str], body: bytes, **changes: Any) -> Client:
    scope = scope_of("POST", CHANGES, [JSON, basic_header, length_of(body)], **changes)
    return ask(server, scope, *pieces_of(body[:7], b"", body[7:]))


@pytest.mark.parametrize("body", [b'{"short_description": "Deploy"}', LARGE])
def test_a_body_reaches_the_app_whole(either_app: Flask, basic_header: tuple[str, str], body: bytes) -> None:
    answered = create(Front(either_app, 2), basic_header, body)
    assert (answered.status, answered.header("connection"), answered.is_whole) == (201, None, True)
    assert count_changes(either_app) == 1


CHUNKED = ("Transfer-Encoding", "chunked")
BROKEN = {
    "nothing came": ([("Content-Length", "100")], pieces_of(ends=False)),
    "it ended early": ([("Content-Length", "100")], pieces_of(b"{}")),
    "it was cut off": ([("Content-Length", "100")], pieces_of(b"{}", ends=False)),
    "a long one was cut off": ([("Content-Length", str(len(LARGE)))], pieces_of(LARGE[:-1], ends=False)),
    "a long one ended early": ([("Content-Length", str(len(LARGE)))], pieces_of(LARGE[:-1])),
    "a chunk was broken": ([CHUNKED], pieces_of(b"{}", ends=False)),
    "no chunk came": ([CHUNKED], pieces_of(ends=False)),
}


@pytest.mark.parametrize("how", BROKEN)
def test_half_a_body_creates_nothing(either_app: Flask, basic_header: tuple[str, str], how: str) -> None:
    headers, messages = BROKEN[how]
    answered = ask(Front(either_app, 2), scope_of("POST", CHANGES, [JSON, basic_header, *headers]), *messages)
    assert (answered.status, answered.header("connection")) == (400, "close")
    assert count_changes(either_app) == 0


def test_half_a_form_is_exchanged_for_no_token(server: Front) -> None:
    scope = scope_of("POST", "/oauth/token", [FORM, CHUNKED])
    answered = ask(server, scope, *pieces_of(b"grant_type=client_credentials&client_id=a", ends=False))
    assert answered.status == 400
    assert b'"error":"invalid_request"' in answered.body


def test_chunks_that_end_as_they_should_are_a_body(app: Flask, server: Front, basic_header: tuple[str, str]) -> None:
    answered = ask(server, scope_of("POST", CHANGES, [JSON, basic_header, CHUNKED]), *pieces_of(b"{", b"}"))
    assert (answered.status, count_changes(app)) == (201, 1)


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_body_without_a_length_is_read_up_to_the_limit_of_the_app(server: Front, version: str) -> None:
    headers = [FORM] if version == "2" else [FORM, CHUNKED]
    piece = b"a" * SHORT_BODY_BYTES
    client = Client(pieces_of(*[piece] * 50))
    ask_at_once(server, (scope_of("POST", "/oauth/token", headers, http_version=version), client))
    assert client.status == 400
    assert client.received <= 3


@pytest.mark.parametrize("expect", [[], [("Expect", "100-continue")]])
def test_no_long_body_is_read_of_an_unknown_caller(server: Front, expect: list[tuple[str, str]]) -> None:
    scope = scope_of("POST", CHANGES, [JSON, ("Content-Length", str(MOST_DRAINED_BYTES + 1)), *expect])
    client = Client(pieces_of(LARGE))
    ask_at_once(server, (scope, client))
    assert (client.status, client.received, client.header("connection")) == (401, 0, "close")


def test_a_body_that_was_refused_is_drained_so_that_its_sender_reads_the_refusal(server: Front) -> None:
    client = Client(pieces_of(LARGE))
    ask_at_once(server, (scope_of("POST", CHANGES, [JSON, length_of(LARGE)]), client))
    assert (client.status, client.received, client.header("connection")) == (401, 2, None)


def test_an_id_token_that_is_good_for_one_call_serves_a_call_with_a_long_body(app: Flask) -> None:
    with token_desk(app) as desk:
        register_id_token(desk, **ONCE)
        bearer = ("Authorization", f"Bearer {desk.assertion()}")
        server = Front(app, 2)
        assert create(server, bearer, LARGE).status == 201
        assert create(server, bearer, LARGE).status == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_body_of_a_reading_request_is_not_read_and_ends_the_connection(server: Front, method: str) -> None:
    client = Client(pieces_of(b"{}"))
    ask_at_once(server, (scope_of(method, "/healthz", [("Content-Length", "2")]), client))
    assert (client.status, client.received, client.header("connection")) == (200, 0, "close")


def test_a_get_that_means_another_method_brings_its_body(
    app: Flask, server: Front, basic_header: tuple[str, str]
) -> None:
    override = ("X-HTTP-Method-Override", "POST")
    scope = scope_of("GET", CHANGES, [JSON, basic_header, override, ("Content-Length", "2")])
    answered = ask(server, scope, *pieces_of(b"{}"))
    assert (answered.status, answered.header("connection"), count_changes(app)) == (201, "close", 1)


@pytest.mark.parametrize(("method", "path"), [("HEAD", CHANGES), ("GET", "/healthz")])
def test_a_header_that_overrides_no_method_brings_no_body(server: Front, method: str, path: str) -> None:
    client = Client(pieces_of(b"{}"))
    headers = [("X-HTTP-Method-Override", "POST"), ("Content-Length", "2")]
    ask_at_once(server, (scope_of(method, path, headers), client))
    assert (client.received, client.header("connection")) == (0, "close")


@pytest.mark.parametrize("framing", [length_of(LARGE), CHUNKED])
def test_a_get_with_a_long_body_ends_its_connection(
    server: Front, basic_header: tuple[str, str], framing: tuple[str, str]
) -> None:
    override = ("X-HTTP-Method-Override", "POST")
    scope = scope_of("GET", CHANGES, [JSON, basic_header, override, framing])
    answered = ask(server, scope, *pieces_of(LARGE))
    assert (answered.status, answered.header("connection")) == (201, "close")


@pytest.mark.parametrize("arrived", [[], pieces_of(b"{")[:1]])
@pytest.mark.parametrize("length", ["100", "100000"])
def test_an_unknown_caller_is_refused_before_the_body_has_come(
    server: Front, arrived: list[dict[str, Any]], length: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "SECONDS", 600.0)
    client = Client([*arrived])

    async def run() -> None:
        scope = scope_of("POST", CHANGES, [JSON, ("Content-Length", length)])
        request = ensure_future(server(scope, client.receive, client.send))
        while not client.is_whole:
            await sleep(0.01)
        assert (client.status, client.header("connection")) == (401, "close")
        assert not request.done()
        request.cancel()

    finish(asyncio.wait_for(run(), TIMEOUT_SECONDS))


AMBIGUOUS = {
    "two hosts": [("Host", "elsewhere")],
    "two lengths": [("Content-Length", "2"), ("Content-Length", "2")],
    "a length that is not a number": [("Content-Length", "+2")],
    "a length beyond all": [("Content-Length", "9" * 19)],
    "a length and chunks": [("Content-Length", "2"), CHUNKED],
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_an_ambiguous_head_is_refused(server: Front, how: str) -> None:
    answered = ask(server, scope_of("POST", CHANGES, [JSON, *AMBIGUOUS[how]]))
    assert (answered.status, answered.header("connection")) == (400, "close")


def test_a_request_without_a_host_is_refused_where_http_requires_one(server: Front) -> None:
    headers = [(b"host", b"")]
    assert ask(server, scope_of("GET", "/healthz", headers=[]) | {"headers": headers}).status == 400
    assert ask(server, scope_of("GET", "/healthz", http_version="1") | {"headers": headers}).status == 200


def test_headers_reach_the_app_as_wsgi_has_them(server: Front, app: Flask) -> None:
    seen: dict[str, Any] = {}

    @app.get("/seen/<path:rest>")
    def see(rest: str) -> str:
        seen.update(current_request().environ, rest=rest)
        return ""

    headers = [("Cookie", "a=1"), ("Cookie", "b=2"), ("X-A", "1"), ("X-A", "2"), ("X_Forwarded_For", "10.0.0.1")]
    assert ask(server, scope_of("GET", "/seen/%C3%BC?q=%20", [*headers, ("X-B", "\xfc")])).status == 200
    assert (seen["HTTP_COOKIE"], seen["HTTP_X_A"], seen["HTTP_X_B"]) == ("a=1; b=2", "1,2", "")
    assert (seen["rest"], seen["QUERY_STRING"]) == ("ü", "q=%20")
    assert "HTTP_X_FORWARDED_FOR" not in seen


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "headers", [[("Content-Length", "10")], [CHUNKED], [("Content-Length", str(SHORT_BODY_BYTES + 1))]]
)
def test_a_body_that_does_not_come_in_time_is_refused(
    server: Front, basic_header: tuple[str, str], headers: list[tuple[str, str]]
) -> None:
    client = Client(pieces_of(b"{}")[:1])
    ask_at_once(server, (scope_of("POST", CHANGES, [JSON, basic_header, *headers]), client))
    assert (client.status, client.header("connection")) == (408, "close")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("is_behind_a_proxy", [False, True])
def test_an_address_has_only_so_many_unfinished_bodies(app: Flask, is_behind_a_proxy: bool) -> None:
    limits = {"open_bodies_per_address": 2, "trusted_proxies": int(is_behind_a_proxy)}
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **limits)
    server = Front(app, 2)
    header = [("X-Forwarded-For", "10.0.0.9, 10.0.0.{}")] if is_behind_a_proxy else []
    requests = []
    for number in range(4):
        headers = [FORM, ("Content-Length", "10"), *((name, value.format(number)) for name, value in header)]
        requests.append((scope_of("POST", "/oauth/token", headers), Client(pieces_of(b"a")[:1])))
    ask_at_once(server, *requests)
    statuses = [client.status for _, client in requests]
    assert statuses == ([408] * 4 if is_behind_a_proxy else [408, 408, 429, 429])
    assert {client.header("retry-after") for _, client in requests if client.status == 429} <= {"0", "10"}


def test_long_bodies_share_a_bound(server: Front, basic_header: tuple[str, str]) -> None:
    server._bodies = bodies.Bodies(server._waits, 4 * len(LARGE))
    server._bodies.take_room("127.0.0.2", len(LARGE))
    server._bodies.take_room("127.0.0.3", len(LARGE))
    server._bodies.take_room("127.0.0.4", len(LARGE))
    server._bodies.take_room("127.0.0.5", 1)
    answered = create(server, basic_header, LARGE)
    assert (answered.status, answered.header("retry-after"), answered.header("connection")) == (503, "5", "close")
    server._bodies.give_room("127.0.0.5", 1)
    assert create(server, basic_header, LARGE).status == 201
    assert (server._bodies._room, server._bodies._taken["127.0.0.1"]) == (len(LARGE), 0)


def test_ten_slow_uploads_of_one_address_leave_room_for_another(app: Flask, basic_header: tuple[str, str]) -> None:
    server = Front(app, 2)
    server._bodies = bodies.Bodies(server._waits, 4 * len(LARGE))
    headers = [JSON, basic_header, length_of(LARGE)]
    slow = [Client(pieces_of(LARGE[:50_000])[:1]) for _ in range(10)]

    async def run() -> None:
        uploads = [ensure_future(server(scope_of("POST", CHANGES, headers), each.receive, each.send)) for each in slow]
        while sum(each.status == 503 for each in slow) < len(slow) - 1:
            await sleep(0.01)
        other = Client(pieces_of(LARGE))
        await server(scope_of("POST", CHANGES, headers, client=("127.0.0.2", "1")), other.receive, other.send)
        assert other.status == 201
        for upload in uploads:
            upload.cancel()

    finish(asyncio.wait_for(run(), TIMEOUT_SECONDS))


@pytest.mark.usefixtures("hurried")
def test_a_client_is_not_cut_off_because_the_server_is_late(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a" * 2**19
            time.sleep(0.8)
            yield b"a"
        finally:
            closed.append("closed")

    app.add_url_rule("/late", endpoint="late", view_func=lambda: app.response_class(pieces()))
    answered = ask(Front(app, 2), scope_of("GET", "/late"))
    assert (len(answered.body), answered.is_whole, closed) == (2**19 + 1, True, ["closed"])
    assert "already executing" not in caplog.text


def test_a_full_disk_is_no_fault(server: Front, basic_header: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(bodies.Spool, "write", write)
    assert create(server, basic_header, LARGE).status == 503


@pytest.fixture
def long_answers(app: Flask) -> Iterator[list[str]]:
    """Serve an answer of a megabyte in pieces; give what happened to it."""
    happened: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            for number in range(16):
                happened.append(str(number))
                yield b"a" * 65536
        finally:
            happened.append("closed")

    app.add_url_rule("/long", endpoint="long", view_func=lambda: app.response_class(pieces()))
    app.add_url_rule("/whole", endpoint="whole", view_func=lambda: b"a" * 2**20)

    def fail() -> Iterator[bytes]:
        yield b"a" * 2**19
        raise ValueError("a fault")

    app.add_url_rule("/fails", endpoint="fails", view_func=lambda: app.response_class(fail()))
    yield happened


@pytest.mark.parametrize("path", ["/long", "/whole"])
def test_a_long_answer_is_sent_piece_by_piece(server: Front, long_answers: list[str], path: str) -> None:
    answered = ask(server, scope_of("GET", path))
    assert (len(answered.body), answered.is_whole) == (2**20, True)
    assert path == "/whole" or long_answers[-1] == "closed"


@pytest.mark.usefixtures("hurried")
def test_a_client_that_does_not_read_is_cut_off(
    server: Front, long_answers: list[str], cuts: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "BYTES_PER_SECOND", 2**20)
    answered = ask(server, scope_of("GET", "/long"), reads=2)
    assert cuts == [("127.0.0.1", 54321)]
    assert not answered.is_whole
    assert "15" not in long_answers


def test_nothing_more_is_made_for_a_client_that_has_gone(
    server: Front, long_answers: list[str], cuts: list[tuple[str, int]]
) -> None:
    answered = ask(server, scope_of("GET", "/long"), {"type": "http.disconnect"})
    assert not answered.is_whole
    assert "15" not in long_answers
    assert cuts


@pytest.mark.usefixtures("long_answers")
def test_an_answer_that_fails_half_way_is_cut_off(server: Front, cuts: list[tuple[str, int]]) -> None:
    assert not ask(server, scope_of("GET", "/fails")).is_whole
    assert cuts


def run_by(way: Callable[..., Client], app: WsgiApp, environ: dict[str, Any], body: bytes) -> tuple[str, bytes]:
    """Answer a request of an app that postpones, directly or in the event loop."""
    host = Flask("postponing")
    host.config["SETTINGS"] = _Settings
    host.config["MAX_CONTENT_LENGTH"] = 2**20
    host.wsgi_app = app  # type: ignore[method-assign, assignment]
    headers = [("X-Example", environ["HTTP_X_EXAMPLE"]), ("Content-Length", environ["CONTENT_LENGTH"])]
    path = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
    answered = way(Front(host, 1), scope_of(environ["REQUEST_METHOD"], path, headers), *pieces_of(body))
    return f"{answered.status} OK", answered.body


class _Settings:
    open_bodies_per_address = 1
    trusted_proxies = 0
    attachment_max_bytes = 0


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_request_gives_up_its_thread_while_it_waits(check: Callable[[Runner], None]) -> None:
    check(partial(run_by, ask))


def test_a_fault_outside_of_the_app_is_an_answer(app: Flask) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("a fault")

    server = Front(app, 1)
    app.wsgi_app = fail  # type: ignore[method-assign]
    for _ in range(2):
        assert ask(server, scope_of("GET", "/healthz")).status == 500


def test_health_is_answered_while_all_threads_are_busy(app: Flask) -> None:
    server = Front(app, 0)
    assert ask(server, scope_of("GET", "/healthz")).status == 200


def test_a_connection_is_cut_by_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections.bound_unread_answers(listener.getsockname()[1])
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as served:
            for name, value in connections.UNREAD.items():
                assert served.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
            connections.Cutter().cut(*client.getsockname())
            client.settimeout(5)
            assert client.recv(1) == b""


def test_a_client_that_sends_nothing_is_found_and_a_connection_to_a_database_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as silent,
        socket.create_connection(listener.getsockname()) as busy,
        listener.accept()[0],
        listener.accept()[0],
    ):
        assert silent.getsockname() not in connections.silent_peers()
        monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)
        found: set[tuple[str, int]] = set()
        # Again where this process stands still between the byte and the look.
        while silent.getsockname() not in found or busy.getsockname() in found:
            busy.sendall(b"a")
            found = connections.silent_peers()
        # This process is the client of it, as it is of its database.
        assert listener.getsockname() not in found


LOCKED = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=0)
try:
    other.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as problem:
    print(problem)
"""


def test_looking_for_a_connection_takes_no_lock_from_the_database(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        connections.bound_unread_answers(1)
        connections.cut_all({("127.0.0.1", 1)})
        connections.silent_peers()
        command = [sys.executable, "-c", LOCKED, str(path)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "database is locked\n"
