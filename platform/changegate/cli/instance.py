"""The instance that a command works on, and the lock that shows whether it is being served."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from changegate.cli.shared_settings import has_base_url, require_same_settings
from changegate.config import default_instance_path
from changegate.database import connection
from changegate.database.schema import Schema, find_schema, newest_migration
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.factory import create_app
from changegate.instance_files import open_private

SERVE_LOCK = "serve.lock"


@contextmanager
def opened_instance(*, is_checked: bool = True) -> Iterator[Flask]:
    """Yield the application of this instance.

    Raises `ChangegateError` if the instance is not prepared for this version, or if its settings differ from those of
    the other nodes.
    """
    app = create_app(instance_path=default_instance_path())
    with working_on(app):
        require_schema(app)
        if is_checked:
            require_same_settings(is_base_url_set=has_base_url())
        yield app


def require_schema(app: Flask, *, migrates: bool = False) -> Schema:
    """Return the schema of the database. Raises `ChangegateError` if this version cannot use it.

    With `migrates`, the schema may be older.
    """
    own, schema = newest_migration(app.extensions["migrate"].directory), find_schema(connection())
    obstacle = schema.find_obstacle(own)
    if obstacle and not (migrates and schema.revision < own):
        raise ChangegateError(obstacle)
    return schema


@contextmanager
def working_on(app: Flask) -> Iterator[None]:
    """Enter the context of an application; on exit, close all connections to its database."""
    with app.app_context():
        engine = db.engine
    try:
        with app.app_context():
            yield
    finally:
        engine.dispose()


@contextmanager
def marked_as_served(folder: Path) -> Iterator[None]:
    """Hold a lock on an instance folder while it is being served; several servers can hold it."""
    # Worker processes inherit the descriptor, so the lock lasts until the last of them has ended.
    with open(folder / SERVE_LOCK, "w", opener=open_private) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_served(folder: Path) -> bool:
    """Return whether `changegate serve` serves the instance in a folder."""
    with open(folder / SERVE_LOCK, "w", opener=open_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
