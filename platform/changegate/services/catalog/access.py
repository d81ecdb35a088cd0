"""Access to tables: roles by operation, and clauses for the rows that are a caller's own.

See docs/reference/change-records.md#related-tables.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    and_,
    literal,
    not_,
    or_,
    select,
)

from changegate.database.alternatives import Alternatives
from changegate.database.by_dialect import ByDialect
from changegate.database.prepared import parameter
from changegate.models import OAuthEntity, SysapprovalApprover, SysUserDelegate, SysUserGroupMember, Task
from changegate.models.base import UTCDateTime
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.tables.registry import ANYONE, NOW, OWNER, TABLES, Access, Roles, Table

CHANGE_READERS: Roles = frozenset({"itil", "sn_change_read", "sn_change_write", "change_manager"})
CHANGE_WRITERS: Roles = frozenset({"itil", "sn_change_write", "change_manager"})
CHANGE_MANAGERS: Roles = frozenset({"change_manager"})
ADMINISTRATORS: Roles = frozenset({"admin"})

REFERENCE_DATA = Access(read=ANYONE, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS)
ONLY_ADMINISTRATORS = Access(read=ADMINISTRATORS, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS)
READ_BY_ANYONE = Access(read=ANYONE)
READ_BY_INTEGRATION_ADMINISTRATORS = Access(read=INTEGRATION_ADMINISTRATORS)

# Journals for the people who work on a task; requesters cannot read them.
INTERNAL_JOURNALS = ("work_notes",)
TASK_TABLES = ("task", "change_request", "change_task")


def own_tasks(table: Table) -> ColumnElement[bool]:
    """Return the clause for the tasks that the caller requested or opened, or whose integration the caller owns.

    The tasks of such changes are included.
    """
    # No record of another class belongs to a change.
    return _is_own_task(table.source, may_belong=not table.classes or "change_request" in table.columns)


def own_approvals(table: Table) -> ColumnElement[bool]:
    """Return the clause for approvals that the caller may answer, also as a delegate, and for those of own tasks."""
    return _is_own_approval(table.source)


def rows_of_own_tasks(column: str) -> Any:
    """Return the `own_rows` of a table whose rows belong to the task in `column`."""

    def own_rows(table: Table) -> ColumnElement[bool]:
        return _is_of_own_task(table.source.c[column])

    return own_rows


def own_history(table: Table) -> ColumnElement[bool]:
    """Return the clause for the history of the caller's own tasks."""
    return and_(_is_about_task(table.source), _is_of_own_task(table.source.c["subject_id"]))


def history_of_existing(table: Table) -> ColumnElement[bool]:
    """Return the clause for history that is not that of a deleted task."""
    tasks = Task.__table__.alias()
    return or_(not_(_is_about_task(table.source)), table.source.c["subject_id"].in_(select(tasks.c["sys_id"])))


def own_journals(table: Table) -> ColumnElement[bool]:
    """Return the clause for journal entries of the caller's own tasks, without internal journals."""
    is_internal = or_(*(table.source.c["element"] == name for name in INTERNAL_JOURNALS))
    return and_(_is_of_own_task(table.source.c["element_id"]), not_(is_internal))


def rows_of_caller(table: Table) -> ColumnElement[bool]:
    """Return the clause for the rows about the caller, such as the assignments of roles."""
    is_own: ColumnElement[bool] = table.source.c["user"] == parameter(OWNER)
    return is_own


def own_and_shared_rows(table: Table) -> ColumnElement[bool]:
    """Return the clause for the rows about the caller, and for those about no user."""
    return or_(rows_of_caller(table), table.source.c["user"].is_(None))


def own_delegations(table: Table) -> ColumnElement[bool]:
    """Return the clause for delegations from and to the caller."""
    return or_(rows_of_caller(table), table.source.c["delegate"] == parameter(OWNER))


def roles_of_own_groups(table: Table) -> ColumnElement[bool]:
    """Return the clause for the assignments of roles to the caller's groups."""
    return is_own_group(table.source.c["group"])


def own_attachments(table: Table) -> ColumnElement[bool]:
    """Return the clause for attachments of records that the caller may see: own tasks, own approvals, public data."""
    of_table, of_record = table.source.c["table_name"], table.source.c["table_sys_id"]
    is_public, is_of_task = _is_of_read_table(of_table, ANYONE), or_(*(of_table == name for name in TASK_TABLES))
    is_of_approval = of_table == "sysapproval_approver"
    approvals = SysapprovalApprover.__table__.alias()
    is_own_approval = _is_own_approval(approvals)
    own = select(literal(1)).select_from(approvals).where(approvals.c["sys_id"] == of_record, is_own_approval)
    own_ids = is_own_approval.select_all(approvals.c["sys_id"])
    return Alternatives(
        is_public,
        and_(is_of_task, of_record.in_(_own_task_ids())),
        and_(is_of_approval, of_record.in_(own_ids)),
        check=or_(
            is_public,
            and_(is_of_task, _refers_to_own_task(of_record)),
            and_(is_of_approval, own.correlate(table.source).exists()),
        ),
    )


def attachments_of_changes(table: Table) -> ColumnElement[bool]:
    """Return the clause for attachments of records that everybody with one of the roles `CHANGE_READERS` may read."""
    return _is_of_read_table(table.source.c["table_name"], CHANGE_READERS)


