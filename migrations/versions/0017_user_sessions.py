"""Sessions of the console, so that the server can end them.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade():
    """Create the table. Sessions from before are not in it, so all users sign in again."""
    op.create_table(
        "sys_user_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f("fk_sys_user_session_user_sys_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sys_user_session")),
    )
    op.create_index(op.f("ix_sys_user_session_user"), "sys_user_session", ["user"])
    op.create_index(op.f("ix_sys_user_session_expires_at"), "sys_user_session", ["expires_at"])


def downgrade():
    """Drop the table; the previous release keeps its sessions in cookies alone."""
    op.drop_table("sys_user_session")
