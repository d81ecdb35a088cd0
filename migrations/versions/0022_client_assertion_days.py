"""The day on which the client of an integration last authenticated by a signed assertion.

Revision: 0022, after 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade():
    """Add the column; a client is told apart from a public one from its next client assertion on."""
    op.add_column("oauth_entity", sa.Column("last_client_assertion_at", sa.DateTime(timezone=True), nullable=True))


def downgrade():
    """Drop the column."""
    op.drop_column("oauth_entity", "last_client_assertion_at")
