"""Delegations of one approval.

Revision: 0044, after 0043.
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

DELEGATIONS = "sys_user_delegate"


def upgrade():
    """Add the approval: existing delegations are of all approvals."""
    op.add_column(DELEGATIONS, sa.Column("approval", sa.String(length=32), nullable=True))


def downgrade():
    """Drop the column. Without it, a delegation of one approval would be one of all: these end."""
    op.execute(sa.text("DELETE FROM sys_user_delegate WHERE approval IS NOT NULL"))
    op.drop_column(DELEGATIONS, "approval")
