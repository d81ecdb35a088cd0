"""The databases that services are tested on, and an instance that trusts one provider."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.postgres import either_app, postgres_app, prepared_postgres
from tests.support.token_desk import TokenDesk, allowed_loopback, either_desk, token_desk

__all__ = ["allowed_loopback", "either_app", "either_desk", "postgres_app", "prepared_postgres"]


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    """Open a desk; the test runs in the application's context and sees what it commits."""
    with token_desk(app) as opened, app.app_context():
        yield opened
