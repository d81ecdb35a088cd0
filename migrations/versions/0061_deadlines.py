"""Indexes of the deadlines of approvals, and of when answers expire: docs/jobs.md.

Revision: 0061, after 0060.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

APPROVALS, TIMES = "sysapproval_approver", ("due_date", "expires")


def upgrade():
    """Create the indexes."""
    for name in TIMES:
        where = sa.text(f"{name} IS NOT NULL")
        columns = ["state", name, "sysapproval"]
        create_index_online(f"ix_{APPROVALS}_{name}", APPROVALS, columns, sqlite_where=where, postgresql_where=where)


def downgrade():
    """Drop the indexes."""
    for name in TIMES:
        op.drop_index(f"ix_{APPROVALS}_{name}", APPROVALS, if_exists=True)
