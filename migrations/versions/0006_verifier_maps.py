"""Keys that are stored with their integration: certificates and shared keys by verifier map.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    """Add the tables, and what an exchange reads of them."""
    op.create_table("sys_certificate", *certificate_columns())
    op.create_table("jwt_verifier_map", *map_columns())
    op.add_column("oauth_entity", sa.Column("static_keys", sa.Text(), nullable=True))


def downgrade():
    """Drop the keys: integrations that have no others refuse every assertion."""
    op.drop_column("oauth_entity", "static_keys")
    op.drop_table("jwt_verifier_map")
    op.drop_table("sys_certificate")


def record_columns():
    """Return what every record has."""
    return [
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    ]


def certificate_columns():
    """Return the columns and constraints of a certificate."""
    return [
        *record_columns(),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("pem_certificate", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=1000), nullable=False),
        sa.Column("issuer", sa.String(length=1000), nullable=False),
        sa.Column("serial_number", sa.String(length=64), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("thumbprint", sa.String(length=43), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_sys_certificate")),
    ]


def map_columns():
    """Return the columns and constraints of a verifier map."""
    return [
        *record_columns(),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kid", sa.String(length=256), nullable=True),
        sa.Column("sys_certificate", sa.String(length=32), nullable=True),
        sa.Column("shared_key", sa.Text(), nullable=True),
        sa.Column("enforce_dates", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f("fk_jwt_verifier_map_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sys_certificate"],
            ["sys_certificate.sys_id"],
            name=op.f("fk_jwt_verifier_map_sys_certificate"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_jwt_verifier_map")),
        sa.UniqueConstraint("entity", "name", name=op.f("uq_jwt_verifier_map_entity_name")),
    ]
