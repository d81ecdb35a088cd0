"""Versions of the records of the change process, which the database lets nobody edit.

Revision: 0033, after 0032.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

VERSION = "chg_process_version"


def upgrade():
    """Create the table and its triggers; the first `changegate prepare` stores what exists."""
    op.create_table(
        VERSION,
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject_table", sa.String(length=80), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{VERSION}")),
        sa.UniqueConstraint("number", name=op.f(f"uq_{VERSION}_number")),
    )
    op.create_index(f"ix_{VERSION}_subject", VERSION, ["subject_id", "subject_table", "number"])
    refuse_edits()


def downgrade():
    """Drop the table: the versions are lost."""
    op.drop_table(VERSION)


def refuse_edits():
    """Refuse updates, deletions, and truncation by every user of the database."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            sa.text(
                f"CREATE TRIGGER {VERSION}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {VERSION}"
                " FOR EACH STATEMENT EXECUTE FUNCTION changegate_refuse_edit()"
            )
        )
        return
    for operation in ("update", "delete"):
        op.execute(
            sa.text(
                f"CREATE TRIGGER {VERSION}_refuses_{operation} BEFORE {operation.upper()} ON {VERSION}"
                f" BEGIN SELECT RAISE(ABORT, '{VERSION} is append-only'); END"
            )
        )
