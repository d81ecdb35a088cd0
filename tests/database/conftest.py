"""The databases that connections and transactions are tested on."""

from tests.support.postgres import either_app, postgres_app, prepared_postgres

__all__ = ["either_app", "postgres_app", "prepared_postgres"]
