"""The audit trail on both databases: docs/reference/change-records.md#related-tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.extensions import db
from changegate.models import SysAudit
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.people import ADMIN, ROOT
from tests.support.statements import counted_statements

CHANGES = get_table("change_request")
USERS = get_table("sys_user")


def trail(sys_id: str) -> list[tuple[str | None, ...]]:
    """Return field, old and new value of every row about a record, in the order they were written."""
    columns = SysAudit.__table__.c
    chosen = (columns[name] for name in ("fieldname", "oldvalue", "newvalue"))
    statement = select(*chosen).where(columns["documentkey"] == sys_id).order_by(columns["sys_id"])
    return [tuple(row) for row in connection().execute(statement)]


def created(**fields: Any) -> str:
    return str(create_record(CHANGES, ROOT, fields)["sys_id"])


def test_records_who_changed_which_field_and_when(at_work: Flask) -> None:
    sys_id = created(short_description="before")
    update_record(CHANGES, Caller(ADMIN, "ann", Permissions(ROOT.roles)), sys_id, {"short_description": "after"})
    [row] = connection().execute(select(SysAudit.__table__).where(SysAudit.documentkey == sys_id)).all()
    assert (row.tablename, row.fieldname, row.documentkey) == ("change_request", "short_description", sys_id)
    assert (row.user, row.sys_created_by, row.oldvalue, row.newvalue) == ("ann", "ann", "before", "after")
    assert abs(row.sys_created_on - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("field", "old", "new", "told"),
    [
        ("assigned_to", None, "admin", (None, ADMIN)),
        ("start_date", "2026-01-31", "2026-06-30T02:00:00+02:00", ("2026-01-31 00:00:00", "2026-06-30 00:00:00")),
        ("cab_date", "2026-01-31", "", ("2026-01-31", None)),
        ("priority", 2, "3", ("2", "3")),
        ("cab_required", False, True, ("false", "true")),
        ("type", "normal", "EMERGENCY", ("normal", "emergency")),
    ],
)
def test_values_are_recorded_in_their_canonical_form(
    at_work: Flask, field: str, old: object, new: object, told: tuple[str | None, str | None]
) -> None:
    sys_id = created(**{field: old})
    update_record(CHANGES, ROOT, sys_id, {field: new})
    assert (field, *told) in trail(sys_id)


def test_all_fields_of_an_update_are_one_insert(at_work: Flask) -> None:
    sys_id = created()
    with counted_statements() as statements:
        update_record(CHANGES, ROOT, sys_id, {"short_description": "x", "description": "y", "priority": 1})
    assert len([text for text in statements if "INSERT INTO sys_audit" in text]) == 1
    assert {field for field, _, _ in trail(sys_id)} == {"short_description", "description", "priority"}


def test_changes_by_rules_are_recorded_too(at_work: Flask) -> None:
    sys_id = created()
    update_record(CHANGES, ROOT, sys_id, {"state": 4})
    assert {("state", "-5", "4"), ("active", "true", "false")} <= set(trail(sys_id))


def test_stamps_equal_values_and_creations_leave_no_trail(at_work: Flask) -> None:
    sys_id = created(short_description="same", priority=2)
    update_record(CHANGES, ROOT, sys_id, {"short_description": "same", "priority": "2", "work_notes": "a note"})
    assert trail(sys_id) == []


def test_a_changed_secret_is_recorded_without_its_values(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann", "user_password": "first secret"})["sys_id"]
    update_record(USERS, ROOT, user, {"user_password": "second secret", "title": "Dr"})
    assert sorted(trail(user), key=str) == [("title", None, "Dr"), ("user_password", None, None)]
    update_record(USERS, ROOT, user, {"user_password": "third secret"})
    assert trail(user).count(("user_password", None, None)) == 2


def test_a_deletion_is_recorded_with_the_display_name(at_work: Flask) -> None:
    record = create_record(CHANGES, ROOT, {})
    update_record(CHANGES, ROOT, record["sys_id"], {"priority": 1})
    delete_record(CHANGES, ROOT, record["sys_id"])
    assert trail(record["sys_id"]) == [("priority", "4", "1"), ("DELETED", record["number"], None)]


def test_a_write_that_fails_leaves_no_trail(at_work: Flask) -> None:
    sys_id = created()
    db.session.commit()
    with pytest.raises(RequestUnreadable):
        update_record(CHANGES, ROOT, sys_id, {"short_description": "x", "priority": 99})
    update_record(CHANGES, ROOT, sys_id, {"short_description": "x"})
    db.session.rollback()
    assert trail(sys_id) == []


def test_long_values_are_recorded_completely(at_work: Flask) -> None:
    sys_id = created(description="é" * 4000)
    update_record(CHANGES, ROOT, sys_id, {"description": "ß" * 4000})
    assert trail(sys_id) == [("description", "é" * 4000, "ß" * 4000)]
