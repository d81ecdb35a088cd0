"""What the guards borrow."""

from tests.support.postgres import either_app, empty_postgres, prepared_postgres

__all__ = ["either_app", "empty_postgres", "prepared_postgres"]
