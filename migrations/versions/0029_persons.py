"""What four eyes and the approval of contents need: identities, verified emails, delegations, and approved contents.

Revision: 0029, after 0028.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

IDENTITY, DELEGATE, CONTENT = "sys_user_identity", "sys_user_delegate", "chg_approval_content"
FOLDED_COLUMNS = ("email", "employee_number")
SUBJECT_INDEX = "ix_sys_user_identity_subject_lower"


def upgrade():
    """Create the tables. Nobody has verified the emails that are stored."""
    op.add_column("sys_user", sa.Column("email_verified", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("task", sa.Column("source_email", sa.String(length=100), nullable=True))
    for name in FOLDED_COLUMNS:
        is_filled = sa.text(f"lower({name}) IS NOT NULL")
        options = {"sqlite_where": is_filled, "postgresql_where": is_filled}
        op.create_index(f"ix_sys_user_{name}_lower", "sys_user", [sa.text(f"lower({name})")], **options)
    op.create_table(
        IDENTITY,
        *users(IDENTITY, "user"),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        *record(IDENTITY),
        sa.UniqueConstraint("user", "issuer", "subject", name=op.f(f"uq_{IDENTITY}_user_issuer_subject")),
    )
    op.create_index(SUBJECT_INDEX, IDENTITY, [sa.text("lower(subject)")])
    op.create_table(
        DELEGATE,
        *users(DELEGATE, "user", "delegate"),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approvals", sa.Boolean(), nullable=False),
        *record(DELEGATE),
    )
    for name in ("user", "delegate"):
        op.create_index(op.f(f"ix_{DELEGATE}_{name}"), DELEGATE, [name])
    op.create_table(
        CONTENT,
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f(f"pk_{CONTENT}")),
    )


def downgrade():
    """Drop the tables with their rows."""
    for table in (CONTENT, DELEGATE, IDENTITY):
        op.drop_table(table)
    for name in FOLDED_COLUMNS:
        op.drop_index(f"ix_sys_user_{name}_lower", "sys_user")
    op.drop_column("task", "source_email")
    op.drop_column("sys_user", "email_verified")


def users(table, *names):
    """Return columns that refer to users, and their foreign keys."""
    columns = [sa.Column(name, sa.String(length=32), nullable=False) for name in names]
    keys = [
        sa.ForeignKeyConstraint([name], ["sys_user.sys_id"], name=op.f(f"fk_{table}_{name}"), ondelete="CASCADE")
        for name in names
    ]
    return [*columns, *keys]


def record(table):
    """Return the columns that every record has."""
    return [
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{table}")),
    ]
