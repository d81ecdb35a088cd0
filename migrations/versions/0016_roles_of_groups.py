"""Roles that the members of a group hold.

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE = "sys_group_has_role"


def upgrade():
    """Create the table of the assignments."""
    op.create_table(
        TABLE,
        sa.Column("group", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        *(
            sa.ForeignKeyConstraint([name], [key], name=op.f(f"fk_{TABLE}_{name}"), ondelete="CASCADE")
            for name, key in (("group", "sys_user_group.sys_id"), ("role", "sys_user_role.sys_id"))
        ),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{TABLE}")),
        sa.UniqueConstraint("group", "role", name=op.f(f"uq_{TABLE}_group_role")),
    )
    for name in ("group", "role"):
        op.create_index(op.f(f"ix_{TABLE}_{name}"), TABLE, [name])


def downgrade():
    """Forget the assignments."""
    op.drop_table(TABLE)
