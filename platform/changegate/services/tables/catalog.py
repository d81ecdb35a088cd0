"""Which tables the Table API serves. Adding one is a model and an entry here."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, bindparam, or_

from changegate.errors import TableUnknown
from changegate.models import ChangeRequest, CmdbCi, SysUser, SysUserGroup, Task
from changegate.models.change_request import CHANGE_STATES
from changegate.services.changes.rules import ChangeRules
from changegate.services.tables.registry import ANYONE, OWNER, Access, NoRules, Roles, Table
from changegate.services.users import UserRules

CHANGE_READERS: Roles = frozenset({"itil", "sn_change_read", "sn_change_write", "change_manager"})
CHANGE_WRITERS: Roles = frozenset({"itil", "sn_change_write", "change_manager"})
CHANGE_MANAGERS: Roles = frozenset({"change_manager"})
ADMINISTRATORS: Roles = frozenset({"admin"})
REFERENCE_DATA = Access(read=ANYONE, create=ADMINISTRATORS, update=ADMINISTRATORS, delete=ADMINISTRATORS)
JOURNAL_FIELDS = ("approval_history", "comments", "comments_and_work_notes", "work_notes")


def _own_changes(table: Table) -> ColumnElement[bool]:
    """Return the clause for what a caller asked for or opened himself."""
    columns = table.columns
    return or_(columns["requested_by"] == bindparam(OWNER, None), columns["opened_by"] == bindparam(OWNER, None))


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            name="change_request",
            label="Change Request",
            model=ChangeRequest,
            display_field="number",
            access=Access(read=ANYONE, create=CHANGE_WRITERS, update=CHANGE_WRITERS, delete=CHANGE_MANAGERS),
            rules=ChangeRules(),
            own_rows=_own_changes,
            reads_all=CHANGE_READERS,
            classes=("change_request",),
            choices={"state": CHANGE_STATES},
            blank_fields=(*JOURNAL_FIELDS, "sys_tags", "variables"),
        ),
        Table(
            name="sys_user",
            label="User",
            model=SysUser,
            display_field="name",
            access=REFERENCE_DATA,
            rules=UserRules(),
            blank_fields=("sys_tags",),
        ),
    )
}
# Tables that others refer to: their records have names to show, and are not served yet.
REFERENCED: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("sys_user_group", "Group", SysUserGroup, "name", REFERENCE_DATA, NoRules()),
        Table("cmdb_ci", "Configuration Item", CmdbCi, "name", REFERENCE_DATA, NoRules()),
        Table("task", "Task", Task, "number", REFERENCE_DATA, NoRules()),
    )
}


def get_table(name: str) -> Table:
    """Return a served table; raises `TableUnknown`."""
    try:
        return TABLES[name]
    except KeyError:
        raise TableUnknown(name) from None


def find_table(name: str) -> Table | None:
    """Return a table by name, served or only referred to."""
    return TABLES.get(name) or REFERENCED.get(name)
