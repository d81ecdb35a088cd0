"""The short ways to what an application keeps."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import connection
from changegate.extensions import db, now
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


def test_flask_login_has_no_hook_for_responses(app: Flask) -> None:
    hooks = app.after_request_funcs.get(None, [])
    assert [hook for hook in hooks if hook.__module__.startswith("flask_login")] == []
