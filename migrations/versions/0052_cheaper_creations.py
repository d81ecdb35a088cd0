"""Creations that write no text index, and fewer pages of others: docs/decisions/0033-common-queries.md.

Revision: 0052, after 0051.
"""

import sqlite3

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None
# Older code on SQLite would not find records that were created since.
breaks_older_versions = True

INDEX = "CREATE VIRTUAL TABLE task_text USING fts5(text, content = '', {options}, tokenize = trigram)"
FORGET = """CREATE TRIGGER task_text_deleted AFTER DELETE ON task BEGIN
    {entries}DELETE FROM task_text_document WHERE sys_id = old.sys_id;
    DELETE FROM task_text_pending WHERE sys_id = old.sys_id;
    {last}
END"""
ENTRIES = """DELETE FROM task_text WHERE rowid IN (SELECT document FROM task_text_document WHERE sys_id = old.sys_id);
    """
LAST = """UPDATE task_text_last SET sys_id = coalesce(
        (SELECT sys_id FROM task WHERE rowid < old.rowid ORDER BY rowid DESC LIMIT 1), ''
    ) WHERE sys_id = old.sys_id;"""
NOTE = """CREATE TRIGGER task_text_created AFTER INSERT ON task
    BEGIN INSERT OR IGNORE INTO task_text_pending VALUES (new.sys_id); END"""


def upgrade():
    """Index the texts again, with entries that can be deleted, if SQLite can do so."""
    if op.get_bind().dialect.name != "sqlite":
        return
    can_forget = sqlite3.sqlite_version_info >= (3, 43)
    renew(
        "DROP TRIGGER task_text_created",
        "CREATE TABLE task_text_last (sys_id VARCHAR(32) NOT NULL)",
        "INSERT INTO task_text_last VALUES ('')",
        INDEX.format(options="contentless_delete = 1" if can_forget else "columnsize = 0"),
        FORGET.format(entries=ENTRIES if can_forget else "", last=LAST),
    )


def downgrade():
    """Note each created record, and index the texts again."""
    if op.get_bind().dialect.name == "sqlite":
        renew(
            "DROP TABLE task_text_last",
            INDEX.format(options="columnsize = 0"),
            NOTE,
            FORGET.format(entries="", last=""),
            "INSERT INTO task_text_pending SELECT sys_id FROM task",
        )


def renew(*statements):
    """Empty the index, of which a job then fills the new one, and run statements."""
    emptying = ("DELETE FROM task_text_document", "DELETE FROM task_text_pending")
    for statement in ("DROP TRIGGER task_text_deleted", "DROP TABLE task_text", *emptying, *statements):
        op.execute(sa.text(statement))
