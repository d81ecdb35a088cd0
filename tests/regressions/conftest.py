"""Every regression is found by the name of its flaw: `pytest -k CVE_2022_21449`."""

import pytest

from tests.regressions.attack import slug


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-k` find a test by the flaws that its marks name, as by a part of its own name."""
    for mark in item.iter_markers("regression"):
        item.extra_keyword_matches.update(map(slug, mark.args))


@pytest.fixture
def settings() -> dict[str, str]:
    """Switch the limit of failures off: nothing else may hold an attack up."""
    return {"ratelimit_enabled": "0"}
