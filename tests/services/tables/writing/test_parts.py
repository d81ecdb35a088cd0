"""What belongs to a record goes with it, and leaves its trail."""

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.errors import OperationFailed
from changegate.models import SysapprovalApprover, SysAttachment, SysAudit, SysJournalField, SysUser, SysUserGroup, Task
from changegate.models.base import new_sys_id, utc_now
from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY, Table, get_table
from changegate.services.tables.writing.records import create_record, delete_record
from tests.services.approvals.asked_changes import decide
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
CHANGES = get_table("change_request")
PARTS = ("change_task", "task_ci", "sys_journal_field", "sys_attachment")


def create(table: str, **sent: Any) -> Any:
    return create_record(get_table(table), ROOT, sent)["sys_id"]


def attach(table: str, sys_id: str) -> None:
    now = utc_now()
    values = dict.fromkeys(("size_bytes", "size_compressed", "chunk_size_bytes", "sys_mod_count"), 0)
    values |= dict.fromkeys(("file_name", "content_type", "hash", "sys_created_by", "sys_updated_by"), "x")
    values |= {"sys_id": new_sys_id(), "sys_created_on": now, "sys_updated_on": now, "compressed": False}
    row = {**values, "state": "available", "table_name": table, "table_sys_id": sys_id}
    connection().execute(insert(SysAttachment.__table__).values(row))


def add_change(ci: str) -> tuple[str, str]:
    """Add a change and a task with everything that can belong to either."""
    change = create("change_request", work_notes="noted")
    task = create("change_task", change_request=change, work_notes="noted too")
    for sys_id in (change, task):
        create("task_ci", task=sys_id, ci_item=ci)
    attach("change_request", change)
    attach("change_task", task)
    return change, task


def counts() -> dict[str, int]:
    tables = {name: get_table(name).source for name in PARTS}
    found = {name: connection().scalar(select(func.count()).select_from(table)) for name, table in tables.items()}
    return {name: how_many or 0 for name, how_many in found.items()}


def test_a_change_is_deleted_with_all_dependent_records_and_no_others() -> None:
    ci = create("cmdb_ci", name="edge-router-01")
    change, _ = add_change(ci)
    before = counts()
    other, _ = add_change(ci)
    delete_record(CHANGES, ROOT, other)
    assert counts() == before
    assert all(before.values())
    assert connection().scalar(select(Task.sys_id).where(Task.sys_id == change)) == change


def test_a_task_is_deleted_with_its_dependent_records_but_without_its_change() -> None:
    change, task = add_change(create("cmdb_ci", name="edge-router-01"))
    delete_record(get_table("change_task"), ROOT, task)
    assert connection().scalars(select(SysJournalField.element_id)).all() == [change]
    assert connection().scalars(select(SysAttachment.table_sys_id)).all() == [change]


def test_every_deleted_dependent_record_leaves_an_audit_row() -> None:
    change, task = add_change(create("cmdb_ci", name="edge-router-01"))
    delete_record(CHANGES, ROOT, change)
    rows = connection().execute(select(SysAudit.tablename, SysAudit.documentkey).where(SysAudit.fieldname == "DELETED"))
    trail = [tuple(row) for row in rows]
    assert {("change_request", change), ("change_task", task)} <= set(trail)
    assert sorted(name for name, _ in trail) == [
        "change_request",
        "change_task",
        "task_ci",
        "task_ci",
    ]


def test_referenced_records_are_kept() -> None:
    delete_record(CHANGES, ROOT, add_change(create("cmdb_ci", name="edge-router-01"))[0])
    assert connection().scalar(select(func.count()).select_from(SysUser.__table__)) == 1


def test_a_user_is_deleted_with_role_assignments() -> None:
    user = create("sys_user", user_name="ann")
    role = create("sys_user_has_role", user=user, role="itil")

    delete_record(get_table("sys_user"), ROOT, user)

    trail = select(SysAudit.documentkey).where(SysAudit.fieldname == "DELETED")
    assert set(connection().scalars(trail)) == {user, role}


def test_approvals_and_their_files_stay_when_their_task_is_deleted() -> None:
    """A deletion that took the answers along would erase the evidence of who approved."""
    change, task = add_change(create("cmdb_ci", name="edge-router-01"))
    approvals = {create("sysapproval_approver", sysapproval=sys_id, approver="admin") for sys_id in (change, task)}
    for approval in approvals:
        attach("sysapproval_approver", approval)

    delete_record(CHANGES, ROOT, change)

    columns = (SysapprovalApprover.sys_id, SysapprovalApprover.sysapproval, SysapprovalApprover.document_id)
    kept = connection().execute(select(*columns)).all()
    assert {row.sys_id for row in kept} == approvals
    assert {(row.sysapproval, row.document_id) for row in kept} == {(change, change), (task, task)}
    assert set(connection().scalars(select(SysAttachment.table_sys_id))) == approvals


