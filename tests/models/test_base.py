"""What every table has."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import String, inspect, select

from changegate.extensions import Base, db
from changegate.models import ChangeRequest, SysUser, SysUserGroup, Task
from changegate.models.base import Entry, UTCDateTime, new_sys_id, utc_now


def test_a_sys_id_is_32_lower_case_hex_digits_and_always_another() -> None:
    made = {new_sys_id() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", sys_id) for sys_id in made)


def test_now_is_aware_utc_to_the_second() -> None:
    assert utc_now().tzinfo is UTC
    assert utc_now().microsecond == 0


def test_an_instant_comes_back_as_the_same_instant_in_utc(either_app: Flask) -> None:
    sent = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    with either_app.app_context():
        db.session.add(SysUser(user_name="ann", name="Ann", last_login_time=sent))
        db.session.commit()
        found = db.session.execute(select(SysUser.last_login_time).where(SysUser.user_name == "ann")).scalar_one()
    assert found == sent
    assert found.utcoffset() == timedelta(0)


def test_a_naive_datetime_is_refused(app: Flask) -> None:
    naive = datetime(2026, 1, 31)
    with app.app_context(), pytest.raises(ValueError, match="a naive datetime is not an instant"):
        UTCDateTime().process_bind_param(naive, db.engine.dialect)


def test_every_column_of_a_record_has_its_entry() -> None:
    for model in (ChangeRequest, SysUser, SysUserGroup):
        for column in inspect(model).columns:
            entry = column.info["entry"]
            assert isinstance(entry, Entry)
            assert entry.label
            if isinstance(column.type, String) and column.type.length:
                assert entry.max_length == column.type.length or entry.kind == "choice"


def test_choices_and_defaults_agree() -> None:
    for column in inspect(ChangeRequest).columns:
        entry, default = column.info["entry"], column.default
        if entry.choices and default is not None and column.key != "state":
            assert str(default.arg) in entry.choices


def test_secret_columns_are_marked() -> None:
    secrets = {column.key for column in inspect(SysUser).columns if column.info["entry"].is_secret}
    assert secrets == {"user_password"}


def test_tasks_are_one_table() -> None:
    assert ChangeRequest.__table__ is Task.__table__
    assert all(column.nullable for column in inspect(ChangeRequest).local_table.columns if column.key == "type")


def test_constraints_have_names_that_a_migration_can_say() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)
        assert all(index.name for index in table.indexes)
