"""Access to pages: sign-in, roles, and redirects after a login."""

import pytest

from changegate.console.local_paths import local_path
from changegate.services.integrations.saving import Registered
from tests.console.conftest import PASSWORD, SignIn
from tests.console.visitor import Visitor

PAGES = ("/", "/change-requests", "/change-requests/x", "/inbound-integrations", "/inbound-integrations/new")


@pytest.mark.parametrize("path", PAGES)
def test_sends_visitors_without_a_session_to_the_login(visitor: Visitor, path: str) -> None:
    answer = visitor.open(path)
    assert (answer.status_code, answer.location) == (302, f"/login?next={path}")


@pytest.mark.parametrize("role", ["admin", "oauth_admin", "mi_admin"])
def test_admits_those_who_manage_integrations(sign_in: SignIn, role: str) -> None:
    person = sign_in("ines.duarte", role)
    assert person.open("/inbound-integrations/new/jwt-bearer").status_code == 200
    assert "Inbound Integrations" in person.open("/").text


@pytest.mark.parametrize("role", ["itil", "change_manager", "approver_user"])
def test_refuses_integrations_to_users_without_the_role(sign_in: SignIn, integration: Registered, role: str) -> None:
    person = sign_in("tom.okafor", role)
    for path in ("", "/new", "/new/jwt-bearer"):
        answer = person.open(f"/inbound-integrations{path}")
        assert answer.status_code == 403
        assert "You need the role oauth_admin, mi_admin, or admin" in answer.text
        assert integration.entity.name not in answer.text
    # An integration that they do not own is answered like an unknown one.
    pages = [person.open(f"/inbound-integrations/{name}") for name in (integration.entity.client_id, "unknown")]
    assert [page.status_code for page in pages] == [404, 404]
    assert all(integration.entity.name not in page.text for page in pages)
    assert "Inbound Integrations" not in person.open("/").text


@pytest.mark.parametrize("action", ["", "/enable", "/disable", "/rotate-secret", "/test-connection"])
def test_refuses_to_let_others_change_integrations(sign_in: SignIn, integration: Registered, action: str) -> None:
    person = sign_in("tom.okafor", "itil")
    path = f"/inbound-integrations/{integration.entity.client_id}{action}"
    page = person.open("/")
    token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert person.client.post(path, data={"csrf_token": token}).status_code == 403
    assert person.client.post(path).status_code == 400


@pytest.mark.parametrize("path", ["/", "/change-requests?search=a%20b&page=2", "/x?next=https://evil.example"])
def test_returns_to_paths_of_this_site(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        "",
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "\n//evil.example",
        "javascript:alert(1)",
        "change-requests",
        "http:change-requests",
        "//[evil",
    ],
)
def test_returns_to_no_other_site(elsewhere: str | None) -> None:
    assert local_path(elsewhere) is None


def test_a_login_link_cannot_send_people_away(visitor: Visitor) -> None:
    assert visitor.sign_in("admin", PASSWORD, "/login?next=//evil.example/").location == "/"
    assert visitor.open("/login?next=https://evil.example").location == "/"
