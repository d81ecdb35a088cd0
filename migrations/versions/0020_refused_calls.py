"""Refused calls of the APIs and refused logins as events, and how many refusals were left out of the log.

Revision: 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade():
    """Add both columns; the events so far are exchanges, and none stands for others."""
    op.add_column("oauth_exchange", sa.Column("request", sa.String(length=120), nullable=True))
    op.add_column("oauth_exchange", sa.Column("further_refusals", sa.Integer(), nullable=True))


def downgrade():
    """Forget refused calls, which would be taken for exchanges, and drop the columns."""
    op.execute("DELETE FROM oauth_exchange WHERE request IS NOT NULL")
    op.drop_column("oauth_exchange", "further_refusals")
    op.drop_column("oauth_exchange", "request")
