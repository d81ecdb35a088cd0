"""The owner group of an integration.

Revision: 0048, after 0047.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade():
    """Add the column; integrations have no owner group until one is named."""
    op.add_column("oauth_entity", sa.Column("owner_group", sa.String(length=32)))


def downgrade():
    """Drop the column: owner groups are lost."""
    op.drop_column("oauth_entity", "owner_group")
