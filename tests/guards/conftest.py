"""What the guards borrow."""

from tests.support.postgres import empty_postgres

__all__ = ["empty_postgres"]
