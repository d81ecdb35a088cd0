"""Indexes for counts on PostgreSQL, which stores equal entries together: docs/decisions/0033.

Revision: 0060, after 0059.
"""

from alembic import op

from changegate.database.schema import create_index_online

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_task_counts": ["sys_class_name", "assignment_group", "state", "type", "risk"],
    "ix_task_oauth_entity_counts": ["oauth_entity", "active", "sys_class_name"],
}


def upgrade():
    """Create the indexes on PostgreSQL; SQLite would store each entry by itself."""
    if op.get_bind().dialect.name == "postgresql":
        for name, columns in INDEXES.items():
            create_index_online(name, "task", columns)


def downgrade():
    """Drop the indexes."""
    for name in INDEXES:
        op.drop_index(name, "task", if_exists=True)
