"""Units of work: Core statements and the ORM share a connection, a commit and an end."""

import pytest
from flask import Flask
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError

from changegate.database import commit, connection, unit_of_work
from changegate.extensions import db
from changegate.models import SysUserGroup
from changegate.models.base import new_sys_id, utc_now

GROUPS = SysUserGroup.__table__


def _insert(name: str) -> None:
    stamps = {"sys_created_on": utc_now(), "sys_updated_on": utc_now(), "sys_created_by": "x", "sys_updated_by": "x"}
    row = {"sys_id": new_sys_id(), "sys_mod_count": 0, "active": True, "name": name, **stamps}
    connection().execute(insert(GROUPS).values(row))


def _committed() -> set[str]:
    with db.engine.connect() as beside:
        return set(beside.execute(select(GROUPS.c.name)).scalars())


def test_core_statements_alone_make_no_session(at_work: Flask) -> None:
    made = []
    event.listen(db.session.session_factory, "after_begin", lambda *_: made.append(1))
    _insert("core")
    commit()
    assert "core" in _committed()
    assert not db.session.registry.has() and not made


def test_one_commit_covers_core_and_orm(at_work: Flask) -> None:
    _insert("core")
    db.session.add(SysUserGroup(name="orm"))
    db.session.flush()
    assert not {"core", "orm"} & _committed()
    commit()
    assert {"core", "orm"} <= _committed()


def test_a_commit_flushes_what_the_orm_holds(at_work: Flask) -> None:
    db.session.add(SysUserGroup(name="held"))
    commit()
    assert "held" in _committed()


def test_one_rollback_covers_core_and_orm(at_work: Flask) -> None:
    db.session.add(SysUserGroup(name="orm"))
    db.session.flush()
    _insert("core")
    db.session.rollback()
    commit()
    assert not {"core", "orm"} & _committed()


def test_each_context_has_its_own(at_work: Flask) -> None:
    _insert("outer")
    outer = unit_of_work()
    db.session.rollback()
    with at_work.app_context():
        assert unit_of_work() is not outer
        _insert("inner")
    assert unit_of_work() is outer
    assert not {"outer", "inner"} & _committed()


def test_its_end_undoes_what_was_not_committed_and_gives_the_connection_back(either_app: Flask) -> None:
    with either_app.app_context():
        pool = db.engine.pool
        before = pool.checkedout()
        _insert("lost")
        assert pool.checkedout() == before + 1
    with either_app.app_context():
        assert pool.checkedout() == before
        assert "lost" not in _committed()


def test_actions_run_before_the_commit_once_for_each_key(at_work: Flask) -> None:
    for key in ("first", "second", "first"):
        unit_of_work().do_before_commit(key, lambda key=key: _insert(f"{key} action"))  # type: ignore[misc]
    assert not {"first action", "second action"} & _committed()
    commit()
    assert {"first action", "second action"} <= _committed()
    commit()


def test_a_rollback_drops_the_actions_before_the_commit(at_work: Flask) -> None:
    unit_of_work().do_before_commit("key", lambda: _insert("dropped"))
    unit_of_work().rollback()
    commit()
    assert "dropped" not in _committed()


def test_a_failed_action_commits_nothing(at_work: Flask) -> None:
    _insert("before the action")
    unit_of_work().do_before_commit("key", lambda: _insert("before the action"))
    with pytest.raises(IntegrityError):
        commit()
    unit_of_work().rollback()
    commit()
    assert "before the action" not in _committed()
