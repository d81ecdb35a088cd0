"""What the other connection types need of an integration: a user claim, and refresh tokens.

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade():
    """Add the columns; what is there keeps to sub, and gives no refresh tokens."""
    op.add_column("oauth_entity", sa.Column("user_claim", sa.String(100), server_default="sub", nullable=False))
    op.add_column(
        "oauth_entity", sa.Column("issue_refresh_tokens", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(
        "oauth_entity",
        sa.Column("refresh_token_lifespan_seconds", sa.Integer(), server_default="8640000", nullable=False),
    )


def downgrade():
    """Drop the columns, and integrations of the types that came with them: as JWT bearer they would mean another."""
    op.execute(sa.text("DELETE FROM oauth_entity WHERE type <> 'jwt_bearer'"))
    op.drop_column("oauth_entity", "refresh_token_lifespan_seconds")
    op.drop_column("oauth_entity", "issue_refresh_tokens")
    op.drop_column("oauth_entity", "user_claim")
