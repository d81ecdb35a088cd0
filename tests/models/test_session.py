"""One transaction for Core and ORM alike, on both databases."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import insert, select

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysUser
from changegate.models.base import new_sys_id

Write = Callable[[str], None]


def by_core(name: str) -> None:
    connection().execute(insert(SysUser).values(sys_id=new_sys_id(), user_name=name, name=name))


def by_orm(name: str) -> None:
    db.session.add(SysUser(user_name=name, name=name))
    db.session.flush()


def names(app: Flask) -> set[str]:
    """Return the users as the next request finds them."""
    with app.app_context():
        return set(db.session.execute(select(SysUser.user_name)).scalars()) - {"admin"}


ORDERS = [(by_core, by_orm), (by_orm, by_core), (by_core, by_core), (by_orm, by_orm)]


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_one_commit_covers_core_and_orm(at_work: Flask, first: Write, second: Write) -> None:
    first("one")
    second("two")
    assert names(at_work) == set()
    db.session.commit()
    assert names(at_work) == {"one", "two"}


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_one_rollback_covers_core_and_orm(at_work: Flask, first: Write, second: Write) -> None:
    first("one")
    second("two")
    db.session.rollback()
    db.session.commit()
    assert names(at_work) == set()


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_each_sees_what_the_other_wrote(at_work: Flask, first: Write, second: Write) -> None:
    first("one")
    assert connection().execute(select(SysUser.user_name).where(SysUser.user_name == "one")).first()
    second("two")
    assert len(db.session.execute(select(SysUser)).scalars().all()) == 3


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_work_goes_on_after_a_commit_and_after_a_rollback(at_work: Flask, first: Write, second: Write) -> None:
    first("one")
    db.session.commit()
    second("two")
    db.session.rollback()
    first("three")
    second("four")
    db.session.commit()
    assert names(at_work) == {"one", "three", "four"}


@pytest.mark.parametrize("write", [by_core, by_orm])
def test_what_was_not_committed_ends_with_the_request(either_app: Flask, write: Write) -> None:
    with either_app.app_context():
        write("one")
    assert names(either_app) == set()


def test_an_object_that_was_only_added_is_committed(at_work: Flask) -> None:
    by_core("one")
    db.session.add(SysUser(user_name="two", name="two"))
    db.session.commit()
    assert names(at_work) == {"one", "two"}


def test_an_object_that_was_only_changed_is_committed(at_work: Flask) -> None:
    by_orm("one")
    db.session.commit()
    user = db.session.execute(select(SysUser).where(SysUser.user_name == "one")).scalar_one()
    connection()
    user.user_name = "two"
    db.session.commit()
    assert names(at_work) == {"two"}
