"""Queries kept under a token, on both databases."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.errors import RequestUnreadable
from changegate.extensions import db
from changegate.models import TinyUrl
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.tiny_urls import URLS_KEPT_FOR, get_query, store_query
from tests.conftest import Clock
from tests.support.jobs import run_due_jobs
from tests.support.people import ADMIN

PATH = "/api/now/table/change_request"
QUERY = "sysparm_query=short_description%3D\u00e9\U0001f600" + "x" * 60_000


@pytest.fixture
def clock(either_app: Flask) -> Iterator[Clock]:
    clock = either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        yield clock


@pytest.fixture
def admin() -> Caller:
    return Caller(ADMIN, "admin", Permissions(frozenset({"admin"})))


def tokens() -> set[str]:
    return set(db.session.execute(select(TinyUrl.token)).scalars())


def test_keeps_a_query_for_its_user_and_path(clock: Clock, admin: Caller) -> None:
    token = store_query(admin, PATH, QUERY)
    db.session.commit()
    assert get_query(admin, token, PATH) == QUERY
    other = Caller("0" * 32, "ann", Permissions(frozenset({"admin"})))
    for caller, path in ((other, PATH), (admin, f"{PATH}/"), (admin, "")):
        with pytest.raises(RequestUnreadable):
            get_query(caller, token, path)


def test_forgets_what_has_had_its_day(either_app: Flask, clock: Clock, admin: Caller) -> None:
    first = store_query(admin, PATH, "a")
    db.session.commit()
    clock.advance(seconds=(URLS_KEPT_FOR - timedelta(minutes=1)).total_seconds())
    second = store_query(admin, PATH, "b")
    db.session.commit()
    assert tokens() == {first, second}
    clock.advance(minutes=2)
    with pytest.raises(RequestUnreadable):
        get_query(admin, first, PATH)
    run_due_jobs(either_app, "tables.purge_tiny_urls")
    assert tokens() == {second}
    assert get_query(admin, second, PATH) == "b"


@pytest.mark.parametrize("token", ["", "\0", "0" * 32, "x" * 100_000, "\u0663"])
def test_refuses_any_other_token(clock: Clock, admin: Caller, token: str) -> None:
    with pytest.raises(RequestUnreadable):
        get_query(admin, token, PATH)
