"""The version of the schema, which versions of Changegate can use it, and indexes that are built beside writers.

Migrations only add to the schema (expand), so that nodes of the version before can use it. A migration that takes away
something that they use (contract) has `breaks_older_versions = True`. The database has the revision of the last such
migration: a node can use the database if it knows that migration.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from alembic import op
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from changegate.database.engine import IS_ONLINE

OLDEST = "oldest_schema"
# How long PostgreSQL waits for the next statement of a migration. A node that is frozen must not keep its locks.
MOST_IDLE_SECONDS = 60
_FILE_NAME = re.compile(r"([0-9]{4})_.*\.py")


class Schema(NamedTuple):
    """The revision of a database, and the oldest revision whose code can use it. Both are empty before the first."""

    revision: str
    oldest: str

    def find_obstacle(self, own: str) -> str | None:
        """Return why a node whose newest migration is `own` cannot use the database, or None."""
        if not self.revision:
            return "This instance is not prepared yet; run `changegate prepare` first."
        if self.revision < own:
            return f"The database has schema {self.revision}, this node needs {own}: run `changegate prepare` first."
        if own < self.oldest:
            return (
                f"A newer version has changed the database to schema {self.revision}, which needs schema {self.oldest}"
                f" or newer; this node has {own}. Install the newer version on this node."
            )
        return None


@lru_cache(maxsize=16)
def newest_migration(folder: Path | str) -> str:
    """Return the revision of the newest migration in a folder of migrations."""
    names = (_FILE_NAME.fullmatch(path.name) for path in (Path(folder) / "versions").iterdir())
    return max(name[1] for name in names if name)


def read_schema(at_work: Connection) -> Schema:
    """Return the schema of the database. Raises SQLAlchemy's errors if it has none."""
    rows = at_work.execute(
        text("SELECT version_num, (SELECT value FROM cluster_value WHERE name = :name) FROM alembic_version"),
        {"name": OLDEST},
    ).one()
    return Schema(rows[0], rows[1] or "")


def find_schema(at_work: Connection) -> Schema:
    """Return the schema of a database that may be empty, or older than the notes on schemas."""
    names = set(inspect(at_work).get_table_names())
    if {"alembic_version", "cluster_value"} <= names:
        return read_schema(at_work)
    if "alembic_version" not in names:
        return Schema("", "")
    return Schema(at_work.execute(text("SELECT version_num FROM alembic_version")).scalar() or "", "")


def find_oldest(scripts: ScriptDirectory, revision: str | None) -> str | None:
    """Return the newest migration up to a revision that breaks older versions, or None."""
    breaking = [
        script.revision
        for script in scripts.walk_revisions()
        if revision and script.revision <= revision and getattr(script.module, "breaks_older_versions", False)
    ]
    return max(breaking, default=None)


def note_oldest(at_work: Connection, oldest: str | None) -> None:
    """Store the oldest revision whose code can use the schema."""
    if oldest is not None:
        at_work.execute(text("DELETE FROM cluster_value WHERE name = :name"), {"name": OLDEST})
        at_work.execute(
            text("INSERT INTO cluster_value (name, value) VALUES (:name, :value)"), {"name": OLDEST, "value": oldest}
        )


def limit_idle_time() -> str:
    """Return the statement by which PostgreSQL ends the current transaction if this node is frozen."""
    return f"SET LOCAL idle_in_transaction_session_timeout = '{MOST_IDLE_SECONDS}s'"


def create_index_online(name: str, table: str, columns: list[Any], **options: Any) -> None:
    """Create an index of a table that may be large, for migrations: writers do not wait for it.

    It ends the transaction of the migration, so the migration must be repeatable up to here. On PostgreSQL, an attempt
    that was interrupted leaves an invalid index, which is built again. A pooler in transaction mode may end a long
    statement (docs/high-availability.md).
    """
    context = op.get_context()
    at_work = context.bind
    if at_work is None or at_work.dialect.name == "sqlite":
        op.create_index(name, table, columns, **options)
        return
    with context.autocommit_block():
        at_work.execution_options(**{IS_ONLINE: True})
        at_work.exec_driver_sql("SET statement_timeout = 0; SET lock_timeout = 0")
        is_invalid = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
        if at_work.execute(is_invalid, {"name": name}).first():
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, if_not_exists=True, **options)
        at_work.exec_driver_sql("RESET statement_timeout; RESET lock_timeout")
        at_work.execution_options(**{IS_ONLINE: False})
