"""Indexes of the people of tasks, of which each contains the other people, too: docs/queries.md.

Revision: 0064, after 0063.
"""

import sqlalchemy as sa
from alembic import op

from changegate.database.schema import create_index_online

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

TABLE = "task"
PEOPLE = ("opened_by", "requested_by", "assigned_to", "closed_by", "task_for", "cab_delegate")
WINDOW, PAGE = ("end_date", "start_date"), ("sys_class_name", "sys_created_on", "sys_id")
OLD = {
    "opened_by": ("active", *PAGE),
    "requested_by": ("active", *PAGE),
    "assigned_to": ("active", *WINDOW, "sys_class_name", "sys_updated_on", "sys_created_on", "sys_id"),
    **dict.fromkeys(("closed_by", "task_for", "cab_delegate"), ()),
}
OTHERS = {**dict.fromkeys(PEOPLE, ("active", *PAGE)), "assigned_to": ("active", *WINDOW, "sys_updated_on", *PAGE)}
NEW = {name: (*others, *(person for person in PEOPLE if person != name)) for name, others in OTHERS.items()}


def upgrade():
    """Add the other people to the indexes."""
    replace(NEW)


def downgrade():
    """Restore the indexes of before."""
    replace(OLD)


def replace(indexes):
    """Build indexes in place of those of the same names, which serve queries meanwhile."""
    for name, others in indexes.items():
        index, is_filled = f"ix_{TABLE}_{name}", sa.text(f"{name} IS NOT NULL")
        if op.get_bind().dialect.name == "sqlite":
            # Nothing else uses the database meanwhile.
            op.drop_index(index, TABLE)
            op.create_index(index, TABLE, [name, *others], sqlite_where=is_filled)
            continue
        create_index_online(f"{index}_built", TABLE, [name, *others], postgresql_where=is_filled)
        op.drop_index(index, TABLE, if_exists=True)
        op.execute(sa.text(f"ALTER INDEX {index}_built RENAME TO {index}"))
