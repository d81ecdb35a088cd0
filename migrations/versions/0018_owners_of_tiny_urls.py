"""Which integration keeps a query under a tiny URL, and how long the query is.

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE = "sys_tiny_url"


def upgrade():
    """Add both; what is kept already counts by its length."""
    op.add_column(TABLE, sa.Column("entity", sa.String(32)))
    op.add_column(TABLE, sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    kept = sa.table(TABLE, sa.column("query"), sa.column("size"))
    op.execute(kept.update().values(size=sa.func.length(kept.c.query)))


def downgrade():
    """Leave both out."""
    op.drop_column(TABLE, "size")
    op.drop_column(TABLE, "entity")
