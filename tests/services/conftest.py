"""The databases that services are tested on, and an instance that trusts one provider."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.token_desk import TokenDesk, token_desk


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    """Open a desk; the test runs in the application's context and sees what it commits."""
    with token_desk(app) as opened, app.app_context():
        yield opened
