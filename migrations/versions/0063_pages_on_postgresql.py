"""Indexes for pages of approvals and of open tasks by number, on PostgreSQL: docs/queries.md.

Revision: 0063, after 0062.
"""

from alembic import op

from changegate.database.schema import create_index_online

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

APPROVALS, TASKS = "sysapproval_approver", "task"
CREATED, ACTIVE = "ix_sysapproval_approver_sys_created_on", "ix_task_number_active"
BEFORE, NUMBER = "ix_task_number", ["sys_class_name", "number", "sys_id"]


def upgrade():
    """Create the indexes; one of them replaces the index of numbers without `active`."""
    if op.get_bind().dialect.name == "postgresql":
        create_index_online(CREATED, APPROVALS, ["sys_created_on", "sys_id"])
        create_index_online(ACTIVE, TASKS, [*NUMBER, "active"])
        op.drop_index(BEFORE, TASKS)


def downgrade():
    """Restore the index of numbers."""
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(BEFORE, TASKS, NUMBER)
        op.drop_index(ACTIVE, TASKS)
        op.drop_index(CREATED, APPROVALS)
