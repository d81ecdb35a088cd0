"""Templates that are offered to people who may not create other changes.

Revision: 0047, after 0046.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

TEMPLATES = "std_change_record_producer"


def upgrade():
    """Add the columns: existing templates are offered to nobody."""
    offered = sa.Column("offered_to_all", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column(TEMPLATES, offered)
    op.add_column(TEMPLATES, sa.Column("offered_to", sa.Text(), nullable=True))


def downgrade():
    """Drop the columns."""
    op.drop_column(TEMPLATES, "offered_to")
    op.drop_column(TEMPLATES, "offered_to_all")
