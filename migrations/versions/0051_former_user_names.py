"""The index of former user IDs, for finding the users who had one.

Revision: 0051, after 0050.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_sys_audit_former_user_name", "sys_audit"
ROWS = sa.text("tablename = 'sys_user' AND fieldname = 'user_name'")


def upgrade():
    """Create the index, without blocking writers."""
    columns = [sa.func.lower(sa.column("oldvalue"))]
    create_index_online(NAME, TABLE, columns, sqlite_where=ROWS, postgresql_where=ROWS)


def downgrade():
    """Drop the index."""
    op.drop_index(NAME, TABLE)
