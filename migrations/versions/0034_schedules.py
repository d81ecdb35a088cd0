"""Schedules: freezes, maintenance windows, their spans, and the overrides of freezes.

Revision: 0034, after 0033.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

SCHEDULE, SPAN, OVERRIDE, REVISION = (
    "cmn_schedule",
    "cmn_schedule_span",
    "chg_freeze_override",
    "cmn_schedule_revision",
)
ID = sa.String(length=32)
NAMES = "ix_cmdb_ci_name_lower"
# The tables that it refers to need not be read; SQLAlchemy would warn of their indexes on expressions.
OPTIONS = {"reflect_kwargs": {"resolve_fks": False}}


def upgrade():
    """Create the tables, and the one row that names the state of all schedules."""
    op.create_table(
        SCHEDULE,
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sys_class_name", sa.String(length=40), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("time_zone", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("enforcement", sa.String(length=40)),
        sa.Column("override_role", ID),
        sa.Column("configuration_items", sa.Text()),
        sa.Column("assignment_groups", sa.Text()),
        sa.Column("environments", sa.String(length=1000)),
        sa.Column("change_types", sa.String(length=100)),
        sa.Column("condition", sa.Text()),
        *record_columns(),
        refers_to(SCHEDULE, "override_role", "sys_user_role", "RESTRICT"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{SCHEDULE}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{SCHEDULE}_name")),
    )
    create_spans()
    create_overrides()
    op.create_table(
        REVISION,
        sa.Column("sys_id", ID, nullable=False),
        sa.Column("revision", ID, nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{REVISION}")),
    )
    op.execute("INSERT INTO cmn_schedule_revision (sys_id, revision) VALUES ('all', 'none')")
    with rebuilt_items() as table:
        table.add_column(sa.Column("maintenance_schedule", ID))
        key = op.f("fk_cmdb_ci_maintenance_schedule")
        table.create_foreign_key(key, SCHEDULE, ["maintenance_schedule"], ["sys_id"], ondelete="SET NULL")


def downgrade():
    """Drop the tables and the column."""
    with rebuilt_items() as table:
        table.drop_constraint(op.f("fk_cmdb_ci_maintenance_schedule"), type_="foreignkey")
        table.drop_column("maintenance_schedule")
    for table in (REVISION, OVERRIDE, SPAN, SCHEDULE):
        op.drop_table(table)


@contextmanager
def rebuilt_items():
    """Yield the batch for the table of configuration items, whose index on an expression would not be copied."""
    op.drop_index(NAMES, "cmdb_ci")
    with op.batch_alter_table("cmdb_ci", **OPTIONS) as table:
        yield table
    op.create_index(NAMES, "cmdb_ci", [sa.text("lower(name)")])


def create_spans():
    op.create_table(
        SPAN,
        sa.Column("schedule", ID, nullable=False),
        sa.Column("name", sa.String(length=100)),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("start_date_time", sa.String(length=40), nullable=False),
        sa.Column("end_date_time", sa.String(length=40), nullable=False),
        sa.Column("repeat_type", sa.String(length=40), nullable=False),
        sa.Column("repeat_count", sa.Integer(), nullable=False),
        sa.Column("days_of_week", sa.String(length=7)),
        sa.Column("monthly_type", sa.String(length=40)),
        sa.Column("repeat_until", sa.Date()),
        *record_columns(),
        refers_to(SPAN, "schedule", SCHEDULE, "CASCADE"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{SPAN}")),
    )
    op.create_index(op.f(f"ix_{SPAN}_schedule"), SPAN, ["schedule"])


def create_overrides():
    op.create_table(
        OVERRIDE,
        sa.Column("change_request", ID, nullable=False),
        sa.Column("freeze", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("overridden_by", ID),
        sa.Column("freeze_version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64)),
        *record_columns(),
        refers_to(OVERRIDE, "change_request", "task", "CASCADE"),
        refers_to(OVERRIDE, "freeze", SCHEDULE, "CASCADE"),
        refers_to(OVERRIDE, "overridden_by", "sys_user", "SET NULL"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{OVERRIDE}")),
    )
    op.create_index(op.f(f"ix_{OVERRIDE}_change_request"), OVERRIDE, ["change_request"])


def refers_to(table, column, target, on_delete):
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.sys_id"], name=op.f(f"fk_{table}_{column}"), ondelete=on_delete
    )


def record_columns():
    return (
        sa.Column("sys_id", ID, nullable=False),
        *(
            column
            for name in ("created", "updated")
            for column in (
                sa.Column(f"sys_{name}_on", sa.DateTime(timezone=True), nullable=False),
                sa.Column(f"sys_{name}_by", sa.String(length=40), nullable=False),
            )
        ),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )
