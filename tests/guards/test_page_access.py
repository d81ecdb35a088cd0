"""Each kind of user opens the pages, and sends the forms, that are theirs, and no others."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate import create_app
from changegate.console.records.pages import OWN_LISTS
from changegate.extensions import db
from changegate.services.catalog import TABLES as SERVED
from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.console.example_records import CONFIDENTIAL, LOOPBACK, Examples, furnish
from tests.console.page_paths import OTHERS
from tests.guards.audiences import AUDIENCES, Endpoint, list_endpoints
from tests.guards.page_access import ENDS, EVERYONE, OF_THE_CHANGE, PAGES, SENT, TABLES

REFUSALS = {403, 404}


@pytest.fixture(scope="module")
def furnished(new_instance: NewInstance) -> tuple[Path, Examples]:
    """An instance with records of every kind, of which each test gets a copy."""
    instance = new_instance()
    return instance, furnish(instance)


@pytest.fixture
def app(furnished: tuple[Path, Examples], tmp_path: Path) -> Iterator[Flask]:
    copied = shutil.copytree(furnished[0], tmp_path / "copied")
    app = create_app(instance_path=copied, overrides=LOOPBACK)
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def examples(furnished: tuple[Path, Examples]) -> Examples:
    return furnished[1]


@pytest.fixture
def pages(app: Flask) -> list[Endpoint]:
    """Return the pages and forms of people; those that end or delete what others need come last."""
    found = [each for each in list_endpoints(app) if AUDIENCES.get(each.name) in OTHERS]
    return sorted(found, key=lambda each: (each.method, each.rule.endswith(ENDS), each.rule))


def sign_in(app: Flask, kind: str) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"user_name": kind, "password": ADMIN_PASSWORD})
    assert answer.status_code == 302
    return client


def answer_of(client: FlaskClient, page: Endpoint, examples: Examples) -> TestResponse:
    fields = SENT.get(page.name, {})
    sent = {name: value() if callable(value) else examples.fill(value) for name, value in fields.items()}
    key = "query_string" if page.method == "GET" else "data"
    return client.open(examples.fill(page.rule, page.blueprint), method=page.method, buffered=True, **{key: sent})


def test_every_page_and_every_table_has_a_row(pages: list[Endpoint]) -> None:
    assert {page.name for page in pages} == PAGES.keys()
    assert SERVED.keys() == TABLES.keys()


@pytest.mark.parametrize("kind", sorted(EVERYONE))
def test_opens_the_pages_of_each_kind_of_user_alone(
    app: Flask, examples: Examples, pages: list[Endpoint], kind: str
) -> None:
    client = sign_in(app, kind)
    surprises = {}
    for page in pages:
        answer = answer_of(client, page, examples)
        is_refused = answer.status_code in REFUSALS
        if is_refused == (kind in PAGES[page.name]) or answer.status_code >= 500:
            surprises[page.name] = answer.status_code
        assert kind in OF_THE_CHANGE or CONFIDENTIAL not in answer.text, page.name
    assert not surprises


@pytest.mark.parametrize("kind", sorted(EVERYONE))
def test_opens_the_tables_of_each_kind_of_user_alone(app: Flask, examples: Examples, kind: str) -> None:
    client = sign_in(app, kind)
    surprises = {}
    for name, (readers, creators) in TABLES.items():
        is_elsewhere = name in OWN_LISTS
        for path, admitted, opened in (
            (f"/records/{name}", readers, 302 if is_elsewhere else 200),
            (f"/records/{name}/new", creators, 200),
        ):
            status = client.get(path).status_code
            if status != (opened if kind in admitted else 403):
                surprises[path] = status
    assert not surprises
