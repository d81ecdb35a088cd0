"""The list of integrations: search, filter, sort order, and pages."""

import re

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.services.integrations.saving import register_integration
from tests.console.conftest import fields
from tests.console.integrations.test_views import ATTACK
from tests.console.visitor import Visitor

LIST = "/inbound-integrations"


@pytest.fixture
def many(app: Flask) -> None:
    """Register 51 integrations, the last of which is inactive."""
    with app.app_context():
        for number in range(51):
            register_integration(fields(name=f"Number {number:02}", active=number < 50), by="admin")
        db.session.commit()


def names(text: str) -> list[str]:
    return re.findall(r'class="row-link"[^>]*>([^<]+)</a>', text)


@pytest.mark.usefixtures("many")
def test_has_pages_of_fifty(admin: Visitor) -> None:
    first = admin.open(LIST).text
    assert (len(names(first)), "Page 1 of 2" in first) == (50, True)
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = admin.open(older).text
    assert names(second) == ["Number 50"]
    assert 'rel="next"' not in second
    assert "No integrations on this page" in admin.open(f"{LIST}?page=9").text


@pytest.mark.usefixtures("many")
def test_searches_filters_and_sorts_by_the_url(admin: Visitor) -> None:
    found = admin.open(f"{LIST}?search=number+1&sort=name&order=desc").text
    assert names(found) == [f"Number 1{digit}" for digit in range(9, -1, -1)]
    assert 'aria-sort="descending"' in found
    # Searching keeps the order, and the heads of columns keep the search.
    assert '<input type="hidden" name="order" value="desc">' in found
    assert f'href="{LIST}?search=number+1"' in found
    assert names(admin.open(f"{LIST}?active=false").text) == ["Number 50"]
    assert "Nothing matches" in admin.open(f"{LIST}?active=false&search=number+49").text


@pytest.mark.usefixtures("many")
def test_every_column_sorts(admin: Visitor) -> None:
    heads = re.findall(r'<a class="sort" href="([^"]+)"', admin.open(LIST).text)
    assert len(heads) == 7
    for head in heads:
        page = admin.open(head.replace("&amp;", "&"))
        assert (page.status_code, len(names(page.text))) == (200, 50)
        assert page.text.count("aria-sort=") == 1


@pytest.mark.parametrize("query", ["page=-1", "page=x", f"page={'9' * 40}", "sort=jwks", "active=maybe", "order=up"])
def test_invalid_arguments_are_ignored(admin: Visitor, integration: object, query: str) -> None:
    assert admin.open(f"{LIST}?{query}").status_code == 200


def test_shows_the_search_as_text(admin: Visitor, integration: object) -> None:
    page = admin.open(f"{LIST}?search={ATTACK}%00{'x' * 5000}").text
    assert "<script>alert" not in page
    assert "Nothing matches" in page
