"""The page on adding a table, step by step: what it shows is run here."""

from collections.abc import Iterator
from contextvars import Context
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.database import Base, connection
from changegate.errors import AccessRefused
from changegate.extensions import db
from changegate.models import SysChoice, SysDbObject, SysDictionary
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.catalog.shipped_choices import add_shipped_choices
from changegate.services.tables.dictionary import refresh_dictionary
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import TABLES, Table, get_table
from changegate.services.tables.writing.records import create_record
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.guards.documents import DOCS, blocks
from tests.support.people import ROOT

ANN = Caller("a" * 32, "ann", Permissions(frozenset({"itil"})))
QUERIES_OF_ROOMS = [f"/records/cmn_location?sysparm_query=kind={kind}" for kind in ("room", "site")]
PAGE = DOCS / "adding-a-table.md"


@pytest.fixture(scope="module")
def shown() -> Iterator[Table]:
    """The table that the page shows."""
    names: dict[str, Any] = {"__name__": "shown"}
    exec("\n\n".join(blocks(PAGE, "python")), names)
    table: Table = names["LOCATIONS"]
    yield table
    Base.metadata.remove(table.source)


@pytest.fixture
def locations(either_app: Flask, shown: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The same table on an instance that has been prepared with it."""
    monkeypatch.setitem(TABLES, shown.name, shown)
    with either_app.app_context():
        shown.source.create(connection())
        refresh_dictionary()
        add_shipped_choices()
        db.session.commit()
        yield shown
        db.session.rollback()


def test_it_is_written_and_read(locations: Table) -> None:
    sent = {"name": "Frankfurt", "kind": "room", "contact": "admin", "opened": "2026-01-31", "unheard_of": 1}
    created = create_record(locations, ROOT, sent)
    assert (created["kind"], created["contact"], created["is_staffed"]) == ("room", ROOT.sys_id, False)
    query = parse_encoded_query("contact.user_name=admin^kind=Room")
    assert count_records(get_table("cmn_location"), ROOT, query) == 1


def test_callers_without_the_role_cannot_write_it(locations: Table) -> None:
    with pytest.raises(AccessRefused):
        create_record(locations, ANN, {"name": "Frankfurt"})


def test_private_fields_are_private(locations: Table) -> None:
    assert set(locations.fields_for(ROOT.permissions)) - set(locations.fields_for(ANN.permissions)) == {"access_code"}


def test_others_refer_to_it_by_its_name(locations: Table) -> None:
    sys_id = create_record(locations, ROOT, {"name": "Frankfurt"})["sys_id"]
    change = create_record(get_table("change_request"), ROOT, {"location": "frankfurt"})
    assert change["location"] == sys_id


def test_clients_can_read_its_description(locations: Table) -> None:
    described = connection().execute(select(SysDbObject.label).where(SysDbObject.name == "cmn_location"))
    assert described.scalar_one() == "Location"
    columns = (SysDictionary.element, SysDictionary.internal_type)
    rows = connection().execute(select(*columns).where(SysDictionary.name == "cmn_location"))
    types = {row.element: row.internal_type for row in rows}
    assert types["contact"] == "reference"
    assert types["opened"] == "glide_date"
    choices = connection().execute(select(SysChoice.label).where(SysChoice.name == "cmn_location"))
    assert sorted(choices.scalars()) == ["Room", "Site"]


def test_the_console_has_its_pages(locations: Table, either_app: Flask) -> None:
    visitor, path = Visitor(either_app.test_client()), f"/records/{locations.name}"

    def create() -> TestResponse:
        visitor.sign_in("admin", ADMIN_PASSWORD)
        form = visitor.open(f"{path}/new")
        return visitor.send(form, "record", {"name": "Frankfurt", "kind": "room", "contact": "admin"})

    # Requests would share the `g` of the fixture's application context.
    saved = Context().run(create)
    assert saved.status_code == 302
    pages = {each: Context().run(visitor.open, each).text for each in (saved.location, *QUERIES_OF_ROOMS)}
    assert [each for each, text in pages.items() if "Frankfurt" not in text] == [QUERIES_OF_ROOMS[1]]
