"""How old a client secret is, and when an integration was last used.

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NAMES = ("client_secret_created_at", "last_exchange_at")


def upgrade():
    """Add the columns. The secret of an unchanged integration is as old as the integration; otherwise unknown."""
    for name in NAMES:
        op.add_column("oauth_entity", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    names = ("client_secret_created_at", "client_secret_hash", "sys_created_on", "sys_mod_count")
    entity = sa.table("oauth_entity", *(sa.column(name) for name in names))
    is_known = (entity.c.sys_mod_count == 0, entity.c.client_secret_hash.is_not(None))
    op.execute(sa.update(entity).where(*is_known).values(client_secret_created_at=entity.c.sys_created_on))


def downgrade():
    """Forget both."""
    for name in NAMES:
        op.drop_column("oauth_entity", name)
