"""`changegate prepare`: migrate the database and add the first-start records."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from shlex import quote
from threading import Event, Thread

import click
import flask_migrate
from flask import Flask
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from changegate.cli.instance import require_schema, working_on
from changegate.config import default_instance_path
from changegate.database import commit
from changegate.database.schema import limit_idle_time, newest_migration
from changegate.errors import ChangegateError
from changegate.extensions import db, settings
from changegate.factory import create_app
from changegate.instance_files import list_exposed, open_private
from changegate.seed import ADMIN_USER_NAME, seed_first_start

# The maximum number of exposed files to list; the remedy is the same for all.
MOST_SHOWN = 5
# SQLSTATE lock_not_available and deadlock_detected.
LOCKED = frozenset({"55P03", "40P01"})
MOST_UPGRADE_ATTEMPTS = 30
SECONDS_BETWEEN_UPGRADES = 2.0
# Any number that no other advisory lock uses.
UPGRADE_LOCK = 0x6368676175
SECONDS_BETWEEN_ATTEMPTS = 0.5
SECONDS_BETWEEN_SIGNS_OF_LIFE = 5.0


@click.command()
def prepare() -> None:
    """Migrate the database and add the records for a first start; can be repeated safely."""
    app = create_app(instance_path=default_instance_path())
    prepare_instance(app)
    click.echo(f"{app.instance_path} is ready.")


def prepare_instance(app: Flask) -> str | None:
    """Prepare an instance; print a generated password of the administrator once, and return it."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # `working_on` closes all connections: the workers are forked from this process, and must not share them.
    with working_on(app), _alone_in_folder(Path(app.instance_path)), _alone_in_database(db.engine):
        _migrate(app)
        password = seed_first_start(settings().admin_password)
        commit()
    _report_exposed(Path(app.instance_path))
    if password:
        click.echo(f"The administrator is {ADMIN_USER_NAME}, the password {password} (shown only once).")
    return password


def _migrate(app: Flask) -> None:
    """Migrate the database, unless a newer version has done so, whose schema this one can use."""
    own = newest_migration(app.extensions["migrate"].directory)
    schema = require_schema(app, migrates=True)
    if schema.revision > own:
        click.echo(f"The database has schema {schema.revision} of a newer version, which this one ({own}) can use.")
        return
    for attempt in count(1):
        try:
            flask_migrate.upgrade()
            return
        except OperationalError as problem:
            # Other statements wait behind a migration that waits for a table, so it gives up early and tries again.
            if getattr(problem.orig, "sqlstate", None) not in LOCKED or attempt == MOST_UPGRADE_ATTEMPTS:
                raise
            click.echo("Another transaction uses a table that has to be changed. Trying again.", err=True)
            time.sleep(SECONDS_BETWEEN_UPGRADES)


def _report_exposed(folder: Path) -> None:
    exposed = [f"{path} ({mode:04o})" for path, mode in list_exposed(folder)]
    if exposed:
        more = f", and {len(exposed) - MOST_SHOWN} more" if len(exposed) > MOST_SHOWN else ""
        shown = ", ".join(exposed[:MOST_SHOWN]) + more
        click.echo(f"Other users of this machine can access {shown}. Run: chmod -R go= {quote(str(folder))}", err=True)


@contextmanager
def _alone_in_folder(folder: Path) -> Iterator[None]:
    """Lock the instance folder against other processes. Raises `ChangegateError` if the folder is read-only."""
    try:
        lock = open(folder / "prepare.lock", "w", opener=open_private)
    except OSError as problem:
        raise ChangegateError(
            f"The instance folder {folder} must be writable ({problem.strerror}): it contains locks, even if settings"
            " and database are elsewhere. Give this user write access, or mount a writable folder there."
        ) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo("Another process prepares this instance. Waiting until it has finished.", err=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _alone_in_database(engine: Engine) -> Iterator[None]:
    """Lock PostgreSQL against other nodes, by a connection of its own.

    An index that is built concurrently waits for all older snapshots. Therefore, no statement waits for the lock: its
    snapshot would stop the node that has the lock, and both would wait forever.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as lock:
        lock.exec_driver_sql(limit_idle_time())
        # Without parameters: a portal of the extended protocol would keep its snapshot.
        attempt = f"SELECT pg_try_advisory_xact_lock({UPGRADE_LOCK})"
        if not lock.exec_driver_sql(attempt).scalar():
            click.echo("Another node migrates the database. Waiting until it has finished.", err=True)
            while not lock.exec_driver_sql(attempt).scalar():
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        with _kept_alive(lock):
            yield


@contextmanager
def _kept_alive(lock: Connection) -> Iterator[None]:
    """Run a statement now and then, so that PostgreSQL keeps the lock of this process and not that of a frozen one."""
    is_over = Event()

    def run_statements() -> None:
        with suppress(SQLAlchemyError):  # the lock is lost, and its commit fails
            while not is_over.wait(SECONDS_BETWEEN_SIGNS_OF_LIFE):
                lock.exec_driver_sql("SELECT 1")

    thread = Thread(target=run_statements, name="upgrade-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
