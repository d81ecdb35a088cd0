"""Links that set a password or confirm an email, found by the hash of their secret.

Revision: 0045, after 0044.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

LINK = "account_link"


def upgrade():
    """Create the table."""
    op.create_table(
        LINK,
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("email", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{LINK}_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f(f"pk_{LINK}")),
    )
    op.create_index(op.f(f"ix_{LINK}_user"), LINK, ["user"])
    op.create_index(op.f(f"ix_{LINK}_expires_at"), LINK, ["expires_at"])


def downgrade():
    """Drop the table: every link ends."""
    op.drop_table(LINK)
