"""The rules for writes of configuration items, as far as changes are about them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import Task, TaskCi, TaskCmdbCiService
from changegate.services.access.caller import Caller
from changegate.services.approvals.bound import bound_changes
from changegate.services.approvals.content import AFFECTED_CIS
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.process.conflict_checks import check_conflicts, promise_around
from changegate.services.process.edits import after_edit, after_item
from changegate.services.process.freezes import keep_removed_in_freezes
from changegate.services.process.recording import record_edits
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing.records import write_changes
from changegate.services.users.roles import refuse_tokens

WINDOWS_REFUSED = "An access token cannot change the maintenance schedule of a configuration item"
TASK_FIXED = "task: the field cannot change. Delete the record and create it for the other task"


class _RowRules(Rules):
    """Rules of rows that belong to a change, which is locked first."""

    task_of: Prepared

    def before_create(self, values: Values, caller: Caller) -> None:
        """Lock the change."""
        if values.get("task"):
            lock_change(values["task"])

    def before_lock(self, sys_id: str) -> None:
        """Lock the change first."""
        row = self.task_of.first({"row": sys_id})
        if row is not None:
            lock_change(row.task)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse to move the row to another task."""
        if changes.get("task", record["task"]) != record["task"]:
            raise OperationFailed(TASK_FIXED)


class AffectedCiRules(_RowRules):
    """Rules of task_ci: the affected CIs are part of what the approval of a change covers."""

    task_of = Prepared(select(TaskCi.task).where(TaskCi.sys_id == parameter("row")))

    def after_create(self, values: Values, caller: Caller) -> None:
        """Void the answers that depend on the affected CIs."""
        after_item(values["task"], AFFECTED_CIS, None, values["ci_item"], caller, has_conflicts=True)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Void the answers that depend on the affected CIs."""
        if "ci_item" in changes:
            after_item(record["task"], AFFECTED_CIS, record["ci_item"], changes["ci_item"], caller, has_conflicts=True)

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Void the answers that depend on the affected CIs."""
        after_item(record["task"], AFFECTED_CIS, record["ci_item"], None, caller, has_conflicts=True)

    def after_removal(self, field: str, record: Mapping[str, Any], caller: Caller) -> None:
        """Leave the answers as they are if the whole task is deleted.

        If the item is deleted, so are its conflicts, and jobs check its changes again: they are locked one by one here.
        """
        if field != "task":
            after_item(record["task"], AFFECTED_CIS, record["ci_item"], None, caller)


class ImpactedServiceRules(_RowRules):
    """Rules of task_cmdb_ci_service: a freeze may cover a change because of the services that it impacts."""

    task_of = Prepared(select(TaskCmdbCiService.task).where(TaskCmdbCiService.sys_id == parameter("row")))

    def after_create(self, values: Values, caller: Caller) -> None:
        """Look for conflicts with freezes of the service."""
        _check_conflicts_of(values["task"], caller)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Look for conflicts with freezes of the other service, and refuse to take a change out of a freeze."""
        _check_conflicts_of(record["task"], caller, record["cmdb_ci_service"])

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Look for conflicts without the service, and refuse to take a change out of a freeze."""
        _check_conflicts_of(record["task"], caller, record["cmdb_ci_service"])


def _check_conflicts_of(sys_id: str, caller: Caller, *removed: str) -> None:
    change = lock_change(sys_id)
    if change is not None:
        keep_removed_in_freezes(change, removed, change, caller)
        check_conflicts(change, caller)


class CiRules(Rules):
    """Rules of cmdb_ci: a change is no longer what was approved when its item is deleted."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse a token that would give the item maintenance windows."""
        if values.get("maintenance_schedule"):
            refuse_tokens(caller, WINDOWS_REFUSED)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would give the item other maintenance windows."""
        if "maintenance_schedule" in changes:
            refuse_tokens(caller, WINDOWS_REFUSED)

    def before_lock(self, sys_id: str) -> None:
        """Lock the changes about the item first, in a fixed order."""
        columns = Task.__table__.c
        affected = select(TaskCi.task).where(TaskCi.ci_item == sys_id)
        is_about = or_(columns["cmdb_ci"] == sys_id, columns["sys_id"].in_(affected))
        for change in _list_bound(is_about):
            lock_change(change)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Promise to check the changes on an item again that has other maintenance windows."""
        if "maintenance_schedule" in changes:
            promise_around(record["sys_id"])

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Empty the references of bound changes as an edit; the engine empties those of other records."""
        is_about = Task.__table__.c["cmdb_ci"] == record["sys_id"]
        for sys_id in _list_bound(is_about):
            change = lock_change(sys_id)
            if change is not None:
                record_edits(change, {"cmdb_ci": None}, caller)
                write_changes(changes_table(), change, {"cmdb_ci": None}, caller)
                after_edit(sys_id, {"cmdb_ci"}, caller)


def _list_bound(condition: ColumnElement[bool]) -> list[str]:
    """Return the changes that are bound to their approvals and fulfill a condition."""
    columns = Task.__table__.c
    statement = select(columns["sys_id"]).where(bound_changes(), condition).order_by(columns["sys_id"])
    return list(connection().execute(statement).scalars())
