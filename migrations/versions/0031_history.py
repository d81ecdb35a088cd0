"""The history of changes and its roots, which the database lets nobody edit; approvals that outlive their task.

Revision: 0031, after 0030.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

HISTORY, ROOT, APPROVAL = "chg_history", "chg_history_root", "sysapproval_approver"
TASK_OF_APPROVAL = f"fk_{APPROVAL}_sysapproval"
# SQLAlchemy would warn of the indexes on expressions of the tables that it refers to.
OPTIONS = {"reflect_kwargs": {"resolve_fks": False}}
REFUSAL = "{} is append-only"


def upgrade():
    """Create the tables and their triggers; approvals keep the sys_id of a deleted task."""
    op.create_table(
        HISTORY,
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.Column("subject_table", sa.String(length=80), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{HISTORY}")),
        sa.UniqueConstraint(
            "subject_id", "subject_table", "seq", name=op.f(f"uq_{HISTORY}_subject_id_subject_table_seq")
        ),
    )
    op.create_table(
        ROOT,
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heads", sa.LargeBinary(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f(f"pk_{ROOT}")),
    )
    for table in (HISTORY, ROOT):
        refuse_edits(table)
    with op.batch_alter_table(APPROVAL, **OPTIONS) as table:
        table.drop_constraint(op.f(TASK_OF_APPROVAL), type_="foreignkey")


def downgrade():
    """Drop the tables: the history is lost. Approvals forget deleted tasks."""
    deleted = "sysapproval NOT IN (SELECT sys_id FROM task)"
    op.execute(sa.text(f"UPDATE {APPROVAL} SET sysapproval = NULL WHERE {deleted}"))  # noqa: S608
    with op.batch_alter_table(APPROVAL, **OPTIONS) as table:
        table.create_foreign_key(op.f(TASK_OF_APPROVAL), "task", ["sysapproval"], ["sys_id"], ondelete="SET NULL")
    op.drop_table(ROOT)
    op.drop_table(HISTORY)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("DROP FUNCTION changegate_refuse_edit()"))


def refuse_edits(table):
    """Refuse updates, deletions, and truncation by every user of the database."""
    message = REFUSAL.format(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            sa.text(
                "CREATE OR REPLACE FUNCTION changegate_refuse_edit() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';"
                " END $$"
            )
        )
        op.execute(
            sa.text(
                f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION changegate_refuse_edit()"
            )
        )
        return
    for operation in ("update", "delete"):
        op.execute(
            sa.text(
                f"CREATE TRIGGER {table}_refuses_{operation} BEFORE {operation.upper()} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        )
