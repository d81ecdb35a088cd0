"""Turns: one request at a time runs Python code, and a request that waits lets others run."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import create_environ, run_wsgi_app

from changegate.database import TakingTurns, end_turn, turns
from changegate.database.turns import has_turn
from changegate.extensions import db
from changegate.services.users import verified_passwords
from changegate.unproxied import current_request
from tests.support.token_desk import TokenDesk

TIMEOUT = 10.0
LONG_STATEMENT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000) SELECT max(i) FROM n"
)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def call(app: Any) -> bytes:
    answer, _, _ = run_wsgi_app(TakingTurns(app), create_environ(method="POST"))
    return b"".join(answer)


def answering(inside: Callable[[dict[str, Any]], bytes]) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [inside(environ)]

    return app


def is_answered(app: Flask) -> bool:
    with app.app_context():
        return app.test_client().get("/healthz").status_code == 200


def test_one_request_at_a_time_runs(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_TURN_SECONDS", TIMEOUT)
    at_work, most = [], []

    def work(_environ: dict[str, Any]) -> bytes:
        at_work.append(1)
        most.append(len(at_work))
        threading.Event().wait(0.01)
        at_work.pop()
        return b"done"

    assert [*pool.map(lambda _: call(answering(work)), range(8))] == [b"done"] * 8
    assert max(most) == 1


def test_other_requests_run_while_one_waits(pool: ThreadPoolExecutor) -> None:
    both = threading.Barrier(2, timeout=TIMEOUT)

    def wait(_environ: dict[str, Any]) -> bytes:
        end_turn()
        both.wait()
        return b"met"

    assert [*pool.map(lambda _: call(answering(wait)), range(2))] == [b"met", b"met"]


def test_a_turn_that_does_not_end_is_taken_away(pool: ThreadPoolExecutor) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def work(_environ: dict[str, Any]) -> bytes:
        has_begun.set()
        assert may_end.wait(TIMEOUT)
        return str(has_turn()).encode()

    endless = pool.submit(call, answering(work))
    assert has_begun.wait(TIMEOUT)
    # As many as there are threads: each takes the turn, and ends its own alone.
    assert [*pool.map(lambda _: call(answering(lambda _: str(has_turn()).encode())), range(8))] == [b"True"] * 8
    may_end.set()
    assert endless.result(TIMEOUT) == b"False"
    assert call(answering(lambda _: str(has_turn()).encode())) == b"True"


def test_turns_that_are_taken_away_all_the_time_end_once_each(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_TURN_SECONDS", 0.0001)

    def work(_environ: dict[str, Any]) -> bytes:
        threading.Event().wait(0.0002)
        return b"done"

    assert [*pool.map(lambda _: call(answering(work)), range(400))] == [b"done"] * 400
    assert not turns._slot.lock.locked()


def test_a_request_within_another_shares_its_turn() -> None:
    def outer(environ: dict[str, Any]) -> bytes:
        inner = call(answering(lambda _: str(has_turn()).encode()))
        return inner + str(has_turn()).encode()

    assert call(answering(outer)) == b"TrueTrue"


def test_a_failure_ends_the_turn() -> None:
    def fail(_environ: dict[str, Any]) -> bytes:
        raise ValueError("a fault")

    for _ in range(2):
        with pytest.raises(ValueError, match="a fault"):
            call(answering(fail))
    assert not has_turn()


class SlowBody:
    """A body that comes when it is let go."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_come = threading.Event()

    def read(self, _size: int = -1) -> bytes:
        self.is_asked.set()
        assert self.may_come.wait(TIMEOUT)
        return b"body"


def test_no_request_waits_for_the_body_of_another(pool: ThreadPoolExecutor, app: Flask) -> None:
    body = SlowBody()
    options = {"content_type": "text/plain", "environ_overrides": {"wsgi.input": body, "CONTENT_LENGTH": "4"}}
    turns = []

    @app.post("/api/reads")
    def reads() -> bytes:
        sent = current_request().get_data()
        turns.append(has_turn())
        return sent

    slow = pool.submit(app.test_client().post, "/api/reads", **options)
    assert body.is_asked.wait(TIMEOUT)
    assert is_answered(app)
    body.may_come.set()
    assert slow.result(TIMEOUT).data == b"body"
    assert turns == [False]


def test_no_request_waits_for_the_write_of_another(pool: ThreadPoolExecutor, desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    with closing(sqlite3.connect(Path(desk.app.instance_path) / "changegate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(desk.call, token)
        assert is_answered_before(waiting, desk.app)
        other.execute("ROLLBACK")
    assert waiting.result(TIMEOUT).status_code == 201


def test_no_request_waits_for_the_key_set_of_another(pool: ThreadPoolExecutor, desk: TokenDesk) -> None:
    may_answer, keys = threading.Event(), desk.jwks.answer
    integration = desk.register()

    def late(*request: Any) -> Any:
        assert may_answer.wait(TIMEOUT)
        return keys(*request)

    desk.jwks.answer = late
    waiting = pool.submit(desk.exchange, integration)
    assert is_answered_before(waiting, desk.app)
    may_answer.set()
    assert waiting.result(TIMEOUT).status_code == 200


def test_no_request_waits_for_the_long_statement_of_another(pool: ThreadPoolExecutor, app: Flask) -> None:
    @app.get("/long")
    def long() -> str:
        db.session.connection().execute(text(LONG_STATEMENT))
        return "at last"

    waiting = pool.submit(app.test_client().get, "/long")
    assert is_answered_before(waiting, app)


def test_no_request_waits_for_the_password_hash_of_another(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    real = verified_passwords.check_password_hash

    def hashed(*arguments: str) -> bool:
        taken.append(has_turn())
        return real(*arguments)

    monkeypatch.setattr(verified_passwords, "check_password_hash", hashed)
    app.test_client().get("/api/now/table/change_request", auth=("admin", "wrong"))
    assert taken == [False]


def is_answered_before(waiting: Future[Any], app: Flask) -> bool:
    """Return whether other requests are answered while one waits."""
    threading.Event().wait(0.2)
    return is_answered(app) and not waiting.done()


def test_requests_take_turns_where_nothing_but_a_file_is_asked(app: Flask) -> None:
    assert isinstance(app.wsgi_app, TakingTurns)
