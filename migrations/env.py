"""How Alembic reaches the database: through the application, in one transaction, one node at a time."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from changegate.database import Base
from changegate.extensions import db
from changegate.models.base import UTCDateTime

UPGRADE_LOCK = 0x6368676174  # any number that no other advisory lock uses


def render_item(type_, obj, _autogen_context):
    """Write our own column types as what they are in the database; migrations outlive the models' code."""
    return "sa.DateTime(timezone=True)" if type_ == "type" and isinstance(obj, UTCDateTime) else False


def run():
    options = current_app.extensions["migrate"].configure_args
    is_sqlite = db.engine.dialect.name == "sqlite"
    # Elsewhere the engine commits each statement that is no write; here the lock is to be held until the end.
    engine = db.engine if is_sqlite else db.engine.execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        if is_sqlite:
            # Rebuilding a table drops it; with foreign keys on, that would empty the tables that refer to it.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            transactional_ddl=True,
            **options,
        )
        with context.begin_transaction():
            if not is_sqlite:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
            context.run_migrations()
        connection.commit()
        if is_sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")


run()
