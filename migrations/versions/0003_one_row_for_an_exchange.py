"""One row for an exchange: event, token, and the assertion's replay key.

Revision: 0003, after 0002.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENT_COLUMNS = (
    *("correlation_id", "happened_at", "address", "entity", "client_id", "is_accepted", "reason", "detail"),
    *("kid", "algorithm", "issuer", "subject", "jti_digest", "report"),
)


def upgrade():
    """Carry events and replay keys over. Tokens issued before are of the former kind and end here."""
    # SQLite alters in place, with no copy of a table that others refer to.
    op.add_column("oauth_entity", sa.Column("token_generation", sa.Integer(), nullable=False, server_default="0"))
    exchange = op.create_table(
        "oauth_exchange",
        *event_columns(),
        sa.Column("assertion_claim", sa.String(length=64), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("token_generation", sa.Integer(), nullable=True),
        sa.Column("user", sa.String(length=32), nullable=True),
        sa.Column("scope", sa.String(length=1000), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_exchange_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_oauth_exchange_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f("pk_oauth_exchange")),
        sa.UniqueConstraint("assertion_claim", name=op.f("uq_oauth_exchange_assertion_claim")),
        sqlite_with_rowid=False,
    )
    event = sa.table("oauth_token_event", *(sa.column(name) for name in EVENT_COLUMNS))
    op.execute(sa.insert(exchange).from_select(EVENT_COLUMNS, sa.select(event)))
    keep_replay_keys(exchange)
    op.create_index(op.f("ix_oauth_exchange_entity_correlation_id"), "oauth_exchange", ["entity", "correlation_id"])
    for name in ("oauth_token_event", "oauth_jti", "oauth_credential"):
        op.drop_table(name)


def keep_replay_keys(exchange):
    """Give each replay key to the event of the exchange that stored it."""
    used = sa.table("oauth_jti", *(sa.column(name) for name in ("entity", "issuer", "digest")))
    columns = exchange.c
    made_by = sa.and_(columns.entity == used.c.entity, columns.jti_digest == used.c.digest, columns.is_accepted)
    made = sa.select(sa.func.min(columns.correlation_id), used).join(used, made_by)
    for correlation_id, entity, issuer, digest in op.get_bind().execute(made.group_by(*used.c)).all():
        material = b"\0".join((entity.encode(), issuer.encode(), bytes.fromhex(digest)))
        kept = {"assertion_claim": hashlib.sha256(material).hexdigest()}
        op.execute(sa.update(exchange).where(columns.correlation_id == correlation_id).values(kept))


def downgrade():
    """Return to three tables. Tokens end here, and replay keys are lost: digests do not reveal them."""
    op.create_table(
        "oauth_credential",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assertion_issuer", sa.String(length=255), nullable=True),
        sa.Column("assertion_subject", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_credential_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_oauth_credential_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_oauth_credential")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_oauth_credential_expires_at"), "oauth_credential", ["expires_at"])
    op.create_table(
        "oauth_jti",
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_jti_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity", "issuer", "digest", name=op.f("pk_oauth_jti")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_oauth_jti_expires_at"), "oauth_jti", ["expires_at"])
    event = op.create_table(
        "oauth_token_event",
        *event_columns(),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_oauth_token_event_entity"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f("pk_oauth_token_event")),
        sqlite_with_rowid=False,
    )
    exchange = sa.table("oauth_exchange", *(sa.column(name) for name in EVENT_COLUMNS))
    op.execute(sa.insert(event).from_select(EVENT_COLUMNS, sa.select(exchange)))
    op.create_index(
        op.f("ix_oauth_token_event_entity_correlation_id"), "oauth_token_event", ["entity", "correlation_id"]
    )
    op.drop_table("oauth_exchange")
    op.drop_column("oauth_entity", "token_generation")


def event_columns():
    """Return fresh columns that both forms of an event have."""
    return [
        sa.Column("correlation_id", sa.String(length=32), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("entity", sa.String(length=32), nullable=True),
        sa.Column("client_id", sa.String(length=100), nullable=True),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("kid", sa.String(length=256), nullable=True),
        sa.Column("algorithm", sa.String(length=20), nullable=True),
        sa.Column("issuer", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("jti_digest", sa.String(length=64), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
    ]
