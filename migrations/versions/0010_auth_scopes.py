"""Rules of scopes for a version of an API, and tokens that have all scopes of their integration.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    """Add the columns. A rule that is there covers every version, and a live token keeps the scopes it has."""
    op.add_column("sys_api_access_scope", sa.Column("version", sa.String(10), server_default="*", nullable=False))
    op.add_column("oauth_exchange", sa.Column("has_all_scopes", sa.Boolean(), nullable=True))


def downgrade():
    """Drop the columns, and rules for one version of an API: without it they would cover the others too."""
    op.execute(sa.text("DELETE FROM sys_api_access_scope WHERE version <> '*'"))
    op.drop_column("oauth_exchange", "has_all_scopes")
    op.drop_column("sys_api_access_scope", "version")
