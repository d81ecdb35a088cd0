"""A database by its driver alone: a connection for each thread, and durable commits."""

import sqlite3
import threading
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

SQLITE_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL")


def connect(database_url: str) -> Any:
    """Open a connection on which every statement is committed durably."""
    url = make_url(database_url)
    return _open_file(url) if url.get_backend_name() == "sqlite" else _open_session(url)


def _open_file(url: URL) -> sqlite3.Connection:
    connection = sqlite3.connect(str(url.database), isolation_level=None, timeout=30)
    for pragma in SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _open_session(url: URL) -> psycopg.Connection:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


class Database:
    """A database that several threads use, each over a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._local = threading.local()

    def statement(self, text: str) -> str:
        """Return a statement with parameters `?` in the syntax of the driver."""
        return text if self.is_sqlite else text.replace("?", "%s")

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
        """Run a statement; return the driver's cursor."""
        try:
            connection = self._local.connection
        except AttributeError:
            connection = self._local.connection = connect(self.url)
        return connection.execute(statement, parameters)
