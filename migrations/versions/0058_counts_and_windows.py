"""Indexes of open changes by group and state, and by pipeline, and of planned windows, for SQLite: docs/queries.md.

Revision: 0058, after 0057.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

TABLE = "task"
PAGE = ("sys_class_name", "sys_created_on", "sys_id")
START, END = (f"CAST(strftime('%s', {name}) AS INTEGER)" for name in ("start_date", "end_date"))
SIZES = (86_400, 691_200, 5_529_600)
KINDS = " ".join(
    f"WHEN (({END} - {START}) < {size}) THEN (({START} / {size}) * 4) + {kind}" for kind, size in enumerate(SIZES)
)
CELL = sa.text(f"CASE {KINDS} ELSE 3 END")
INDEXES = {
    f"ix_{TABLE}_active_state": (
        ["active", "assignment_group", "sys_class_name", "state", "assigned_to"],
        "active = 1",
    ),
    f"ix_{TABLE}_active_pipeline": (["oauth_entity", "active", *PAGE], "active = 1 AND oauth_entity IS NOT NULL"),
    f"ix_{TABLE}_window": (
        [CELL, "start_date", "end_date", "active", "sys_class_name", "sys_id"],
        "start_date IS NOT NULL AND end_date IS NOT NULL",
    ),
}


def upgrade():
    """Create the indexes on SQLite; PostgreSQL needs none of them."""
    if op.get_bind().dialect.name == "sqlite":
        for name, (columns, where) in INDEXES.items():
            create_index_online(name, TABLE, columns, sqlite_where=sa.text(where))


def downgrade():
    """Drop the indexes."""
    for name in INDEXES:
        op.drop_index(name, TABLE, if_exists=True)
