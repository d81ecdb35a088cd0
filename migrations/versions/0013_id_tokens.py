"""Since when an integration's ID tokens must have been issued.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade():
    """Add the column; no such token is revoked yet."""
    op.add_column("oauth_entity", sa.Column("tokens_valid_from", sa.DateTime(timezone=True), nullable=True))


def downgrade():
    """Drop it; tokens that were ended all at once work again until they expire."""
    op.drop_column("oauth_entity", "tokens_valid_from")
