"""Identity providers for single sign-on, their claim mappings, and what these have given to users.

Revision: 0042, after 0041.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

PROVIDER, MAPPING, GRANT = "oidc_provider_configuration", "oidc_claim_mapping", "oidc_grant"
SESSION = "sys_user_session"


def upgrade():
    """Create the tables; existing sessions began with a password."""
    op.create_table(
        PROVIDER,
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("alias", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("client_secret", sa.Text()),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("create_users", sa.Boolean(), nullable=False),
        *(sa.Column(f"{name}_claim", sa.String(length=100), nullable=False) for name in ("user_name", "name", "email")),
        *_columns_of_records(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{PROVIDER}")),
        *(sa.UniqueConstraint(name, name=op.f(f"uq_{PROVIDER}_{name}")) for name in ("name", "alias")),
    )
    op.create_table(
        MAPPING,
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("claim", sa.String(length=100), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("group", sa.String(length=32)),
        sa.Column("role", sa.String(length=32)),
        *_columns_of_records(),
        _reference(MAPPING, "provider", PROVIDER),
        _reference(MAPPING, "group", "sys_user_group"),
        _reference(MAPPING, "role", "sys_user_role"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{MAPPING}")),
    )
    op.create_index(op.f(f"ix_{MAPPING}_provider"), MAPPING, ["provider"])
    op.create_table(
        GRANT,
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("record", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        _reference(GRANT, "user", "sys_user"),
        sa.PrimaryKeyConstraint("provider", "record", name=op.f(f"pk_{GRANT}")),
    )
    op.create_index(op.f(f"ix_{GRANT}_user"), GRANT, ["user"])
    op.add_column(SESSION, sa.Column("provider", sa.String(length=32)))


def downgrade():
    """Drop the tables, and end the sessions that began with a provider."""
    op.execute("DELETE FROM sys_user_session WHERE provider IS NOT NULL")
    op.drop_column(SESSION, "provider")
    for table in (GRANT, MAPPING, PROVIDER):
        op.drop_table(table)


def _columns_of_records():
    by, at = sa.String(length=40), sa.DateTime(timezone=True)
    yield sa.Column("sys_id", sa.String(length=32), nullable=False)
    for verb in ("created", "updated"):
        yield sa.Column(f"sys_{verb}_on", at, nullable=False)
        yield sa.Column(f"sys_{verb}_by", by, nullable=False)
    yield sa.Column("sys_mod_count", sa.Integer(), nullable=False)


def _reference(table, column, target):
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{target}.sys_id"], name=name, ondelete="CASCADE")
