"""The page on adding a field of an integration names every place that an existing field has, and no other."""

import re

from tests.guards.documents import DOCS
from tests.guards.source_tree import ROOT

PAGE = DOCS / "adding-a-field.md"
STEP = re.compile(r"^\d+\. `(?P<place>[\w/.-]+)`", re.MULTILINE)
FIELD = re.compile(r"\ballow[_-]missing[_-]kid\b")


def places() -> set[str]:
    """Return the files and folders that begin a step of the page."""
    return {match["place"] for match in STEP.finditer(PAGE.read_text())}


def names_the_field(place: str) -> bool:
    path = ROOT / place
    files = [path] if path.is_file() else [*path.glob("*.py")]
    return any(FIELD.search(file.read_text()) for file in files)


def test_the_example_occurs_in_every_place_of_the_page() -> None:
    assert len(places()) == 10
    assert sorted(place for place in places() if not names_the_field(place)) == []


def test_the_page_names_every_place_where_the_example_occurs() -> None:
    product = ROOT / "platform" / "changegate"
    files = [*product.rglob("*.py"), *product.rglob("*.html"), *product.rglob("*.js")]
    found = {file.relative_to(ROOT).as_posix() for file in files if FIELD.search(file.read_text())}
    assert found == {place for place in places() if place.startswith("platform/")}
