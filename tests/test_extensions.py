"""The short ways to what an application keeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from sqlalchemy import select, update

from changegate import create_app
from changegate.database import connection
from changegate.extensions import csrf, db, now
from changegate.models import SysUser
from tests.conftest import Clock


@pytest.fixture
def at_work(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def test_the_connection_is_the_session_s_own_in_every_transaction(at_work: Flask) -> None:
    for _ in range(2):
        assert connection() is db.session.connection()
        connection().execute(update(SysUser).values(title="x"))
        assert db.session.execute(select(SysUser.title)).scalar_one() == "x"
        db.session.rollback()
        assert db.session.execute(select(SysUser.title)).scalar_one() is None


def test_the_clock_can_be_moved(at_work: Flask, clock: Clock) -> None:
    before = now()
    clock.advance(hours=2)
    assert 7199 <= (now() - before).total_seconds() <= 7205


def test_hooks_of_other_extensions_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask-Login's own hook is dropped, and those of others are not."""

    def stamp(response: Response) -> Response:
        response.headers["X-Stamped"] = "1"
        return response

    monkeypatch.setattr(csrf, "init_app", lambda app: app.after_request(stamp))
    app = create_app(instance_path=tmp_path)
    assert app.test_client().get("/healthz").headers["X-Stamped"] == "1"
    assert [hook.__module__ for hook in app.after_request_funcs[None] if "flask_login" in hook.__module__] == []
