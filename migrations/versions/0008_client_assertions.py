"""Client assertions that were taken.

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    """Add the table; what it holds is of no use after an hour."""
    op.create_table(
        "oauth_client_assertion",
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("claim", name=op.f("pk_oauth_client_assertion")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_oauth_client_assertion_expires_at"), "oauth_client_assertion", ["expires_at"])


def downgrade():
    """Drop the replay keys: for some minutes, assertions could be sent again."""
    op.drop_table("oauth_client_assertion")
