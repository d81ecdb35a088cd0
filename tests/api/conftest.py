"""An instance that trusts one provider."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.token_desk import Integration, TokenDesk, token_desk


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register()
