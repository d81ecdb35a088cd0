"""Figures of the exchange log by hour and day, and how far the log is counted.

Revision: 0023, after 0022.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FIGURES, WATERMARK = "oauth_exchange_figure", "oauth_exchange_watermark"


def upgrade():
    """Create the tables; existing log entries are counted when the figures are first read."""
    op.create_table(
        FIGURES,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("is_day", sa.Boolean(), nullable=False),
        sa.Column("since", sa.String(length=32), nullable=False),
        sa.Column("latest", sa.String(length=32), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=True),
        sa.Column("user", sa.String(length=32), nullable=True),
        sa.Column("algorithm", sa.String(length=20), nullable=True),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("exchanges", sa.Integer(), nullable=False),
        sa.Column("refreshed", sa.Integer(), nullable=False),
        sa.Column("would_refuse", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f(f"fk_{FIGURES}_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user"], ["sys_user.sys_id"], name=op.f(f"fk_{FIGURES}_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{FIGURES}")),
    )
    op.create_index(op.f(f"ix_{FIGURES}_is_day_since"), FIGURES, ["is_day", "since"])
    watermark = op.create_table(
        WATERMARK,
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counted_until", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{WATERMARK}")),
    )
    op.bulk_insert(watermark, [{"id": 1, "counted_until": "", "day": ""}])


def downgrade():
    """Drop the tables; the log is as it was."""
    op.drop_table(WATERMARK)
    op.drop_table(FIGURES)
