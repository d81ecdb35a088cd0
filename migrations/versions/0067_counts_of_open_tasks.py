"""An index on PostgreSQL that counts open tasks, and those of an integration: docs/decisions/0033.

Revision: 0067, after 0066.
"""

from alembic import op

from changegate.database.schema import create_index_online

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

TABLE = "task"
BEFORE, AFTER = "ix_task_oauth_entity_counts", "ix_task_active_counts"


def upgrade():
    """Create the index, which replaces one of the same columns that begins with the integration."""
    if op.get_bind().dialect.name == "postgresql":
        create_index_online(AFTER, TABLE, ["active", "sys_class_name", "oauth_entity"])
        op.drop_index(BEFORE, TABLE)


def downgrade():
    """Restore the former index."""
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(BEFORE, TABLE, ["oauth_entity", "active", "sys_class_name"])
        op.drop_index(AFTER, TABLE)
