"""Keys that sign access tokens in JWT format.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
    """Add the table; the first key is made when it is needed."""
    op.create_table(
        "oauth_token_key",
        sa.Column("kid", sa.String(length=43), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=True),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_oauth_token_key")),
        sa.UniqueConstraint("number", name=op.f("uq_oauth_token_key_number")),
    )


def downgrade():
    """Drop the keys: tokens in JWT format end here."""
    op.drop_table("oauth_token_key")
