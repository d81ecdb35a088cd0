"""The table of the figures of the dashboard, which a job keeps: docs/queries.md.

Revision: 0059, after 0058.
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

FIGURES = "dashboard_figures"


def upgrade():
    """Create the table."""
    op.create_table(
        FIGURES,
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("figures", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{FIGURES}")),
    )


def downgrade():
    """Drop the table; the figures are read again."""
    op.drop_table(FIGURES)
