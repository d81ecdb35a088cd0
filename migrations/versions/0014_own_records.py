"""The index that an integration's own records are paged and counted in.

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BY_INTEGRATION = "ix_task_oauth_entity"
IS_FILLED = sa.text("oauth_entity IS NOT NULL")


def upgrade():
    """Let the index hold all that a page and a count ask for, so that neither reads the rows themselves."""
    index("oauth_entity", "sys_created_on", "sys_class_name", "sys_id")


def downgrade():
    """Go back to an index by which the rows are found, and then read for their class."""
    index("oauth_entity", "sys_created_on")


def index(*columns):
    """Give the index these columns."""
    op.drop_index(BY_INTEGRATION, "task")
    op.create_index(op.f(BY_INTEGRATION), "task", columns, sqlite_where=IS_FILLED, postgresql_where=IS_FILLED)
