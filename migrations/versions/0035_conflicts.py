"""Relationships of configuration items, impacted services, conflicts, and workers of the Change Management API.

Revision: 0035, after 0034.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

RELATION, IMPACTED, CONFLICT, WORKER = "cmdb_rel_ci", "task_cmdb_ci_service", "conflict", "chg_mgt_worker"
CONFLICT_REFERENCES = (
    "conflicting_change",
    "configuration_item",
    "related_configuration_item",
    "assigned_to",
    "schedule",
)
ASSIGNED, ITEM = "ix_task_assigned_to", "ix_task_cmdb_ci"
EXCLUDED = "exclude_from_conflict_detection"


def upgrade():
    """Create the tables, and the indexes that find the changes planned at the same time."""
    op.create_table(
        RELATION,
        *record_columns(),
        sa.Column("parent", sa.String(length=32), nullable=False),
        sa.Column("child", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        *(belongs_to(RELATION, name, "cmdb_ci") for name in ("parent", "child")),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{RELATION}")),
        sa.UniqueConstraint("parent", "child", "type", name=op.f(f"uq_{RELATION}_parent_child_type")),
    )
    op.create_index(op.f(f"ix_{RELATION}_child"), RELATION, ["child"])
    op.create_table(
        IMPACTED,
        *record_columns(),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("cmdb_ci_service", sa.String(length=32), nullable=False),
        sa.Column("manually_added", sa.Boolean(), nullable=False),
        belongs_to(IMPACTED, "task", "task"),
        belongs_to(IMPACTED, "cmdb_ci_service", "cmdb_ci"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{IMPACTED}")),
        sa.UniqueConstraint("task", "cmdb_ci_service", name=op.f(f"uq_{IMPACTED}_task_cmdb_ci_service")),
    )
    op.create_index(op.f(f"ix_{IMPACTED}_cmdb_ci_service"), IMPACTED, ["cmdb_ci_service"])
    op.create_table(
        CONFLICT,
        *record_columns(),
        sa.Column("change", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.String(length=32)) for name in CONFLICT_REFERENCES),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{CONFLICT}")),
    )
    op.create_index(op.f(f"ix_{CONFLICT}_change"), CONFLICT, ["change"])
    for name in ("conflicting_change", "configuration_item", "assigned_to"):
        index_of_filled(f"ix_{CONFLICT}_{name}", CONFLICT, [name])
    op.create_table(
        WORKER,
        *record_columns(),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(length=32)) for name in ("change", "user", "oauth_entity")),
        sa.Column("request", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("payload", "messages")),
        belongs_to(WORKER, "user", "sys_user", "SET NULL"),
        belongs_to(WORKER, "oauth_entity", "oauth_entity", "SET NULL"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{WORKER}")),
    )
    for name in ("change", "user"):
        op.create_index(op.f(f"ix_{WORKER}_{name}"), WORKER, [name])
    op.add_column("task", sa.Column(EXCLUDED, sa.Boolean()))
    op.drop_index(ASSIGNED, "task")
    for name, column in ((ASSIGNED, "assigned_to"), (ITEM, "cmdb_ci")):
        index_of_filled(name, "task", [column, "end_date", "start_date"])


def downgrade():
    """Drop the tables, the indexes, and the column."""
    for name in (ASSIGNED, ITEM):
        op.drop_index(name, "task")
    index_of_filled(ASSIGNED, "task", ["assigned_to"])
    op.drop_column("task", EXCLUDED)
    for name in (WORKER, CONFLICT, IMPACTED, RELATION):
        op.drop_table(name)


def index_of_filled(name, table, columns):
    is_filled = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, table, columns, sqlite_where=is_filled, postgresql_where=is_filled)


def record_columns():
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )


def belongs_to(table, column, target, on_delete="CASCADE"):
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.sys_id"], name=op.f(f"fk_{table}_{column}"), ondelete=on_delete
    )
