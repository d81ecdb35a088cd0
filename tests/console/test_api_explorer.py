"""The REST API Explorer: its page, its copy of the document and the files of Swagger UI."""

import pytest

from tests.conftest import basic
from tests.console.conftest import PASSWORD, SignIn
from tests.console.visitor import Visitor

PAGE = "/rest-api-explorer"
DOCUMENT = "/rest-api-explorer/openapi.json"


def test_the_navigator_shows_it_to_every_signed_in_user(sign_in: SignIn) -> None:
    person = sign_in("tom.okafor")
    assert f'href="{PAGE}"' in person.open("/").text
    page = person.open(PAGE)
    assert page.status_code == 200
    assert f'data-document="{DOCUMENT}"' in page.text


def test_the_page_has_the_document_that_the_api_has(admin: Visitor) -> None:
    document = admin.open(DOCUMENT)
    assert (document.status_code, document.content_type) == (200, "application/json")
    assert document.data == admin.client.get("/api/now/openapi.json", headers=basic("admin", PASSWORD)).data


@pytest.mark.parametrize("path", [PAGE, DOCUMENT])
def test_visitors_without_a_session_are_sent_to_the_login(visitor: Visitor, path: str) -> None:
    response = visitor.open(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login?next=")


def test_the_page_keeps_the_consoles_policy(admin: Visitor) -> None:
    policies = {admin.open(path).headers["Content-Security-Policy"] for path in (PAGE, "/change-requests")}
    assert len(policies) == 1
    assert "unsafe" not in policies.pop()
