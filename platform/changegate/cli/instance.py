"""The instance that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import inspect

from changegate.config import default_instance_path
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.factory import create_app


@contextmanager
def opened_instance() -> Iterator[Flask]:
    """Yield the application of this instance; raises `ChangegateError` if the instance is not prepared."""
    app = create_app(instance_path=default_instance_path())
    with working_on(app):
        if not inspect(db.engine).has_table("sys_user"):
            raise ChangegateError("This instance is not prepared yet; run `changegate prepare` first.")
        yield app


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
