"""Calendar feeds of users, found by the hash of the secret in their address.

Revision: 0039, after 0038.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

FEED = "calendar_feed"


def upgrade():
    """Create the table."""
    op.create_table(
        FEED,
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{FEED}_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f(f"pk_{FEED}")),
    )
    op.create_index(op.f(f"ix_{FEED}_user"), FEED, ["user"])


def downgrade():
    """Drop the table: every feed is revoked."""
    op.drop_table(FEED)
