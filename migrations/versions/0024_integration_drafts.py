"""Integrations that an administrator has begun to set up and not saved yet.

Revision: 0024, after 0023.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLE = "integration_draft"


def upgrade():
    """Create the table."""
    op.create_table(
        TABLE,
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{TABLE}_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{TABLE}")),
    )
    op.create_index(op.f(f"ix_{TABLE}_user"), TABLE, ["user"])
    op.create_index(op.f(f"ix_{TABLE}_expires_at"), TABLE, ["expires_at"])


def downgrade():
    """Drop the table; drafts are lost."""
    op.drop_table(TABLE)
