"""The page about these providers names the releases that are run."""

import json
import re

import pytest

from tests.guards.documents import DOCS
from tests.identity_providers.environments import PACKAGES, RECIPES

PAGE = (DOCS / "identity-providers" / "tested-providers.md").read_text()
BOUNDS = re.compile(r"(?P<name>[\w-]+)\s*>=(?P<least>[\d.]+)[ ,]<[\d.]+")


def releases() -> dict[str, str]:
    """Return the first two numbers of the release of each provider, by the name of its package."""
    from_npm = [f"{name}{bounds}" for name, bounds in json.loads(PACKAGES.read_text())["dependencies"].items()]
    from_pypi = [(RECIPES / f"{name}.txt").read_text() for name in ("nanoidp", "oidc-provider-mock")]
    found = BOUNDS.findall("\n".join([*from_npm, *from_pypi]))
    return {name: ".".join(least.split(".")[:2]) for name, least in found if name != "Authlib"}


def test_there_are_three() -> None:
    assert releases().keys() == {"nanoidp", "oidc-provider", "oidc-provider-mock"}


@pytest.mark.parametrize(("name", "release"), releases().items())
def test_the_page_names_the_release_that_is_run(name: str, release: str) -> None:
    assert re.search(rf"^\| {name} \(\w+\) \| {re.escape(release)}\b", PAGE, re.MULTILINE)
