"""Whether an ID token whose email names the user must say that the email is verified.

Revision: 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COLUMN = "require_email_verified"


def upgrade():
    """Leave integrations that exist as they are; new ones demand it by default."""
    op.add_column("oauth_entity", sa.Column(COLUMN, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade():
    """Take the switch away."""
    op.drop_column("oauth_entity", COLUMN)
