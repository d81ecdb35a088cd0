"""Where a change comes from, and how many changes an integration may create.

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Column of a task, and its length.
PROVENANCE = {
    "oauth_client_id": 32,
    "oauth_issuer": 255,
    "oauth_subject": 255,
    "oauth_exchange": 32,
    "source_repository": 255,
    "source_id": 100,
    "source_ref": 255,
    "source_commit": 64,
    "source_workflow": 500,
    "source_run": 255,
    "source_run_url": 1000,
    "source_actor": 100,
    "source_environment": 255,
}
QUOTAS = ("creations_per_hour", "creations_per_day")
BY_INTEGRATION = "ix_task_oauth_entity"
SOUGHT = ("source_repository", "source_commit")


def upgrade():
    """Add the fields. Changes that are there already get what is still known of their integration."""
    for name, length in PROVENANCE.items():
        op.add_column("task", sa.Column(name, sa.String(length=length), nullable=True))
    for name in QUOTAS:
        op.add_column("oauth_entity", sa.Column(name, sa.Integer(), nullable=True))
    op.execute(
        sa.text(
            "UPDATE task SET oauth_client_id = (SELECT client_id FROM oauth_entity WHERE sys_id = task.oauth_entity) "
            "WHERE oauth_entity IS NOT NULL"
        )
    )
    op.drop_index(BY_INTEGRATION, "task")
    index_of_filled(BY_INTEGRATION, ["oauth_entity", "sys_created_on"], "oauth_entity")
    for name in SOUGHT:
        folded = f"lower({name})"
        index_of_filled(f"ix_task_{name}_lower", [sa.text(folded)], folded)


def downgrade():
    """Drop the fields: where changes came from is forgotten, and nothing limits how many are created."""
    for name in SOUGHT:
        op.drop_index(f"ix_task_{name}_lower", "task")
    op.drop_index(BY_INTEGRATION, "task")
    index_of_filled(BY_INTEGRATION, ["oauth_entity"], "oauth_entity")
    for name in QUOTAS:
        op.drop_column("oauth_entity", name)
    for name in PROVENANCE:
        op.drop_column("task", name)


def index_of_filled(name, columns, filled):
    """Create an index of tasks that have something."""
    is_filled = sa.text(f"{filled} IS NOT NULL")
    op.create_index(op.f(name), "task", columns, sqlite_where=is_filled, postgresql_where=is_filled)
