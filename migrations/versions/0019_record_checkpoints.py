"""The count of updates that an audited change made of its record.

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade():
    """Let changes since a version be found; what was audited before has no count."""
    op.add_column("sys_audit", sa.Column("record_checkpoint", sa.Integer(), nullable=True))


def downgrade():
    """Take the count away."""
    op.drop_column("sys_audit", "record_checkpoint")
