"""Templates of standard changes with their proposals, and risk conditions.

Revision: 0037, after 0036.
"""

import re
from datetime import UTC, datetime
from secrets import token_hex

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

RISK, TEMPLATE, PROPOSAL, VERSION = (
    "risk_conditions",
    "std_change_record_producer",
    "std_change_proposal",
    "std_change_producer_version",
)
NUMBERED = re.compile(r"(?P<name>.+) - (?P<version>[1-9][0-9]{0,8})")
# The tables that it refers to need not be read; SQLAlchemy would warn of their indexes on expressions.
OPTIONS = {"reflect_kwargs": {"resolve_fks": False}}


def upgrade():
    """Create the tables, and give each version a template: the highest version of a name is the current one."""
    op.add_column("task", sa.Column("risk_assessment", sa.Integer()))
    op.add_column("task", sa.Column("risk_explanation", sa.Text()))
    op.create_table(
        RISK,
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("condition", sa.Text()),
        sa.Column("risk", sa.Integer(), nullable=False),
        sa.Column("assessment", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{RISK}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{RISK}_name")),
    )
    op.create_table(
        TEMPLATE,
        sa.Column("name", sa.String(length=240), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("active", sa.Boolean(), nullable=False),
        *content_columns(),
        sa.Column("integrations", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current_version", sa.String(length=32)),
        *record_columns(),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{TEMPLATE}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{TEMPLATE}_name")),
    )
    op.create_table(
        PROPOSAL,
        sa.Column("name", sa.String(length=240), nullable=False),
        sa.Column("proposal_type", sa.String(length=40), nullable=False),
        sa.Column("std_change_producer", sa.String(length=32)),
        sa.Column("base_version", sa.Integer()),
        sa.Column("description", sa.Text()),
        *content_columns(),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("comments", sa.Text()),
        sa.Column("proposed_by", sa.String(length=32), nullable=False),
        sa.Column("decided_by", sa.String(length=32)),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        *record_columns(),
        refers_to("std_change_producer", TEMPLATE, "SET NULL"),
        refers_to("proposed_by", "sys_user", "RESTRICT"),
        refers_to("decided_by", "sys_user", "RESTRICT"),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{PROPOSAL}")),
    )
    templates = add_templates()
    with op.batch_alter_table(VERSION, **OPTIONS) as table:
        table.drop_column("std_change_producer")
        table.add_column(sa.Column("std_change_proposal", sa.String(length=32)))
        table.add_column(sa.Column("mandatory_fields", sa.Text()))
        table.add_column(sa.Column("read_only_fields", sa.Text()))
    with op.batch_alter_table(VERSION, **OPTIONS) as table:
        table.add_column(sa.Column("std_change_producer", sa.String(length=32)))
    versions = sa.table(VERSION, *(sa.column(name) for name in ("sys_id", "std_change_producer")))
    for sys_id, template in templates.items():
        op.execute(versions.update().where(versions.c.sys_id == sys_id).values(std_change_producer=template))
    with op.batch_alter_table(VERSION, **OPTIONS) as table:
        table.alter_column("std_change_producer", existing_type=sa.String(length=32), nullable=False)
        for name, target, on_delete in (
            ("std_change_producer", TEMPLATE, "CASCADE"),
            ("std_change_proposal", PROPOSAL, "SET NULL"),
        ):
            table.create_foreign_key(op.f(f"fk_{VERSION}_{name}"), target, [name], ["sys_id"], ondelete=on_delete)
        table.create_index(op.f(f"ix_{VERSION}_std_change_producer"), ["std_change_producer"])


def downgrade():
    """Drop the tables and columns; versions stay, and name their template."""
    names = "sys_id", "name", "std_change_producer"
    versions, templates = (sa.table(name, *(sa.column(each) for each in names)) for name in (VERSION, TEMPLATE))
    joined = versions.join(templates, templates.c.sys_id == versions.c.std_change_producer)
    named = op.get_bind().execute(sa.select(versions.c.sys_id, templates.c.name).select_from(joined)).all()
    with op.batch_alter_table(VERSION, **OPTIONS) as table:
        table.drop_index(op.f(f"ix_{VERSION}_std_change_producer"))
        for name in ("std_change_producer", "std_change_proposal"):
            table.drop_constraint(op.f(f"fk_{VERSION}_{name}"), type_="foreignkey")
            table.drop_column(name)
        for name in ("mandatory_fields", "read_only_fields"):
            table.drop_column(name)
    with op.batch_alter_table(VERSION, **OPTIONS) as table:
        table.add_column(sa.Column("std_change_producer", sa.String(length=255)))
    for sys_id, name in named:
        op.execute(versions.update().where(versions.c.sys_id == sys_id).values(std_change_producer=name))
    for name in (PROPOSAL, TEMPLATE, RISK):
        op.drop_table(name)
    for name in ("risk_explanation", "risk_assessment"):
        op.drop_column("task", name)


def add_templates():
    """Add a template for each name of versions, deactivate versions before the last one; return template by version."""
    columns = ("sys_id", "name", "version", "active", "template")
    versions = sa.table(VERSION, *(sa.column(name) for name in columns))
    rows = op.get_bind().execute(sa.select(versions).order_by(versions.c.version)).all()
    groups = {}
    for row in rows:
        match = NUMBERED.fullmatch(row.name)
        groups.setdefault((match["name"] if match else row.name)[:240], []).append(
            (int(match["version"]) if match else row.version, row)
        )
    templates, now = {}, datetime.now(UTC).replace(microsecond=0)
    stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_created_by": "system", "sys_updated_by": "system"}
    typed = {"active": sa.Boolean(), **dict.fromkeys(("sys_created_on", "sys_updated_on"), sa.DateTime(timezone=True))}
    for name, group in groups.items():
        number, current = max(group, key=lambda item: item[0])
        values = {
            **stamps,
            "sys_id": token_hex(16),
            "sys_mod_count": 0,
            "name": name,
            "active": current.active,
            "template": current.template,
            "version": number,
            "current_version": current.sys_id,
        }
        table = sa.table(TEMPLATE, *(sa.column(column, typed.get(column)) for column in values))
        op.execute(table.insert().values(values))
        templates |= {row.sys_id: values["sys_id"] for _, row in group}
        for at, row in group:
            changes = {"version": at} | ({} if row.sys_id == current.sys_id else {"active": False})
            op.execute(versions.update().where(versions.c.sys_id == row.sys_id).values(changes))
    return templates


def record_columns():
    return (
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("sys_created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_created_by", sa.String(length=40), nullable=False),
        sa.Column("sys_updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=40), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
    )


def content_columns():
    return tuple(sa.Column(name, sa.Text()) for name in ("template", "mandatory_fields", "read_only_fields"))


def refers_to(column, target, on_delete):
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.sys_id"], name=op.f(f"fk_{PROPOSAL}_{column}"), ondelete=on_delete
    )
