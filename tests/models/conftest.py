"""The databases of these tests."""

from tests.support.postgres import either_app, postgres_app, prepared_postgres

__all__ = ["either_app", "postgres_app", "prepared_postgres"]
