"""Tables for old exchanges without their report: docs/decisions/0034-old-events-in-a-table-of-their-own.md.

Revision: 0056, after 0055.
"""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

KIND, THINNED = "oauth_exchange_kind", "oauth_thinned_exchange"
OF_KIND = ("entity", "user", "is_accepted", "would_refuse", "reason")
OF_THINNED = ("correlation_id", "happened_at", "client_id", "request")


def upgrade():
    """Create the tables; a job moves the exchanges that have lost their report."""
    op.create_table(
        KIND,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(32), nullable=True),
        sa.Column("user", sa.String(32), nullable=True),
        sa.Column("algorithm", sa.String(20), nullable=True),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("would_refuse", sa.Boolean(), nullable=True),
        sa.Column("reason", sa.String(40), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity"], ["oauth_entity.sys_id"], name=op.f(f"fk_{KIND}_entity_oauth_entity"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user"], ["sys_user.sys_id"], name=op.f(f"fk_{KIND}_user_sys_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{KIND}")),
    )
    op.create_index(op.f(f"ix_{KIND}_entity"), KIND, ["entity"])
    op.create_table(
        THINNED,
        sa.Column("correlation_id", sa.String(32), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(20), nullable=True),
        sa.Column("client_id", sa.String(100), nullable=True),
        sa.Column("request", sa.String(120), nullable=True),
        sa.ForeignKeyConstraint(["kind"], [f"{KIND}.id"], name=op.f(f"fk_{THINNED}_kind_{KIND}"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f(f"pk_{THINNED}")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f(f"ix_{THINNED}_kind_correlation_id"), THINNED, ["kind", "correlation_id"])


def downgrade():
    """Move the exchanges back, and drop the tables."""
    kind = sa.table(KIND, *(sa.column(name) for name in ("id", "algorithm", *OF_KIND)))
    thinned = sa.table(THINNED, *(sa.column(name) for name in ("kind", "algorithm", *OF_THINNED)))
    names = [*OF_THINNED, *OF_KIND, "algorithm"]
    exchange = sa.table("oauth_exchange", *(sa.column(name) for name in names))
    algorithm = sa.func.coalesce(kind.c.algorithm, thinned.c.algorithm)
    columns = (*(thinned.c[name] for name in OF_THINNED), *(kind.c[name] for name in OF_KIND), algorithm)
    moved = sa.select(*columns).join_from(thinned, kind, thinned.c.kind == kind.c.id)
    op.execute(sa.insert(exchange).from_select(names, moved))
    op.drop_table(THINNED)
    op.drop_table(KIND)
