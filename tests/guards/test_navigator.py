"""One name for each page: the navigator, the pages that it leads to, and the documentation."""

import html
import re

from flask import Flask

from changegate.console.navigator import GROUPS, Module
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.guards.documents import documents
from tests.guards.source_tree import shown

# Those that go by another name: a query of a list, and the first page of a group.
OTHER_NAMES = {"My groups": "Tasks", "Overview": "Machine Identity Console"}
# A place in the navigator as documents name it, such as *System OAuth > Auth Scopes*.
PLACE = re.compile(r"\*([A-Z][\w ]+) (?:>|→) ([A-Z][\w-]+(?: [\w-]+)*)")


def modules() -> list[Module]:
    return [module for group in GROUPS for module in group.modules]


def test_a_page_has_the_name_by_which_the_navigator_leads_to_it(app: Flask) -> None:
    visitor = Visitor(app.test_client())
    visitor.sign_in("admin", ADMIN_PASSWORD)
    with app.test_request_context():
        places = {module.label: module.url for module in modules()}
    titles = {name: title_of(visitor, place) for name, place in places.items()}
    assert titles == {name: OTHER_NAMES.get(name, name) for name in places}


def title_of(visitor: Visitor, place: str) -> str:
    page = visitor.open(place)
    [title] = re.findall(r"<title>(.*?) · Changegate</title>", page.text)
    return html.unescape(title)


def test_documents_name_places_of_the_navigator_as_it_does(app: Flask) -> None:
    with app.app_context():
        groups = {group.label: {module.label for module in group.modules} for group in GROUPS}
    found = [(shown(path), *place) for path in documents() for place in PLACE.findall(path.read_text())]
    assert [each for each in found if each[1] in groups and each[2] not in groups[each[1]]] == []
    assert len([each for each in found if each[1] in groups]) > 2
