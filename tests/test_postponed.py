"""Requests that give up their thread: they run again from the start, and leave no trace before that."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from werkzeug.test import create_environ

from changegate.database import connection
from changegate.database.pool import pool_of
from changegate.database.turns import has_turn
from changegate.extensions import db
from changegate.models import SysUserRole
from changegate.postponed import CAN_POSTPONE, Postponed, can_postpone, forbid_postponing
from tests.support.postponing import CHECKS, Runner, run_postponing

Write = Callable[[str], None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_reference_server_keeps_the_protocol(check: Callable[[Runner], None]) -> None:
    check(run_postponing)


def write_by_core(name: str) -> None:
    connection().execute(insert(SysUserRole.__table__), {"sys_id": f"{len(name):032}", "name": name})


def write_by_orm(name: str) -> None:
    db.session.add(SysUserRole(name=name))
    db.session.flush()


def serve_writes(app: Flask, write: Write) -> list[bool]:
    """Add a path that writes, postpones where it may, and then answers without a commit; return where it may."""
    allowed: list[bool] = []

    @app.get("/writes")
    def writes() -> str:
        write("role" * (len(allowed) + 1))
        allowed.append(can_postpone())
        if allowed[-1]:
            until: Future[None] = Future()
            until.set_result(None)
            raise Postponed(until)
        return str(db.session.scalar(select(func.count()).where(SysUserRole.name.startswith("role"))))

    return allowed


@pytest.mark.parametrize("write", [write_by_core, write_by_orm])
def test_a_postponed_request_leaves_nothing_behind(either_app: Flask, write: Write) -> None:
    allowed = serve_writes(either_app, write)
    # Each run writes a role, and the last one sees only its own.
    assert run_postponing(either_app, create_environ("/writes"), b"") == ("200 OK", b"1")
    assert allowed == [True, True, True, False]
    assert not has_turn()
    with either_app.app_context():
        assert pool_of(db.engine).checkedout() == 0


@pytest.mark.parametrize("given", [{}, {CAN_POSTPONE: False}, {CAN_POSTPONE: "yes"}])
def test_a_request_is_postponed_only_by_a_server_that_can(app: Flask, given: dict[str, Any]) -> None:
    allowed = serve_writes(app, write_by_core)
    assert app.test_client().get("/writes", environ_overrides=given).text == "1"
    assert allowed == [False]


def test_nothing_is_postponed_outside_of_a_request(app: Flask) -> None:
    assert not can_postpone()
    with app.app_context():
        assert not can_postpone()


def test_no_header_lets_a_request_be_postponed(app: Flask) -> None:
    allowed = serve_writes(app, write_by_core)
    app.test_client().get("/writes", headers={CAN_POSTPONE: "True", "Changegate-Can-Postpone": "True"})
    assert allowed == [False]


def test_a_request_that_has_used_something_up_keeps_its_thread(app: Flask) -> None:
    seen: list[bool] = []

    @app.get("/uses")
    def uses() -> str:
        forbid_postponing()
        seen.append(can_postpone())
        return "used"

    assert run_postponing(app, create_environ("/uses"), b"") == ("200 OK", b"used")
    assert seen == [False]
    forbid_postponing()
