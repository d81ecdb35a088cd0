"""Change tasks that were put on hold with their change.

Revision: 0032, after 0031.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade():
    """Add the column. Tasks that are on hold now count as held by hand."""
    op.add_column("task", sa.Column("is_held_by_change", sa.Boolean()))


def downgrade():
    """Drop the column."""
    op.drop_column("task", "is_held_by_change")
