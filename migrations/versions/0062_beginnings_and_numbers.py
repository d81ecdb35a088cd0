"""Indexes for the beginnings of short descriptions, and for the order of numbers on PostgreSQL: docs/queries.md.

Revision: 0062, after 0061.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

TABLE, NUMBER, BEGINNING = "task", "ix_task_number", "ix_task_short_description_lower"
LOWERED = "lower(short_description)"


def upgrade():
    """Create the indexes."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    if is_postgres:
        create_index_online(NUMBER, TABLE, ["sys_class_name", "number", "sys_id"])
    key = sa.text(f"{LOWERED} text_pattern_ops" if is_postgres else LOWERED)
    condition = sa.text(f"{LOWERED} IS NOT NULL")
    create_index_online(
        BEGINNING,
        TABLE,
        [key, "sys_class_name", "sys_created_on", "sys_id"],
        sqlite_where=condition,
        postgresql_where=condition,
        postgresql_include=["short_description"],
    )


def downgrade():
    """Drop the indexes."""
    for name in (NUMBER, BEGINNING):
        op.drop_index(name, TABLE, if_exists=True)
