"""Indexes for the queries of a desk with a million changes: docs/queries.md.

Revision: 0049, after 0048.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

TASK, APPROVAL = "task", "sysapproval_approver"
PAGE = ("sys_class_name", "sys_created_on", "sys_id")
WINDOW = ("end_date", "start_date")
# By name: which rows the index contains (all, those `filled` in the first column, active ones on SQLite), and columns.
OLD = {
    "state_page": ("all", "state", *PAGE),
    "active_page": ("all", "active", "sys_class_name", "sys_created_on", "assignment_group"),
    "sys_created_on": ("all", "sys_created_on", "sys_class_name"),
    "sys_updated_on": ("all", "sys_updated_on", "sys_class_name"),
    "opened_by": ("filled", "opened_by"),
    "requested_by": ("filled", "requested_by"),
    "assignment_group": ("filled", "assignment_group", "sys_class_name", "sys_created_on"),
    "oauth_entity": ("filled", "oauth_entity", "sys_created_on", "sys_class_name", "sys_id"),
    "source_repository_lower": ("filled", "lower(source_repository)"),
    "cmdb_ci": ("filled", "cmdb_ci", *WINDOW),
    "assigned_to": ("filled", "assigned_to", *WINDOW),
}
NEW = {
    "state_page": ("all", "state", "sys_class_name", "sys_created_on", "sys_id", "number"),
    "type_page": ("all", "type", "risk", "active", *PAGE),
    "active_page": ("active", "active", *PAGE, "state", "assignment_group", "type", "risk"),
    "active_group": (
        *("active", "assignment_group", "active", *PAGE),
        *("sys_updated_on", "state", "assigned_to", "number", "start_date"),
    ),
    "group_state": ("all", "assignment_group", "state", *PAGE, "number"),
    "sys_created_on": ("all", "sys_created_on", "sys_id", "sys_class_name"),
    "sys_updated_on": ("all", "sys_updated_on", "sys_id", "sys_class_name"),
    "opened_by": ("filled", "opened_by", "active", *PAGE),
    "requested_by": ("filled", "requested_by", "active", *PAGE),
    "business_service": ("filled", "business_service", "active", *PAGE),
    "assignment_group": ("filled", "assignment_group", *PAGE),
    "oauth_entity": ("filled", "oauth_entity", "sys_created_on", "sys_id", "sys_class_name", "active"),
    "source_repository_lower": ("filled", "lower(source_repository)", *PAGE),
    "cmdb_ci": ("filled", "cmdb_ci", "active", *WINDOW, *PAGE),
    "assigned_to": (
        *("filled", "assigned_to", "active", *WINDOW),
        *("sys_class_name", "sys_updated_on", "sys_created_on", "sys_id"),
    ),
    "start_date": ("filled", "start_date", "sys_id", "sys_class_name", "end_date", "active"),
    "end_date": ("filled", "end_date", "start_date", "active", "sys_class_name", "sys_id"),
    "closed_at": ("filled", "closed_at", *PAGE),
    **{name: ("filled", name) for name in ("closed_by", "task_for", "cab_delegate")},
}
APPROVAL_COLUMNS = ("state", "sys_created_on", "sys_id")


def upgrade():
    """Make the indexes cover counts and pages, and add those of open tasks."""
    put_aside(TASK, OLD)
    put_aside(APPROVAL, ["approver"])
    create(NEW)
    for name in ("approver", "group"):
        create_index_online(f"ix_{APPROVAL}_{name}", APPROVAL, [name, *APPROVAL_COLUMNS])
    drop(APPROVAL, ["approver_old"])
    drop(TASK, [f"{name}_old" for name in OLD])


def downgrade():
    """Restore the indexes of before."""
    drop(APPROVAL, ["approver", "group"])
    create_index_online(op.f(f"ix_{APPROVAL}_approver"), APPROVAL, ["approver"])
    drop(TASK, NEW)
    create(OLD)


def drop(table, names):
    """Drop those of the indexes that exist."""
    for name in names:
        op.drop_index(f"ix_{table}_{name}", table, if_exists=True)


def put_aside(table, names):
    """Make room for indexes of the same names. On PostgreSQL, nodes use the old ones until the others are ready."""
    if op.get_bind().dialect.name == "sqlite":
        drop(table, names)
        return
    for name in names:
        index = f"ix_{table}_{name}"
        # After an attempt that was interrupted, the name is that of a new index.
        if op.get_bind().scalar(sa.text("SELECT to_regclass(:name)"), {"name": f"{index}_old"}) is None:
            op.execute(f"ALTER INDEX IF EXISTS {index} RENAME TO {index}_old")


def create(indexes):
    """Create indexes of tasks."""
    for name, (rows, first, *others) in indexes.items():
        is_filled = sa.text(f"{first} IS NOT NULL") if rows == "filled" else None
        is_active = sa.text("active = 1") if rows == "active" else None
        where = {"sqlite_where": is_active if is_filled is None else is_filled, "postgresql_where": is_filled}
        expressions = [sa.text(first) if "(" in first else first, *others]
        create_index_online(f"ix_{TASK}_{name}", TASK, expressions, **where)
