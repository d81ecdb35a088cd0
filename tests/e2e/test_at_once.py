"""What is changed through one server process counts at the very next request to another on the same database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any

import jwt
import pytest
import requests

from tests.e2e.conftest import Servers
from tests.support.live_desk import CHANGES, INTEGRATIONS, TIMEOUT_SECONDS, LiveDesk, administer
from tests.support.live_users import USERS, Person, add_person
from tests.support.servers import Running

SCOPES = "/api/now/oauth/scopes"
CREATE = "change_request.create"
Enrol = Callable[..., LiveDesk]


@pytest.fixture
def enrol(servers: Servers, idp_url: str) -> Iterator[Enrol]:
    """Return what registers an automation through the first process."""
    with ExitStack() as stack:

        def register(**fields: Any) -> LiveDesk:
            desk = LiveDesk.enrol(servers[0], idp_url, **fields)
            stack.callback(desk.close)
            return desk

        yield register


@pytest.fixture
def person(servers: Servers) -> Iterator[Person]:
    """Somebody who may work on changes, signed in at both processes."""
    added = add_person(servers[0])
    added.grant(servers[0], "itil")
    added.sign_in(servers[0])
    yield added
    added.session.close()


def at(server: Running, desk: LiveDesk) -> LiveDesk:
    desk.url = server.url
    return desk


def create(server: Running, desk: LiveDesk, token: str) -> int:
    return at(server, desk).call(token).status_code


def exchange(server: Running, desk: LiveDesk, algorithm: str = "ES256") -> int:
    """Have a fresh assertion exchanged; return the status."""
    return at(server, desk).exchange(desk.sign(alg=algorithm)).status_code


def test_an_integration_disabled_enabled_and_deleted(servers: Servers, enrol: Enrol) -> None:
    one, other = servers
    desk = enrol()
    token, path = desk.token(), f"{INTEGRATIONS}/{desk.client_id}"
    assert [create(server, desk, token) for server in servers] == [201, 201]

    administer(one, "POST", f"{path}/disable")
    assert (create(other, desk, token), exchange(other, desk)) == (401, 401)
    administer(other, "POST", f"{path}/enable")
    assert (exchange(one, desk), create(one, desk, token)) == (200, 401)

    token = at(one, desk).token()
    assert create(other, desk, token) == 201
    administer(one, "PATCH", path, claim_conditions=["sub equals somebody.else"])
    assert exchange(other, desk) == 401
    administer(other, "PATCH", path, claim_conditions=[])
    assert exchange(one, desk) == 200
    administer(one, "DELETE", path)
    assert (create(other, desk, token), exchange(other, desk)) == (401, 401)


@pytest.mark.parametrize("stopping", [{"active": "false"}, {"locked_out": "true"}], ids=["deactivated", "locked out"])
def test_a_user_stopped_and_let_work_again(
    servers: Servers, enrol: Enrol, person: Person, stopping: dict[str, str]
) -> None:
    one, other = servers
    desk = enrol(run_as=person.user_name)
    token = desk.token()
    assert [create(server, desk, token) for server in servers] == [201, 201]
    assert [(person.call(server), person.is_signed_in(server)) for server in servers] == [(200, True)] * 2

    administer(one, "PATCH", person.path, **stopping)
    assert create(other, desk, token) == 401
    assert (exchange(other, desk), person.call(other), person.is_signed_in(other)) == (401, 401, False)

    administer(other, "PATCH", person.path, active="true", locked_out="false")
    assert (exchange(one, desk), person.call(one)) == (200, 200)


def test_a_password_changed(servers: Servers, person: Person) -> None:
    one, other = servers
    # By now both processes remember that the password is right, and need not hash it again.
    assert [(person.call(server), person.is_signed_in(server)) for server in servers] == [(200, True)] * 2

    administer(one, "PATCH", person.path, user_password="another one entirely")
    assert (person.call(other), person.is_signed_in(other)) == (401, False)
    person.password = "another one entirely"
    assert [person.call(server) for server in reversed(servers)] == [200, 200]


def test_a_role_granted_and_taken_away(servers: Servers, enrol: Enrol) -> None:
    somebody = add_person(servers[0])
    desk = enrol(run_as=somebody.user_name)
    token = desk.token()

    def statuses(server: Running) -> tuple[int, int]:
        return create(server, desk, token), somebody.call(server, "POST")

    assert [statuses(server) for server in servers] == [(403, 403)] * 2
    for changing, asked in (servers, reversed(servers)):
        granted = somebody.grant(changing, "itil")
        assert statuses(asked) == (201, 201)
        administer(changing, "DELETE", granted)
        assert statuses(asked) == (403, 403)


def test_a_key_of_a_provider_blocked_and_trusted_again(servers: Servers, enrol: Enrol) -> None:
    one, other = servers
    desk = enrol()
    token = desk.token()
    # Both processes have the keys by now, and need not fetch them.
    assert [(exchange(server, desk), create(server, desk, token)) for server in servers] == [(200, 201)] * 2
    keys = f"{INTEGRATIONS}/{desk.client_id}/keys"
    signing = jwt.get_unverified_header(desk.sign())["kid"]
    [thumbprint] = [key["thumbprint"] for key in administer(one, "GET", keys)["keys"] if key["kid"] == signing]

    administer(one, "POST", f"{keys}/{thumbprint}/block")
    assert (create(other, desk, token), exchange(other, desk)) == (401, 401)
    assert exchange(other, desk, "RS256") == 200
    administer(other, "POST", f"{keys}/{thumbprint}/unblock")
    assert exchange(one, desk) == 200


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth_revoke_token.do"])
def test_a_token_revoked(servers: Servers, enrol: Enrol, path: str) -> None:
    def send(server: Running, path: str, **form: str) -> requests.Response:
        return requests.post(f"{server.url}{path}", data=form, timeout=TIMEOUT_SECONDS)

    for form, (revoking, asked) in product(("opaque", "jwt"), (servers, servers[::-1])):
        desk = enrol(token_format=form, scopes=[CREATE])
        token = at(asked, desk).token()
        # Both processes know the token by now, and may remember that its signature is good.
        assert [create(server, desk, token) for server in servers] == [201, 201]
        credentials = desk.credentials if path == "/oauth/revoke" else {}
        revoked = send(revoking, path, token=token, **credentials)
        assert (revoked.status_code, revoked.content) == (200, b"")

        assert create(asked, desk, token) == 401
        assert send(asked, "/oauth/introspect", token=token, **desk.credentials).json() == {"active": False}


@pytest.fixture
def shipped_scope(servers: Servers) -> Iterator[str]:
    """The scope that others have too, which is afterwards as it was."""
    yield CREATE
    administer(servers[0], "PATCH", f"{SCOPES}/{CREATE}", rules=["POST table change_request"])


def test_scopes_edited_and_given(servers: Servers, enrol: Enrol, shipped_scope: str) -> None:
    one, other = servers
    administer(one, "POST", SCOPES, name="deploy", rules=["POST table change_request", "GET table change_request"])
    desk = enrol(scopes=["deploy", shipped_scope])
    token = desk.token()
    at(other, desk)
    integration = f"{INTEGRATIONS}/{desk.client_id}"

    def status(method: str, path: str = CHANGES, **body: Any) -> int:
        return desk.call(token, method, path, **body).status_code

    assert (status("POST", priority="2"), status("GET"), status("GET", USERS)) == (201, 200, 403)

    # A rule is edited, switched off, and switched on again.
    administer(one, "PATCH", f"{SCOPES}/{shipped_scope}", rules=["POST table change_request inactive"])
    administer(one, "PATCH", f"{SCOPES}/deploy", rules=["POST table change_request fields=description"])
    assert (status("POST", priority="2"), status("POST", description="x"), status("GET")) == (403, 201, 403)
    administer(one, "PATCH", f"{SCOPES}/deploy", rules=["POST table change_request inactive"])
    assert status("POST", description="x") == 403
    administer(one, "PATCH", f"{SCOPES}/deploy", rules=["POST table change_request"])
    assert status("POST", description="x") == 201

    # The integration gets another scope in place of those it has.
    administer(one, "PATCH", integration, scopes=["change_request.read"])
    assert (status("POST", description="x"), status("GET")) == (403, 200)

    # What no scope protects is the user's to do, until a scope does, and until that is switched off.
    administer(one, "PATCH", integration, scope_restriction=False)
    assert status("GET", USERS) == 200
    administer(one, "POST", SCOPES, name="people", rules=["GET table sys_user"])
    assert status("GET", USERS) == 403
    administer(one, "DELETE", f"{SCOPES}/people")
    assert status("GET", USERS) == 200
    administer(one, "PATCH", integration, enforce_token_restriction=True)
    assert (status("GET", USERS), status("GET")) == (403, 200)
