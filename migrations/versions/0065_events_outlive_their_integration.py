"""Token events and their figures keep the sys_ids of deleted integrations and users.

See docs/decisions/0035-events-outlive-their-integration.md. Revision: 0065, after 0064.
"""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

# By table: the suffix of the names of its foreign keys, by column.
SUFFIXES = {
    "oauth_exchange": {"entity": "entity", "user": "user"},
    "oauth_exchange_figure": {"entity": "entity", "user": "user"},
    "oauth_exchange_kind": {"entity": "entity_oauth_entity", "user": "user_sys_user"},
}
TARGETS = {"entity": ("oauth_entity", "CASCADE"), "user": ("sys_user", "SET NULL")}


def upgrade():
    """Drop the foreign keys to integrations and users."""
    for table, column, name in foreign_keys():
        if op.get_bind().dialect.name == "sqlite":
            edit(table, f", \n\t{clause(column, name)}", "")
        else:
            op.drop_constraint(name, table, type_="foreignkey")


def downgrade():
    """Forget deleted integrations and users, and add the foreign keys."""
    for table, column, name in foreign_keys():
        target, action = TARGETS[column]
        reference, known = sa.column(column), sa.select(sa.column("sys_id")).select_from(sa.table(target))
        rows = sa.table(table, reference)
        op.execute(sa.update(rows).where(reference.not_in(known)).values({column: None}))
        if op.get_bind().dialect.name == "sqlite":
            key = f", \n\tCONSTRAINT pk_{table} "
            edit(table, key, f", \n\t{clause(column, name)}{key}")
        else:
            op.create_foreign_key(name, table, target, [column], ["sys_id"], ondelete=action)


def foreign_keys():
    return [
        (table, column, op.f(f"fk_{table}_{suffix}"))
        for table, suffixes in SUFFIXES.items()
        for column, suffix in suffixes.items()
    ]


def clause(column, name):
    target, action = TARGETS[column]
    return f"CONSTRAINT {name} FOREIGN KEY({column}) REFERENCES {target} (sys_id) ON DELETE {action}"


def edit(table, old, new):
    """Edit the statement of a table, which is all that SQLite stores of a foreign key.

    Rebuilding the table would copy each event. The steps are those of "Making Other Kinds Of Table Schema Changes" in
    SQLite's documentation of ALTER TABLE.
    """
    at_work = op.get_bind()
    version = at_work.exec_driver_sql("PRAGMA schema_version").scalar()
    at_work.exec_driver_sql("PRAGMA writable_schema = ON")
    statement = sa.text("UPDATE sqlite_schema SET sql = replace(sql, :old, :new) WHERE type = 'table' AND name = :name")
    at_work.execute(statement, {"old": old, "new": new, "name": table})
    at_work.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    at_work.exec_driver_sql("PRAGMA writable_schema = RESET")
