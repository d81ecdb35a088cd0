"""Indexes of references that the pages of items, users, and templates count: docs/queries.md.

Revision: 0057, after 0056.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

INDEXES = {
    "task": (("service_offering",), ("std_change_producer_version",)),
    "sysapproval_approver": (("answered_by", "sys_created_on", "sys_id"),),
}


def upgrade():
    """Create the indexes, which contain only rows that have the reference."""
    for table, indexes in INDEXES.items():
        for columns in indexes:
            where = sa.text(f"{columns[0]} IS NOT NULL")
            name = f"ix_{table}_{columns[0]}"
            create_index_online(name, table, [*columns], sqlite_where=where, postgresql_where=where)


def downgrade():
    """Drop the indexes."""
    for table, indexes in INDEXES.items():
        for columns in indexes:
            op.drop_index(f"ix_{table}_{columns[0]}", table, if_exists=True)
