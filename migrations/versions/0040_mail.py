"""Mail: the outbox.

Revision: 0040, after 0039.
"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

MAIL = "sys_email"


def upgrade():
    """Create the table."""
    op.create_table(
        MAIL,
        sa.Column("recipients", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body_text", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("error_string", sa.String(length=255), nullable=True),
        sa.Column("target_table", sa.String(length=80), nullable=True),
        sa.Column("instance", sa.String(length=32), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_body", sa.Text(), nullable=True),
        sa.Column("mail_key", sa.String(length=255), nullable=True),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{MAIL}")),
        sa.UniqueConstraint("mail_key", name=op.f(f"uq_{MAIL}_mail_key")),
    )
    op.create_index("ix_sys_email_state_send_at", MAIL, ["state", "send_at"])
    op.create_index("ix_sys_email_sys_created_on", MAIL, ["sys_created_on"])


def downgrade():
    """Drop the table: mail that was not sent is lost."""
    op.drop_table(MAIL)