@pytest.mark.parametrize("column", ["approver", "answered_by"])
def test_a_user_who_was_asked_for_an_approval_or_answered_one_cannot_be_deleted(column: str) -> None:
    user = create("sys_user", user_name="ann")
    add_approval(**{column: user})

    with pytest.raises(OperationFailed) as refusal:
        delete_record(get_table("sys_user"), ROOT, user)
    assert refusal.value.detail == (
        "The account ann was asked for approvals, which are kept as evidence. Deactivate it instead of deleting it"
    )
    with pytest.raises(IntegrityError):
        connection().execute(delete(SysUser).where(SysUser.sys_id == user))


@pytest.mark.parametrize("column", ["requested_by", "opened_by"])
@pytest.mark.parametrize(
    ("state", "is_decided", "is_kept"), [(-5, False, True), (3, True, True), (3, False, False), (4, False, False)]
)
def test_the_requester_of_a_change_that_is_open_or_decided_cannot_be_deleted(
    column: str, state: int, is_decided: bool, is_kept: bool
) -> None:
    """Four eyes compare accounts: without this one, another account of the requester could approve."""
    user = create("sys_user", user_name="ann")
    change = create("change_request", state=state, **{column: user})
    if is_decided:
        decide(change, "approved")
    if not is_kept:
        delete_record(get_table("sys_user"), ROOT, user)
        assert row_of(change)[column] is None
        return

    number = row_of(change)["number"]
    with pytest.raises(OperationFailed) as refusal:
        delete_record(get_table("sys_user"), ROOT, user)
    assert refusal.value.detail == (
        f"The account ann requested or opened {number}, which this person must not approve. "
        "Deactivate it instead of deleting it"
    )


def row_of(change: str) -> dict[str, Any]:
    row = connection().execute(select(Task.__table__).where(Task.__table__.c["sys_id"] == change)).one()
    return dict(row._mapping)


def test_a_group_that_was_asked_for_an_approval_cannot_be_deleted() -> None:
    asked, other = (create("sys_user_group", name=name) for name in ("CAB", "Others"))
    add_approval(group=asked)

    delete_record(get_table("sys_user_group"), ROOT, other)
    with pytest.raises(OperationFailed) as refusal:
        delete_record(get_table("sys_user_group"), ROOT, asked)
    assert refusal.value.detail == (
        "The group CAB was asked for approvals, which are kept as evidence. Deactivate it instead of deleting it"
    )
    with pytest.raises(IntegrityError):
        connection().execute(delete(SysUserGroup).where(SysUserGroup.sys_id == asked))


def test_a_group_that_an_active_change_is_assigned_to_cannot_be_deleted() -> None:
    """The reference would be emptied without the rules of the change, in which the field is mandatory."""
    group = create("sys_user_group", name="Network")
    change = create("change_request", state="-2", assignment_group=group)

    with pytest.raises(OperationFailed) as refusal:
        delete_record(get_table("sys_user_group"), ROOT, group)
    assert refusal.value.detail == (
        f"The group Network is named by {row_of(change)['number']}, which has not ended. "
        "Deactivate it instead of deleting it"
    )
    assert row_of(change)["assignment_group"] == group
    delete_record(get_table("change_request"), ROOT, change)
    delete_record(get_table("sys_user_group"), ROOT, group)


def add_approval(**values: str) -> None:
    """Add an approval of a change that is deleted afterwards."""
    change = create("change_request")
    approval = create("sysapproval_approver", sysapproval=change, approver="admin")
    connection().execute(update(SysapprovalApprover).where(SysapprovalApprover.sys_id == approval).values(values))
    delete_record(CHANGES, ROOT, change)


def _swept_away_with(table: Table) -> set[tuple[str, str]]:
    """Return the fields of served tables whose records the database deletes with one of a table."""
    return {
        (part.name, name)
        for part in TABLES.values()
        for name, entry in part.entries.items()
        if entry.reference in {table.name, table.extends}
        and any(key.ondelete == "CASCADE" for key in part.source.c[name].foreign_keys)
    }


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.access.delete is not NOBODY])
def test_no_foreign_key_cascades_to_a_table_that_is_not_dependent(table: Table) -> None:
    assert _swept_away_with(table) <= set(table.parts)
