"""States, transitions, and conditions of change models.

Revision: 0030, after 0029.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

MODEL = "chg_model"
STATE, TRANSITION, CONDITION = "sttrm_state", "sttrm_state_transition", "sttrm_transition_condition"


def upgrade():
    """Create the tables; `changegate prepare` fills them with the shipped models."""
    with op.batch_alter_table(MODEL) as table:
        table.add_column(sa.Column("sys_policy", sa.String(length=40)))
        table.add_column(sa.Column("copied_from", sa.String(length=32)))
        table.add_column(sa.Column("states_version", sa.String(length=32)))
        table.create_foreign_key(
            op.f(f"fk_{MODEL}_copied_from"), MODEL, ["copied_from"], ["sys_id"], ondelete="SET NULL"
        )
    op.create_table(
        STATE,
        *record_columns(),
        sa.Column("sttrm_model", sa.String(length=32), nullable=False),
        sa.Column("state_value", sa.Integer(), nullable=False),
        sa.Column("state_label", sa.String(length=40), nullable=False),
        sa.Column("initial", sa.Boolean(), nullable=False),
        sa.Column("mandatory_fields", sa.String(length=255)),
        sa.Column("order", sa.Integer(), nullable=False),
        belongs_to(STATE, "sttrm_model", MODEL),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{STATE}")),
        sa.UniqueConstraint("sttrm_model", "state_value", name=op.f(f"uq_{STATE}_sttrm_model_state_value")),
    )
    owners = {"sttrm_model": MODEL, "from_state": STATE, "to_state": STATE}
    op.create_table(
        TRANSITION,
        *record_columns(),
        *(sa.Column(name, sa.String(length=32), nullable=False) for name in owners),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("automatic_transition", sa.Boolean(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        *(belongs_to(TRANSITION, name, target) for name, target in owners.items()),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{TRANSITION}")),
    )
    for name in owners:
        op.create_index(op.f(f"ix_{TRANSITION}_{name}"), TRANSITION, [name])
    op.create_table(
        CONDITION,
        *record_columns(),
        sa.Column("transition", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        belongs_to(CONDITION, "transition", TRANSITION),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{CONDITION}")),
    )
    op.create_index(op.f(f"ix_{CONDITION}_transition"), CONDITION, ["transition"])


def downgrade():
    """Drop the tables; the models that a site has made lose their states."""
    for name in (CONDITION, TRANSITION, STATE):
        op.drop_table(name)
    with op.batch_alter_table(MODEL) as table:
        table.drop_constraint(op.f(f"fk_{MODEL}_copied_from"), type_="foreignkey")
        for name in ("states_version", "copied_from", "sys_policy"):
            table.drop_column(name)


def record_columns():
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )


def belongs_to(table, column, target):
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.sys_id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"
    )
