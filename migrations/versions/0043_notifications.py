"""Notifications of users.

Revision: 0043, after 0042.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

NOTIFICATION = "notification"


def upgrade():
    """Create the table."""
    op.create_table(
        NOTIFICATION,
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("record", sa.String(length=32), nullable=False),
        sa.Column("author", sa.String(length=151), nullable=True),
        sa.Column("detail", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notification_key", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f(f"fk_{NOTIFICATION}_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{NOTIFICATION}")),
    )
    is_unread = sa.text("read_at IS NULL")
    op.create_index("ix_notification_user_sys_id", NOTIFICATION, ["user", "sys_id"])
    op.create_index("ix_notification_created_at", NOTIFICATION, ["created_at"])
    key = ["notification_key", "user"]
    op.create_index("uq_notification_notification_key_user", NOTIFICATION, key, unique=True)
    options = {"sqlite_where": is_unread, "postgresql_where": is_unread}
    op.create_index("ix_notification_unread", NOTIFICATION, ["user"], **options)


def downgrade():
    """Drop the table."""
    op.drop_table(NOTIFICATION)
