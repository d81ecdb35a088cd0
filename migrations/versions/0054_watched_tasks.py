"""An index of the tasks that people watch: docs/queries.md.

Revision: 0054, after 0053.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

NAME = "ix_task_watched"


def upgrade():
    """Create the index, which contains few tasks."""
    columns, where = ["active", "sys_class_name", "sys_created_on", "sys_id"], sa.text("watch_list IS NOT NULL")
    create_index_online(NAME, "task", columns, sqlite_where=where, postgresql_where=where)


def downgrade():
    """Drop the index."""
    op.drop_index(NAME, "task", if_exists=True)
