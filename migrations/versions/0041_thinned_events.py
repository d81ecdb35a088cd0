"""How far the reports of old events have been removed.

Revision: 0041, after 0040.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

WATERMARK, COLUMN = "oauth_exchange_watermark", "thinned_until"


def upgrade():
    """Add the column: no report has been removed yet."""
    op.add_column(WATERMARK, sa.Column(COLUMN, sa.String(length=32), server_default="0" * 32, nullable=False))


def downgrade():
    """Drop the column."""
    op.drop_column(WATERMARK, COLUMN)
