"""Refresh tokens, and the exchanges for which each was used.

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IS_FILLED = sa.text("refresh_token IS NOT NULL")


def upgrade():
    """Add the table and the link; no exchange has had a refresh token yet."""
    op.create_table(
        "oauth_refresh_token",
        sa.Column("correlation_id", sa.String(32), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("entity", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("token_generation", sa.Integer(), nullable=False),
        sa.Column("password_mark", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(1000), nullable=False),
        sa.Column("has_all_scopes", sa.Boolean(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_refresh_token_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_oauth_refresh_token_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f("pk_oauth_refresh_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_oauth_refresh_token_token_hash")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_oauth_refresh_token_entity_user"), "oauth_refresh_token", ["entity", "user"])
    op.create_index(op.f("ix_oauth_refresh_token_user"), "oauth_refresh_token", ["user"])
    op.add_column("oauth_exchange", sa.Column("refresh_token", sa.String(32), nullable=True))
    op.create_index(
        op.f("ix_oauth_exchange_refresh_token"),
        "oauth_exchange",
        ["refresh_token"],
        sqlite_where=IS_FILLED,
        postgresql_where=IS_FILLED,
    )


def downgrade():
    """Drop both; access tokens from a refresh token stay valid until they expire."""
    op.drop_index(op.f("ix_oauth_exchange_refresh_token"), table_name="oauth_exchange")
    op.drop_column("oauth_exchange", "refresh_token")
    op.drop_table("oauth_refresh_token")
