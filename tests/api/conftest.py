"""An instance that trusts one provider."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.postgres import either_app, prepared_postgres
from tests.support.token_desk import Integration, TokenDesk, allowed_loopback, either_desk, token_desk

__all__ = ["allowed_loopback", "either_app", "either_desk", "prepared_postgres"]


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register()
