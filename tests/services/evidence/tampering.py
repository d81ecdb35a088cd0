"""Edits of the database by somebody who may drop its triggers."""

from sqlalchemy import text

from changegate.extensions import db

TABLES = ("chg_history", "chg_history_root")


def tamper(*statements: str) -> None:
    """Run statements without the triggers that refuse edits of the history; needs an application context."""
    with db.engine.begin() as connection:
        for statement in (*_without_triggers(), *statements):
            connection.execute(text(statement))


def _without_triggers() -> list[str]:
    if db.engine.dialect.name == "postgresql":
        return [f"DROP TRIGGER IF EXISTS {table}_is_append_only ON {table}" for table in TABLES]
    return [f"DROP TRIGGER IF EXISTS {table}_refuses_{edit}" for table in TABLES for edit in ("update", "delete")]
