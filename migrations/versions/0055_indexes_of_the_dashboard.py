"""Indexes of changes on hold, and of approvals by state, for the dashboard: docs/queries.md.

Revision: 0055, after 0054.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

TASKS, APPROVALS = "task", "sysapproval_approver"


def upgrade():
    """Create the indexes; few changes are on hold."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    where = sa.text("on_hold = 1" if is_sqlite else "on_hold = true")
    columns = ["active", "sys_class_name", "sys_created_on", "sys_id"]
    create_index_online(f"ix_{TASKS}_on_hold", TASKS, columns, sqlite_where=where, postgresql_where=where)
    create_index_online(f"ix_{APPROVALS}_state", APPROVALS, ["state", "asked_by_policy", "approver"])


def downgrade():
    """Drop the indexes."""
    op.drop_index(f"ix_{APPROVALS}_state", APPROVALS, if_exists=True)
    op.drop_index(f"ix_{TASKS}_on_hold", TASKS, if_exists=True)
