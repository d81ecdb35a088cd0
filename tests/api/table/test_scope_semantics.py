"""What the scopes of an integration and its two switches mean at a call.

See docs/reference/inbound-integrations.md#auth-scopes.
"""

from typing import Any

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthExchange, SysAuthScope
from changegate.models.auth_scope import USERACCOUNT
from changegate.seed.scopes import seed_scopes
from changegate.services.oauth.access_tokens import find_token_caller
from tests.support.scope_desk import change, put_scope
from tests.support.statements import counted_statements
from tests.support.token_desk import CHANGES, Integration, TokenDesk

USERS = "/api/now/table/sys_user"
STATS = "/api/now/stats/change_request"
MISSING = "Missing required api access scope"
CREATE, READ = "change_request.create", "change_request.read"


@pytest.fixture(params=["opaque", "jwt"])
def token_format(request: pytest.FixtureRequest) -> str:
    """Check tokens of both formats."""
    found: str = request.param
    return found


def statuses(desk: TokenDesk, token: str) -> tuple[int, int, int, int]:
    """Create a change, read changes, read users, and count changes."""
    calls = (("POST", CHANGES), ("GET", CHANGES), ("GET", USERS), ("GET", f"{STATS}?sysparm_count=true"))
    return tuple(desk.call(token, method, path).status_code for method, path in calls)  # type: ignore[return-value]


def test_a_securely_scoped_token_does_what_its_scopes_name(desk: TokenDesk, token_format: str) -> None:
    token = desk.token(desk.register(token_format=token_format))

    assert statuses(desk, token) == (201, 403, 403, 403)
    assert desk.call(token, "GET").get_json()["error"]["message"] == MISSING


def test_a_broadly_scoped_token_falls_back_to_its_user_where_no_scope_protects(
    desk: TokenDesk, token_format: str
) -> None:
    token = desk.token(desk.register(token_format=token_format, scope_restriction=False))

    # Reading and counting changes is protected by a scope that this integration does not have.
    assert statuses(desk, token) == (201, 403, 200, 403)
    put_scope(desk, "people", "GET table sys_user")
    assert statuses(desk, token) == (201, 403, 403, 403)
    put_scope(desk, "people", "GET table sys_user inactive")
    assert statuses(desk, token) == (201, 403, 200, 403)


def test_a_broadly_scoped_token_gets_no_further_than_its_user(desk: TokenDesk) -> None:
    token = desk.token(desk.register(scope_restriction=False))

    assert desk.call(token, "POST", USERS, json={"user_name": "eve"}).status_code == 403
    assert desk.call(token, "GET", "/api/now/table/oidc_provider_configuration").status_code == 403
    # Everybody may read the integrations that they own.
    assert desk.call(token, "GET", "/api/now/table/oauth_entity").get_json()["result"] == []


def test_a_star_protects_every_table(desk: TokenDesk) -> None:
    token = desk.token(desk.register(scope_restriction=False))
    put_scope(desk, "everything.read", "GET table *")

    assert statuses(desk, token) == (201, 403, 403, 403)


def test_a_broadly_scoped_token_is_narrowed_by_the_rules_of_its_own_scope(desk: TokenDesk) -> None:
    put_scope(desk, "describe", "POST table change_request fields=description")
    token = desk.token(desk.register(scope_restriction=False, scopes=["describe"]))

    assert desk.call(token, json={"priority": "1"}).status_code == 403
    assert desk.call(token, json={"description": "x"}).status_code == 201


