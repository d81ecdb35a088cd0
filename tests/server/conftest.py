"""The databases that servers are tested on, and a way to PostgreSQL that can be cut."""

from tests.support.faulty_route import route, routed_app
from tests.support.postgres import either_app, prepared_postgres

__all__ = ["either_app", "prepared_postgres", "route", "routed_app"]
