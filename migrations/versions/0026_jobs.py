"""Jobs that a worker runs later.

Revision: 0026, after 0025.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE = "job"


def upgrade():
    """Create the table; workers add the repeating jobs when they start."""
    op.create_table(
        TABLE,
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("job_key", sa.String(length=255), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=1000), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{TABLE}")),
        sa.UniqueConstraint("kind", "job_key", name=op.f(f"uq_{TABLE}_kind_job_key")),
    )
    op.create_index(op.f(f"ix_{TABLE}_failed_at_due_at"), TABLE, ["failed_at", "due_at"])


def downgrade():
    """Drop the table; jobs are lost."""
    op.drop_table(TABLE)
