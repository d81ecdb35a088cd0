"""A desk that trusts one provider."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.postgres import either_app, prepared_postgres
from tests.support.token_desk import Integration, TokenDesk, token_desk

__all__ = ["either_app", "prepared_postgres"]


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def allowed_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEGATE_JWKS_ALLOW_LOOPBACK", "1")


@pytest.fixture
def either_desk(allowed_loopback: None, either_app: Flask) -> Iterator[TokenDesk]:
    """Open a desk on SQLite, then one on PostgreSQL."""
    with token_desk(either_app) as opened:
        yield opened


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register()
