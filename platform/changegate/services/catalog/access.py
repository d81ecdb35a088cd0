"""Access to tables: roles by operation, and clauses for the rows that are a caller's own.

See docs/reference/change-records.md#related-tables.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    and_,
    not_,
    or_,
    select,
    union_all,
)

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
        return table.source.c[column].in_(_own_task_ids())

    return own_rows


def own_history(table: Table) -> ColumnElement[bool]:
    """Return the clause for the history of the caller's own tasks."""
    return and_(_is_about_task(table.source), table.source.c["subject_id"].in_(_own_task_ids()))


def history_of_existing(table: Table) -> ColumnElement[bool]:
    """Return the clause for history that is not that of a deleted task."""
    tasks = Task.__table__.alias()
    return or_(not_(_is_about_task(table.source)), table.source.c["subject_id"].in_(select(tasks.c["sys_id"])))


def own_journals(table: Table) -> ColumnElement[bool]:
    """Return the clause for journal entries of the caller's own tasks, without internal journals."""
    is_internal = or_(*(table.source.c["element"] == name for name in INTERNAL_JOURNALS))
    return and_(table.source.c["element_id"].in_(_own_task_ids()), not_(is_internal))


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
    approvals = SysapprovalApprover.__table__.alias()
    own_approval_ids = select(approvals.c["sys_id"]).where(_is_own_approval(approvals))
    return or_(
        _is_of_read_table(of_table, ANYONE),
        and_(or_(*(of_table == name for name in TASK_TABLES)), _is_among(of_record, _own_task_ids())),
        and_(of_table == "sysapproval_approver", of_record.in_(own_approval_ids)),
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


def _is_own_task(source: FromClause, *, may_belong: bool) -> ColumnElement[bool]:
    """Return the clause for changes that the caller asked for, and, with `may_belong`, for the tasks of these changes.

    SQLite finds the rows of each alternative by an index, also in the estimate of its planner, which expects many rows
    of one integration: it reads every task if any alternative has none. It would read all own tasks for the sys_id of
    one. PostgreSQL has no index for subqueries among alternatives, but joins the one with the sys_ids.
    """
    owner: BindParameter[Any] = parameter(OWNER)
    alternatives = [
        source.c["requested_by"] == owner,
        source.c["opened_by"] == owner,
        source.c["sys_id"].in_(_ids_of_tasks(lambda tasks: tasks["oauth_entity"].in_(_own_integration_ids()))),
    ]
    if may_belong:
        alternatives.append(source.c["change_request"].in_(_asked_for_ids()))
    return ByDialect(or_(*alternatives), source.c["sys_id"].in_(_own_task_ids() if may_belong else _asked_for_ids()))


def _asked_for_ids() -> CompoundSelect[Any]:
    """Return the statement for the changes that the caller requested or opened, or whose integration they own."""
    return union_all(*_ids_of_asked_for())


def _own_task_ids() -> CompoundSelect[Any]:
    """Return the statement for the caller's own tasks."""
    of_changes = _ids_of_tasks(lambda tasks: tasks["change_request"].in_(_asked_for_ids()))
    return union_all(*_ids_of_asked_for(), of_changes)


def _ids_of_asked_for() -> Iterator[Select[Any]]:
    """Yield statements that each find their rows by an index."""
    owner: BindParameter[Any] = parameter(OWNER)
    yield _ids_of_tasks(lambda tasks: tasks["requested_by"] == owner)
    yield _ids_of_tasks(lambda tasks: tasks["opened_by"] == owner)
    yield _ids_of_tasks(lambda tasks: tasks["oauth_entity"].in_(_own_integration_ids()))


def _ids_of_tasks(clause: Callable[[Mapping[str, Any]], ColumnElement[bool]]) -> Select[Any]:
    # An alias: a statement that reads tasks itself would otherwise leave out the FROM of the subquery.
    tasks = Task.__table__.alias().c
    return select(tasks["sys_id"]).where(clause(dict(tasks)))


def _is_own_approval(source: FromClause) -> ColumnElement[bool]:
    approver = source.c["approver"]
    delegations = SysUserDelegate.__table__.c
    delegating = _delegated(delegations["user"]).where(delegations["approval"].is_(None))
    handed_over = _delegated(delegations["approval"]).where(delegations["approval"].is_not(None))
    is_asked = or_(approver == parameter(OWNER), approver.in_(delegating), source.c["sys_id"].in_(handed_over))
    return or_(is_asked, _is_among(source.c["sysapproval"], _own_task_ids()))


def _is_among(column: ColumnElement[Any], sys_ids: CompoundSelect[Any]) -> ColumnElement[bool]:
    """Return the clause for references to some records, as an alternative to other clauses.

    PostgreSQL compares each row with a hash table of the sys_ids, but only if it expects that they fit into `work_mem`.
    Otherwise, it reads all of them again for each row. It expects few values of DISTINCT.
    """
    return ByDialect(column.in_(sys_ids), column.in_(select(sys_ids.subquery().c["sys_id"]).distinct()))


def _delegated(column: Column[Any]) -> Select[Any]:
    """Return the statement for a column of the delegations to the caller that apply now."""
    delegations = SysUserDelegate.__table__.c
    at = parameter(NOW, UTCDateTime())
    is_active = (delegations["approvals"], delegations["starts"] <= at, delegations["ends"] > at)
    return select(column).where(delegations["delegate"] == parameter(OWNER), *is_active)
