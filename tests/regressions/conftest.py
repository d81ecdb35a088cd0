"""Every regression is found by the name of its flaw: `pytest -k CVE_2022_21449`."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.regressions.attack import slug
from tests.support.token_desk import Integration, TokenDesk, token_desk


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k` find a test by the flaws that its marks name, as by a part of its own name."""
    for mark in item.iter_markers("regression"):
        item.extra_keyword_matches.update(map(slug, mark.args))


@pytest.fixture
def settings() -> dict[str, str]:
    """Switch the limit of failures off: nothing else may hold an attack up."""
    return {"ratelimit_enabled": "0"}


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return desk.register()
