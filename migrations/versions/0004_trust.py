"""What an integration trusts, and what is kept of an exchange.

Revision: 0004, after 0003.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    """Add the fields. What is registered already goes on as it was: it has always accepted assertions without kid."""
    for column in entity_columns():
        op.add_column("oauth_entity", column)
    entity = sa.table("oauth_entity", *(sa.column(name) for name in ("enable_jti_verification", "replay_policy")))
    kept = sa.update(entity).where(~sa.cast(entity.c.enable_jti_verification, sa.Boolean))
    op.execute(kept.values(replay_policy="reusable-until-exp"))
    op.execute(sa.text("UPDATE oauth_entity SET allow_missing_kid = true"))
    for column in exchange_columns():
        op.add_column("oauth_exchange", column)
    keep_reports()
    op.drop_column("oauth_exchange", "report")
    op.create_table(
        "oauth_entity_key",
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("thumbprint", sa.String(length=43), nullable=False),
        sa.Column("kid", sa.String(length=256), nullable=False),
        sa.Column("algorithms", sa.String(length=100), nullable=False),
        sa.Column("kty", sa.String(length=10), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_entity_key_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity", "thumbprint", "kid", name=op.f("pk_oauth_entity_key")),
    )
    op.create_table(
        "oauth_key_alert",
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("kid", sa.String(length=256), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_key_alert_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_oauth_key_alert")),
    )
    op.create_index(op.f("ix_oauth_key_alert_entity_happened_at"), "oauth_key_alert", ["entity", "happened_at"])


def keep_reports():
    """Carry reports over as they are, which their first byte says: 0."""
    columns = [sa.column("correlation_id"), sa.column("report", sa.JSON()), sa.column("rules", sa.LargeBinary())]
    exchange = sa.table("oauth_exchange", *columns)
    kept = sa.select(exchange.c.correlation_id, exchange.c.report).where(exchange.c.report.is_not(None))
    for correlation_id, report in op.get_bind().execute(kept).all():
        if report is not None:
            rules = {"rules": b"\0" + json.dumps(report).encode()}
            op.execute(sa.update(exchange).where(exchange.c.correlation_id == correlation_id).values(rules))


def downgrade():
    """Drop the fields: conditions, blocked keys and the like no longer hold, and reports are forgotten."""
    for name in ("oauth_key_alert", "oauth_entity_key"):
        op.drop_table(name)
    op.add_column("oauth_exchange", sa.Column("report", sa.JSON(), nullable=True))
    for column in exchange_columns():
        op.drop_column("oauth_exchange", column.name)
    for column in entity_columns():
        op.drop_column("oauth_entity", column.name)


def entity_columns():
    """Return the new columns of an integration."""
    return [
        sa.Column("preset", sa.String(length=40), nullable=True),
        sa.Column("key_source", sa.String(length=40), nullable=False, server_default="jwks_url"),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("blocked_keys", sa.JSON(), nullable=True),
        sa.Column("replay_policy", sa.String(length=40), nullable=False, server_default="jti-required-once"),
        sa.Column("audience_claim", sa.String(length=100), nullable=False, server_default="aud"),
        sa.Column("allow_additional_audiences", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("allow_missing_kid", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("required_typ", sa.String(length=100), nullable=True),
        sa.Column("claim_conditions", sa.JSON(), nullable=True),
        sa.Column("owner", sa.String(length=32), nullable=True),
        sa.Column("review_date", sa.Date(), nullable=True),
        sa.Column("scope_restriction", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("enforce_token_restriction", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]


def exchange_columns():
    """Return the new columns of an exchange."""
    return [
        sa.Column("rules", sa.LargeBinary(), nullable=True),
        sa.Column("claims", sa.LargeBinary(), nullable=True),
        sa.Column("would_refuse", sa.Boolean(), nullable=True),
    ]
