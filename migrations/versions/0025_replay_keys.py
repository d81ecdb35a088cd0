"""Columns of replay keys are named after them.

Revision: 0025, after 0024.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

EXCHANGE, CLIENT_ASSERTION = "oauth_exchange", "oauth_client_assertion"


def upgrade():
    """Rename `assertion_claim` and `claim` to `replay_key`. Rows and their keys stay."""
    op.alter_column(CLIENT_ASSERTION, "claim", new_column_name="replay_key")
    rename_unique_column("assertion_claim", "replay_key")


def downgrade():
    """Restore the former names."""
    op.alter_column(CLIENT_ASSERTION, "replay_key", new_column_name="claim")
    rename_unique_column("replay_key", "assertion_claim")


def rename_unique_column(old, new):
    op.alter_column(EXCHANGE, old, new_column_name=new)
    old_name, new_name = (op.f(f"uq_{EXCHANGE}_{column}") for column in (old, new))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(f"ALTER TABLE {EXCHANGE} RENAME CONSTRAINT {old_name} TO {new_name}"))
        return
    # SQLite cannot rename a constraint: the table is rebuilt. The tables that it refers to need not be read; SQLAlchemy
    # would warn of their indexes on expressions.
    options = {"reflect_kwargs": {"resolve_fks": False}, "table_kwargs": {"sqlite_with_rowid": False}}
    with op.batch_alter_table(EXCHANGE, **options) as table:
        table.drop_constraint(old_name, type_="unique")
        table.create_unique_constraint(new_name, [new])
