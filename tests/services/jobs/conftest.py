"""The databases that jobs are tested on."""

from tests.support.postgres import either_app, prepared_postgres

__all__ = ["either_app", "prepared_postgres"]
