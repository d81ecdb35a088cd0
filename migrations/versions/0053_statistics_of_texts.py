"""Statistics for the texts that pipelines search by, on PostgreSQL: docs/decisions/0033-common-queries.md.

Revision: 0053, after 0052.
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

NAMES = ("correlation_id", "source_repository", "source_commit")


def upgrade():
    """Create the statistics; ANALYZE fills them."""
    if has_statistics():
        for name in NAMES:
            op.execute(sa.text(f"CREATE STATISTICS task_{name}_lower ON lower({name}) FROM task"))


def downgrade():
    """Drop the statistics."""
    if has_statistics():
        for name in NAMES:
            op.execute(sa.text(f"DROP STATISTICS task_{name}_lower"))


def has_statistics():
    """Return whether the database is PostgreSQL 14 or later, which has statistics of expressions."""
    dialect = op.get_bind().dialect
    return dialect.name == "postgresql" and dialect.server_version_info >= (14,)
