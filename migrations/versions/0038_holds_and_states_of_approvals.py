"""Since when approvals are on hold, and whether one person may approve in several states.

Revision: 0038, after 0037.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
APPROVALS, POLICIES = "sysapproval_approver", "chg_policy_approval"
# The tables that it refers to need not be read; SQLAlchemy would warn of their indexes on expressions.
OPTIONS = {"reflect_kwargs": {"resolve_fks": False}}


def upgrade():
    """Add the columns. Approvals on hold have been so since they were last written."""
    op.add_column(APPROVALS, sa.Column("held_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE sysapproval_approver SET held_at = sys_updated_on WHERE is_held")
    op.drop_column(APPROVALS, "is_held")
    add_flag(POLICIES, "excludes_earlier", sa.true())
    op.execute("UPDATE job SET kind = 'approvals.recompute' WHERE kind = 'approvals.attend'")


def downgrade():
    """Restore the former column, and drop the new ones."""
    op.execute("UPDATE job SET kind = 'approvals.attend' WHERE kind = 'approvals.recompute'")
    op.drop_column(POLICIES, "excludes_earlier")
    add_flag(APPROVALS, "is_held", sa.false())
    op.execute("UPDATE sysapproval_approver SET is_held = true WHERE held_at IS NOT NULL")
    op.drop_column(APPROVALS, "held_at")


def add_flag(table, name, value):
    """Add a mandatory column that has a value in all existing rows."""
    with op.batch_alter_table(table, **OPTIONS) as altered:
        altered.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=value))
    with op.batch_alter_table(table, **OPTIONS) as altered:
        altered.alter_column(name, server_default=None)