def audit_of_tasks(table: Table) -> ColumnElement[bool]:
    """Return the clause for the audit trail of tasks; that of users is only for administrators."""
    return or_(*(table.source.c["tablename"] == name for name in TASK_TABLES))


def is_own_group(group: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the clause for references to groups that the caller is a member of."""
    # An alias: a statement that reads members itself would otherwise leave out the FROM of the subquery.
    members = SysUserGroupMember.__table__.alias().c
    return group.in_(select(members["group"]).where(members["user"] == parameter(OWNER)))


def own_integrations(table: Table) -> ColumnElement[bool]:
    """Return the clause for the integrations that the caller owns, also as a member of the owner group."""
    return _is_owned(table.source)


def rows_of_own_integrations(table: Table) -> ColumnElement[bool]:
    """Return the clause for rows that belong to an integration that the caller owns."""
    return table.source.c["entity"].in_(_own_integration_ids())


def _is_of_read_table(name: ColumnElement[Any], roles: Roles) -> ColumnElement[bool]:
    """Return the clause for names of tables whose records each of some roles may read, or every caller, without one."""
    hidden = sorted(table.name for table in TABLES.values() if not _is_read_in_full(table, roles))
    return and_(*(name != each for each in hidden))


def _is_read_in_full(table: Table, roles: Roles) -> bool:
    readers = table.access.read if table.own_rows is None else table.reads_all
    is_public = table.own_rows is None and not readers
    return is_public or (bool(roles) and roles <= readers)


def _is_owned(source: FromClause) -> ColumnElement[bool]:
    return or_(source.c["owner"] == parameter(OWNER), is_own_group(source.c["owner_group"]))


def _own_integration_ids() -> Select[Any]:
    integrations = OAuthEntity.__table__.alias()
    return select(integrations.c["sys_id"]).where(_is_owned(integrations))


def _is_about_task(source: FromClause) -> ColumnElement[bool]:
    return or_(*(source.c["subject_table"] == name for name in TASK_TABLES))


def _is_own_task(source: FromClause, *, may_belong: bool) -> Alternatives:
    """Return the clause for changes that the caller asked for, and, with `may_belong`, for the tasks of these changes.

    SQLite expects many rows of one integration, so these are found by their sys_ids: it would use another index.
    """
    asked_for = [source.c[name] == parameter(OWNER) for name in ("requested_by", "opened_by")]
    is_owned = source.c["oauth_entity"].in_(_own_integration_ids())
    tasks = Task.__table__.alias().c
    owned_ids = select(tasks["sys_id"]).where(tasks["oauth_entity"].in_(_own_integration_ids()))
    alternatives = (*asked_for, ByDialect(source.c["sys_id"].in_(owned_ids), is_owned))
    check = or_(*asked_for, is_owned)
    if not may_belong:
        return Alternatives(*alternatives, check=check)
    change, is_asked_for = source.c["change_request"], partial(_is_own_task, may_belong=False)
    check = or_(check, _refers_to_task(change, is_asked_for))
    return Alternatives(*alternatives, change.in_(_ids_of_tasks(is_asked_for)), check=check)


def _is_of_own_task(reference: ColumnElement[Any]) -> ColumnElement[bool]:
    return Alternatives(reference.in_(_own_task_ids()), check=_refers_to_own_task(reference))


def _own_task_ids() -> CompoundSelect[Any]:
    return _ids_of_tasks(partial(_is_own_task, may_belong=True))


def _refers_to_own_task(reference: ColumnElement[Any]) -> ColumnElement[bool]:
    return _refers_to_task(reference, partial(_is_own_task, may_belong=True))


def _ids_of_tasks(condition: Callable[[FromClause], Alternatives]) -> CompoundSelect[Any]:
    # An alias: a statement that reads tasks itself would otherwise leave out the FROM of the subquery.
    tasks = Task.__table__.alias()
    return condition(tasks).select_all(tasks.c["sys_id"])


def _refers_to_task(
    reference: ColumnElement[Any], condition: Callable[[FromClause], ColumnElement[bool]]
) -> ColumnElement[bool]:
    """Return the clause that looks up the referenced task and checks a condition."""
    tasks = Task.__table__.alias()
    referenced = select(literal(1)).select_from(tasks).where(tasks.c["sys_id"] == reference, condition(tasks))
    return referenced.correlate(reference.table).exists()


def _is_own_approval(source: FromClause) -> Alternatives:
    approver = source.c["approver"]
    delegations = SysUserDelegate.__table__.c
    delegating = _delegated(delegations["user"]).where(delegations["approval"].is_(None))
    handed_over = _delegated(delegations["approval"]).where(delegations["approval"].is_not(None))
    alternatives = (approver == parameter(OWNER), approver.in_(delegating), source.c["sys_id"].in_(handed_over))
    task = source.c["sysapproval"]
    return Alternatives(*alternatives, task.in_(_own_task_ids()), check=or_(*alternatives, _refers_to_own_task(task)))


def _delegated(column: Column[Any]) -> Select[Any]:
    """Return the statement for a column of the delegations to the caller that apply now."""
    delegations = SysUserDelegate.__table__.c
    at = parameter(NOW, UTCDateTime())
    is_active = (delegations["approvals"], delegations["starts"] <= at, delegations["ends"] > at)
    return select(column).where(delegations["delegate"] == parameter(OWNER), *is_active)