def test_the_switch_counts_at_the_next_call(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    for is_restricted, expected in ((False, 200), (True, 403)):
        change(desk, integration, scope_restriction=is_restricted)
        assert desk.call(token, "GET", USERS).status_code == expected


def test_useraccount_lets_a_token_do_what_its_user_may(desk: TokenDesk, token_format: str) -> None:
    token = desk.token(desk.register(token_format=token_format, scopes=["useraccount"]))

    assert statuses(desk, token) == (201, 200, 200, 200)
    assert desk.call(token, "POST", USERS, json={"user_name": "eve"}).status_code == 403


def test_useraccount_reads_along_references_as_its_user_does(desk: TokenDesk) -> None:
    token = desk.token(desk.register(scopes=["useraccount"]))
    parent = desk.call(token, json={"short_description": "Parent"}).get_json()["result"]["sys_id"]
    path = f"{CHANGES}?sysparm_fields=parent.short_description"

    assert desk.call(token, "POST", path, json={"parent": parent}).get_json()["result"] == {
        "parent.short_description": "Parent"
    }


def test_a_look_alike_of_useraccount_has_no_power(desk: TokenDesk) -> None:
    with desk.app.app_context():
        db.session.delete(db.session.get(SysAuthScope, USERACCOUNT))
        db.session.flush()
        db.session.add(SysAuthScope(name="useraccount"))
        db.session.commit()
    token = desk.token(desk.register(scopes=["useraccount"]))

    assert statuses(desk, token) == (403, 403, 403, 403)


def test_an_enforced_token_calls_what_its_integrations_scopes_name_and_nothing_else(
    desk: TokenDesk, token_format: str
) -> None:
    enforced: dict[str, Any] = {"enforce_token_restriction": True, "token_format": token_format}
    broad = desk.token(desk.register("Broad", scope_restriction=False, **enforced))
    full = desk.token(desk.register("Full", scopes=["useraccount", READ], **enforced))
    nothing = desk.token(desk.register("Nothing", scopes=["useraccount"], **enforced))

    assert statuses(desk, broad) == (201, 403, 403, 403)
    assert statuses(desk, full) == (403, 200, 403, 200)
    assert statuses(desk, nothing) == (403, 403, 403, 403)


def test_useraccount_is_not_narrowed_by_a_rule_beside_it(desk: TokenDesk) -> None:
    put_scope(desk, "describe", "POST table change_request fields=description")
    token = desk.token(desk.register(scopes=["useraccount", "describe"], enforce_token_restriction=True))

    assert desk.call(token, json={"priority": "2"}).status_code == 201


@pytest.mark.parametrize(
    ("version", "allowed"),
    [("v1", ["/api/now/v1"]), ("v2", ["/api/now/v2", "/api/now"]), ("*", ["/api/now/v1", "/api/now/v2", "/api/now"])],
)
def test_a_rule_covers_a_version_and_without_one_the_newest_is_called(
    desk: TokenDesk, version: str, allowed: list[str]
) -> None:
    put_scope(desk, "versioned", f"POST table change_request version={version}")
    token = desk.token(desk.register(scopes=["versioned"]))

    for prefix in ("/api/now", "/api/now/v1", "/api/now/v2"):
        expected = 201 if prefix in allowed else 403
        assert desk.call(token, path=f"{prefix}/table/change_request").status_code == expected, prefix


def test_a_rule_for_every_method_and_table_stays_within_the_roles(desk: TokenDesk) -> None:
    put_scope(desk, "all.tables", "* table *")
    token = desk.token(desk.register(scopes=["all.tables"]))

    assert statuses(desk, token) == (201, 200, 200, 403)
    assert desk.call(token, "POST", USERS, json={"user_name": "eve"}).status_code == 403


def test_own_records_of_every_table_are_those_that_store_the_integration(desk: TokenDesk) -> None:
    put_scope(desk, "own.tables", "* table * own")
    token = desk.token(desk.register(scopes=["own.tables"]))

    assert statuses(desk, token) == (201, 200, 403, 403)
    assert len(desk.call(token, "GET").get_json()["result"]) == 1
    assert desk.call(token, "GET", "/api/now/table/sysapproval_approver").status_code == 403


def test_rules_together_give_no_field_of_anothers_record_that_neither_gives(
    desk: TokenDesk, integration: Integration
) -> None:
    other = desk.call(desk.token(integration)).get_json()["result"]["sys_id"]
    put_scope(desk, "comment", "PATCH table change_request fields=work_notes")
    token = desk.token(desk.register("Two", scopes=[CREATE, "change_request.update_own", "comment"]))
    own = desk.call(token).get_json()["result"]["sys_id"]

    def patch(sys_id: str, field: str) -> int:
        return desk.call(token, "PATCH", f"{CHANGES}/{sys_id}", json={field: "x"}).status_code

    assert (patch(own, "description"), patch(own, "work_notes")) == (200, 200)
    assert (patch(other, "description"), patch(other, "work_notes")) == (403, 200)


def test_a_token_has_the_scopes_that_its_integration_has_now(desk: TokenDesk, token_format: str) -> None:
    integration = desk.register(token_format=token_format)
    whole, part = desk.token(integration), desk.token(integration, scope=CREATE)
    change(desk, integration, scopes=[CREATE, READ])
    assert [statuses(desk, token) for token in (whole, part)] == [(201, 200, 403, 200), (201, 403, 403, 403)]

    change(desk, integration, scopes=[READ])
    assert [statuses(desk, token) for token in (whole, part)] == [(403, 200, 403, 200), (403, 403, 403, 403)]


def test_a_token_of_before_keeps_the_scopes_it_was_given(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        db.session.query(OAuthExchange).update({"has_all_scopes": None})
        db.session.commit()
    change(desk, integration, scopes=[CREATE, READ])

    assert statuses(desk, token) == (201, 403, 403, 403)


@pytest.mark.parametrize("scope", ["change_request.read_own", "change_request.update_own", READ, "useraccount"])
def test_a_token_has_only_the_requested_scopes(desk: TokenDesk, scope: str) -> None:
    names = ["change_request.read_own", "change_request.update_own", READ, "useraccount"]
    integration = desk.register(scopes=names)
    expected = {
        "change_request.read_own": (403, 200, 403, 200),
        "change_request.update_own": (403, 403, 403, 403),
        READ: (403, 200, 403, 200),
        "useraccount": (201, 200, 200, 200),
    }
    assert statuses(desk, desk.token(integration, scope=scope)) == expected[scope]
    assert desk.exchange(integration, scope=f"{scope} {CREATE}").get_json()["error"] == "invalid_scope"


@pytest.mark.parametrize("switches", [{}, {"scope_restriction": False, "enforce_token_restriction": True}])
def test_a_caller_and_all_that_is_allowed_is_one_statement(desk: TokenDesk, switches: dict[str, bool]) -> None:
    token = desk.token(desk.register(scopes=["useraccount", CREATE], **switches))
    with desk.app.app_context(), counted_statements() as statements:
        assert find_token_caller(token) is not None

    assert len(statements) == 1


def test_an_edit_of_a_shipped_scope_is_kept(desk: TokenDesk) -> None:
    put_scope(desk, READ, "GET table change_request")
    with desk.app.app_context():
        seed_scopes()
        found = db.session.execute(select(SysAuthScope).where(SysAuthScope.name == READ)).scalar_one()
        assert len(found.rules) == 1
