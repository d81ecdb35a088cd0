"""How Alembic reaches the database: through the application; `changegate prepare` holds the lock against other nodes.

On PostgreSQL, each migration is a transaction, so that one that has to wait for a table gives up its locks and is tried
again, and so that indexes can be built beside writers.
"""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from changegate.database import Base
from changegate.database.schema import find_oldest, limit_idle_time, note_oldest
from changegate.extensions import db
from changegate.models.base import UTCDateTime

# Every statement that needs a table waits behind a migration that waits for it, so it must not wait for long.
LIMITS = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '3s'; "


def render_item(type_, obj, _autogen_context):
    """Write our own column types as what they are in the database; migrations outlive the models' code."""
    return "sa.DateTime(timezone=True)" if type_ == "type" and isinstance(obj, UTCDateTime) else False


def include_name(name, _type, _parents):
    """Leave out the trigram index of texts, which no model describes."""
    return not (name or "").startswith("task_text")


def limit_locks(connection):
    # By the driver: a statement of SQLAlchemy would begin another transaction.
    if not connection.connection.dbapi_connection.autocommit:
        connection.connection.dbapi_connection.execute(LIMITS + limit_idle_time())


def migrate(connection, **options):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=render_item,
        include_name=include_name,
        transactional_ddl=True,
        **options,
        **current_app.extensions["migrate"].configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()
    with connection.begin() if not connection.in_transaction() else connection.begin_nested():
        note_oldest(connection, find_oldest(context.script, context.get_context().get_current_revision()))
    connection.commit()


def run():
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            # Rebuilding a table drops it; with foreign keys on, that would empty the tables that refer to it.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            migrate(connection)
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        return
    # Elsewhere the engine commits each statement that is no write; here each migration is a transaction.
    engine = db.engine.execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        sa.event.listen(connection, "begin", limit_locks)
        migrate(connection, transaction_per_migration=True)


run()
