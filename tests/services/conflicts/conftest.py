"""A calendar on either database."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.services.conflicts.calendar import Calendar


@pytest.fixture
def calendar(either_app: Flask) -> Iterator[Calendar]:
    with either_app.app_context():
        yield Calendar(either_app)
