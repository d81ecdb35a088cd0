"""Approval policies, their rules, and decisions; approvals outlive the change, and keep their users.

Revision: 0028, after 0027.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

POLICY, RULE, DECISION, APPROVAL = (
    "chg_policy_approval",
    "chg_approval_def",
    "chg_approval_decision",
    "sysapproval_approver",
)
INTEGERS = ("round", "stage")
TEXTS = {"policy": 32, "approval_def": 32, "group": 32, "answered_by": 32, "answered_as": 40, "content_hash": 64}
INSTANTS = ("answered_at", "voided_at", "expires", "reminded_at", "escalated_at")
FLAGS = ("asked_by_policy", "is_held")
# The tables that it refers to need not be read; SQLAlchemy would warn of their indexes on expressions.
OPTIONS = {"reflect_kwargs": {"resolve_fks": False}}
# Column, the table it refers to, and what happens to the row if the record is deleted.
CHANGED_KEYS = (("approver", "sys_user", "RESTRICT"), ("sysapproval", "task", "SET NULL"))
NEW_KEYS = (("group", "sys_user_group", "RESTRICT"), ("answered_by", "sys_user", "RESTRICT"))


def upgrade():
    """Create the tables and add the columns. Approvals so far were requested by no policy."""
    create_policies()
    create_rules()
    create_decisions()
    with op.batch_alter_table(APPROVAL, **OPTIONS) as table:
        for name in INTEGERS:
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
        for name, length in TEXTS.items():
            table.add_column(sa.Column(name, sa.String(length=length), nullable=True))
        for name in INSTANTS:
            table.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("void_reason", sa.Text(), nullable=True))
        for name in FLAGS:
            table.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table(APPROVAL, **OPTIONS) as table:
        for name in FLAGS:
            table.alter_column(name, server_default=None)
        for name, target, on_delete in CHANGED_KEYS:
            replace_key(table, name, target, on_delete)
        for name, target, on_delete in NEW_KEYS:
            create_key(table, name, target, on_delete)


def downgrade():
    """Drop the tables and columns; approvals are deleted with their change and approver again."""
    with op.batch_alter_table(APPROVAL, **OPTIONS) as table:
        for name, _, _ in NEW_KEYS:
            table.drop_constraint(op.f(f"fk_{APPROVAL}_{name}"), type_="foreignkey")
        for name, target, _ in CHANGED_KEYS:
            replace_key(table, name, target, "CASCADE")
        for name in (*INTEGERS, *TEXTS, *INSTANTS, "void_reason", *FLAGS):
            table.drop_column(name)
    for table in (DECISION, RULE, POLICY):
        op.drop_table(table)


def replace_key(table, name, target, on_delete):
    table.drop_constraint(op.f(f"fk_{APPROVAL}_{name}"), type_="foreignkey")
    create_key(table, name, target, on_delete)


def create_key(table, name, target, on_delete):
    table.create_foreign_key(op.f(f"fk_{APPROVAL}_{name}"), target, [name], ["sys_id"], ondelete=on_delete)


def create_policies():
    op.create_table(
        POLICY,
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("chg_model", sa.String(length=32), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("counts_person_once", sa.Boolean(), nullable=False),
        sa.Column("requires_mapped_actor", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sys_policy", sa.String(length=40), nullable=True),
        *record_columns(),
        foreign_key(POLICY, "chg_model", "chg_model", "RESTRICT"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{POLICY}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{POLICY}_name")),
    )


def create_rules():
    op.create_table(
        RULE,
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("approver_source", sa.String(length=40), nullable=False),
        sa.Column("users", sa.Text(), nullable=True),
        sa.Column("group", sa.String(length=32), nullable=True),
        sa.Column("approver_field", sa.String(length=80), nullable=True),
        sa.Column("wait_for", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("accepts_earlier", sa.Boolean(), nullable=False),
        sa.Column("allows_requester", sa.Boolean(), nullable=False),
        sa.Column("required_role", sa.String(length=32), nullable=True),
        sa.Column("governed_fields", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Integer(), nullable=True)
            for name in ("reminder_hours", "escalation_hours", "expiry_hours", "valid_hours")
        ),
        *record_columns(),
        foreign_key(RULE, "policy", POLICY, "CASCADE"),
        foreign_key(RULE, "group", "sys_user_group", "RESTRICT"),
        foreign_key(RULE, "required_role", "sys_user_role", "RESTRICT"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{RULE}")),
    )
    op.create_index(op.f(f"ix_{RULE}_policy"), RULE, ["policy"])


def create_decisions():
    op.create_table(
        DECISION,
        sa.Column("change_request", sa.String(length=32), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("sequence", "round", "stage")),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("policy", sa.String(length=32), nullable=True),
        sa.Column("policy_name", sa.String(length=100), nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{DECISION}")),
        sa.UniqueConstraint("change_request", "sequence", name=op.f(f"uq_{DECISION}_change_request_sequence")),
    )


def foreign_key(table, name, target, on_delete):
    return sa.ForeignKeyConstraint([name], [f"{target}.sys_id"], name=op.f(f"fk_{table}_{name}"), ondelete=on_delete)


def record_columns():
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )
