"""Preferences of users, and saved filters of lists.

Revision: 0036, after 0035.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

PREFERENCE, FILTER = "sys_user_preference", "sys_filter"


def upgrade():
    """Create both tables; lists find the filters of a table and of a user."""
    op.create_table(
        PREFERENCE,
        *record_columns(),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{PREFERENCE}_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{PREFERENCE}")),
        sa.UniqueConstraint("user", "name", name=op.f(f"uq_{PREFERENCE}_user_name")),
    )
    op.create_table(
        FILTER,
        *record_columns(),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("table", sa.String(length=80), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{FILTER}_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{FILTER}")),
    )
    for name in ("table", "user"):
        op.create_index(op.f(f"ix_{FILTER}_{name}"), FILTER, [name])


def downgrade():
    """Drop both tables: the settings of lists are lost."""
    op.drop_table(FILTER)
    op.drop_table(PREFERENCE)


def record_columns():
    """Return the columns that every table has."""
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )
