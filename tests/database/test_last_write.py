"""A write that is sent with the commit: one call to SQLite, and never apart from the rest of its transaction."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.database.prepared import Prepared, is_broken_reference
from changegate.extensions import db
from changegate.models import SysUserGroup, SysUserGroupMember
from changegate.models.base import new_sys_id, utc_now
from tests.database.write_locks import has_room

GROUPS = SysUserGroup.__table__
INSERT = Prepared(insert(GROUPS), GROUPS.columns.keys())
MEMBERS = SysUserGroupMember.__table__
INSERT_MEMBER = Prepared(insert(MEMBERS), MEMBERS.columns.keys())


class Refused(Exception):
    """What the tests make of a broken rule of the database."""


def _row(**values: Any) -> dict[str, Any]:
    stamps = {"sys_created_on": utc_now(), "sys_updated_on": utc_now(), "sys_created_by": "x", "sys_updated_by": "x"}
    return {"sys_id": new_sys_id(), "sys_mod_count": 0, "active": True, **stamps, **values}


def _send(name: str, sys_id: str | None = None) -> None:
    INSERT.execute_with_commit(_row(name=name, **({"sys_id": sys_id} if sys_id else {})), explain=_explain)


def _explain(problem: IntegrityError) -> Refused:
    return Refused("reference" if is_broken_reference(problem) else "key")


def _names() -> set[str]:
    with db.engine.connect() as beside:
        return set(beside.execute(select(GROUPS.c.name)).scalars())


def test_is_there_after_the_commit_and_not_before(at_work: Flask) -> None:
    _send("last")
    assert "last" not in _names()

    db.session.commit()

    assert "last" in _names()


def test_the_next_statement_sees_it(at_work: Flask) -> None:
    _send("core")
    assert connection().execute(select(GROUPS.c.name).where(GROUPS.c.name == "core")).scalar_one() == "core"
    _send("orm")
    assert db.session.execute(select(SysUserGroup).filter_by(name="orm")).scalar_one().name == "orm"


def test_a_rollback_forgets_it(at_work: Flask) -> None:
    _send("forgotten")
    db.session.rollback()
    db.session.commit()

    assert "forgotten" not in _names()


def test_the_end_of_a_request_forgets_it(at_work: Flask) -> None:
    _send("forgotten")
    db.session.close()
    db.session.commit()

    assert "forgotten" not in _names()


def test_a_taken_key_is_explained_by_the_commit(at_work: Flask) -> None:
    sys_id = new_sys_id()
    _send("first", sys_id)
    db.session.commit()
    _send("second", sys_id)

    with pytest.raises(Refused, match="key"):
        db.session.commit()
    db.session.rollback()

    assert "second" not in _names()
    _assert_next_writer_may_write()


def _assert_next_writer_may_write() -> None:
    assert has_room(db.engine)


def test_a_broken_reference_is_distinguished_from_a_key_in_use(at_work: Flask) -> None:
    INSERT_MEMBER.execute_with_commit(_row(user="0" * 32, group="0" * 32), explain=_explain)

    with pytest.raises(Refused, match="reference"):
        db.session.commit()
    db.session.rollback()


def test_after_other_writes_it_is_committed_or_rolled_back_with_them(at_work: Flask) -> None:
    sys_id = new_sys_id()
    INSERT.execute(_row(name="before", sys_id=sys_id))
    _send("twin", sys_id)

    with pytest.raises(Refused):
        db.session.commit()
    db.session.rollback()

    assert _names().isdisjoint({"before", "twin"})
    _assert_next_writer_may_write()


def test_it_comes_before_what_the_orm_writes_after_it(at_work: Flask) -> None:
    group = new_sys_id()
    _send("referred to", group)
    db.session.add(SysUserGroup(name="child", manager=None))
    db.session.commit()

    assert {"referred to", "child"} <= _names()


def test_of_two_the_first_is_carried_out_when_the_second_comes(at_work: Flask) -> None:
    _send("one")
    _send("two")
    db.session.commit()

    assert {"one", "two"} <= _names()
