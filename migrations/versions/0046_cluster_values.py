"""Values that all nodes of an instance share: fingerprints of settings, and the oldest version that can use the schema.

Revision: 0046, after 0045.
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None
# Earlier versions do not know this table, in which later migrations note what they break.
breaks_older_versions = True

VALUES = "cluster_value"


def upgrade():
    """Create the table."""
    op.create_table(
        VALUES,
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{VALUES}")),
    )


def downgrade():
    """Drop the table."""
    op.drop_table(VALUES)
