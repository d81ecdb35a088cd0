"""The list of integrations: search, filter, sort order, and pages."""

import re

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.services.integrations.saving import Registered, register_integration
from changegate.services.users.accounts import create_user
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
def test_has_pages(admin: Visitor) -> None:
    first = admin.open(f"{LIST}?per_page=50").text
    assert (len(names(first)), "of 2</label>" in first) == (50, True)
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = admin.open(older.replace("&amp;", "&")).text
    assert names(second) == ["Number 50"]
    assert 'rel="next"' not in second
    assert "No records on this page" in admin.open(f"{LIST}?page=9").text


@pytest.mark.usefixtures("many")
def test_searches_filters_and_sorts_by_the_url(admin: Visitor) -> None:
    found = admin.open(f"{LIST}?search=1+number&sysparm_query=ORDERBYDESCname^nameSTARTSWITHNumber+1").text
    assert names(found) == [f"Number 1{digit}" for digit in range(9, -1, -1)]
    assert 'aria-sort="descending"' in found
    assert names(admin.open(f"{LIST}?sysparm_query=active=false").text) == ["Number 50"]
    assert len(names(admin.open(f"{LIST}?search=CI.example+number&per_page=100").text)) == 51
    assert "Nothing matches" in admin.open(f"{LIST}?sysparm_query=active=false&search=nowhere").text


@pytest.mark.usefixtures("many")
def test_every_column_sorts(admin: Visitor) -> None:
    heads = re.findall(r'<a class="sort" href="([^"]+)"', admin.open(f"{LIST}?per_page=50").text)
    assert len(heads) == 4
    for head in heads:
        page = admin.open(head.replace("&amp;", "&"))
        assert (page.status_code, len(names(page.text))) == (200, 50)
        assert page.text.count("aria-sort=") == 1


def test_shows_what_needs_attention(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        gone = create_user(user_name="gone", password=None, email=None, name=None, roles=[])
        register_integration(fields(name="A", owner="gone", review_date="2020-01-31"), by="admin")
        register_integration(fields(name="B", owner="admin"), by="admin")
        register_integration(fields(name="C"), by="admin")
        db.session.flush()
        db.session.delete(gone)
        db.session.commit()
    cells = re.findall(r'<td data-label="Attention">(.*?)</td>', admin.open(LIST).text, re.DOTALL)
    assert [re.findall(r">([^<>]+)</span>", cell) for cell in cells] == [
        ["Owner deleted", "Review overdue"],
        [],
        ["No owner"],
    ]


def test_a_reference_to_an_integration_leads_to_its_page(admin: Visitor, integration: Registered) -> None:
    path = f"/records/oauth_entity/{integration.entity.sys_id}"
    answer = admin.client.get(path, follow_redirects=True)
    assert answer.request.path == f"{LIST}/{integration.entity.client_id}"
    assert admin.open(f"{LIST}/by-sys-id/{'0' * 32}").status_code == 404


@pytest.mark.parametrize("query", ["page=-1", "page=x", f"page={'9' * 40}", "sort=jwks", "active=maybe", "order=up"])
def test_invalid_arguments_are_ignored(admin: Visitor, integration: object, query: str) -> None:
    assert admin.open(f"{LIST}?{query}").status_code == 200


def test_shows_the_search_as_text(admin: Visitor, integration: object) -> None:
    page = admin.open(f"{LIST}?search={ATTACK}%00{'x' * 5000}").text
    assert "<script>alert" not in page
    assert "Nothing matches" in page
