"""How far a scope's rule lets a token go: the fields it may write, and only what its integration created."""

from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthEntityScope, SysApiAccessScope, SysAuthScope
from tests.support.token_desk import CHANGES, Integration, TokenDesk

TABLES = "/api/now/table"
ATTACHMENTS = "/api/now/attachment"
STATS = "/api/now/stats/change_request"


def allow(desk: TokenDesk, integration: Integration, *rules: dict[str, Any]) -> str:
    """Give an integration the scope `create` with these rules, and no other; return a token of it."""
    with desk.app.app_context():
        scope = SysAuthScope(name=f"limited-{integration.client_id}")
        db.session.add(scope)
        db.session.flush()
        for rule in rules:
            named = {"rest_api": "now/table", "table": "change_request", **rule}
            db.session.add(SysApiAccessScope(scope=scope.sys_id, **named))
        link = db.session.execute(select(OAuthEntityScope).filter_by(entity=integration.sys_id)).scalar_one()
        link.scope = scope.sys_id
        db.session.commit()
    return desk.token(integration)


def call(desk: TokenDesk, token: str, method: str, path: str, **options: Any) -> TestResponse:
    """Make one call with a token."""
    return desk.client.open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **options)


def create(desk: TokenDesk, token: str, **fields: Any) -> str:
    """Create a change and return its sys_id."""
    answer = call(desk, token, "POST", CHANGES, json=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["result"]["sys_id"])


POST, GET, PATCH = ({"http_method": method} for method in ("POST", "GET", "PATCH"))
OWN = {"own_records": True}


def test_a_token_writes_the_fields_of_its_rule_and_no_others(desk: TokenDesk, integration: Integration) -> None:
    token = allow(desk, integration, {**POST, "writable_fields": "short_description, Description,work_notes"})

    create(desk, token, short_description="a", description="b", work_notes="c")
    refused = call(desk, token, "POST", CHANGES, json={"short_description": "a", "priority": "1"})

    assert refused.status_code == 403
    assert refused.get_json()["error"]["detail"] == "The access token may not write the field priority"


@pytest.mark.parametrize("fields", [",", " ", " , "])
def test_a_list_without_a_name_allows_no_field(desk: TokenDesk, integration: Integration, fields: str) -> None:
    token = allow(desk, integration, {**POST, "writable_fields": fields})

    assert call(desk, token, "POST", CHANGES, json={"short_description": "a"}).status_code == 403
    assert call(desk, token, "POST", CHANGES, json={}).status_code == 201


@pytest.mark.parametrize("body", [{"comments": "x"}, {"ASSIGNED_TO": "admin"}, {"state": "-4"}])
def test_journals_and_other_spellings_do_not_bypass_the_limits(
    desk: TokenDesk, integration: Integration, body: dict[str, str]
) -> None:
    token = allow(desk, integration, POST, {**PATCH, "writable_fields": "short_description"})
    sys_id = create(desk, token, short_description="a")

    assert call(desk, token, "PATCH", f"{CHANGES}/{sys_id}", json=body).status_code == 403
    assert call(desk, token, "PATCH", f"{CHANGES}/{sys_id}", json={"short_description": "b"}).status_code == 200


def test_unknown_read_only_and_unchanged_fields_do_not_count_as_writes(
    desk: TokenDesk, integration: Integration
) -> None:
    token = allow(desk, integration, POST, {**PATCH, "writable_fields": "short_description"})
    sys_id = create(desk, token, description="same")
    sent = {"short_description": "b", "description": "same", "number": "CHG1", "bunk": "x"}

    assert call(desk, token, "PATCH", f"{CHANGES}/{sys_id}", json=sent).status_code == 200


def test_two_rules_for_one_call_allow_what_either_does(desk: TokenDesk, integration: Integration) -> None:
    token = allow(
        desk, integration, {**POST, "writable_fields": "description"}, {**POST, "writable_fields": "short_description"}
    )
    create(desk, token, short_description="a", description="b")

    assert call(desk, token, "POST", CHANGES, json={"priority": "1"}).status_code == 403


@pytest.fixture
def own_and_other(desk: TokenDesk, integration: Integration) -> tuple[str, str, str]:
    """Return a token limited to own records, a change of its integration, and one of another."""
    other = allow(desk, desk.register("Another pipeline"), POST)
    limited = allow(desk, integration, POST, {**GET, **OWN}, {**PATCH, **OWN}, {"http_method": "DELETE", **OWN})
    return limited, create(desk, limited, short_description="mine"), create(desk, other, short_description="theirs")


def test_a_token_reads_what_its_integration_created(desk: TokenDesk, own_and_other: tuple[str, str, str]) -> None:
    token, own, other = own_and_other

    assert [call(desk, token, method, f"{CHANGES}/{own}").status_code for method in ("GET", "HEAD")] == [200, 200]
    assert call(desk, token, "GET", f"{CHANGES}/{other}").status_code == 404
    listed = call(desk, token, "GET", f"{CHANGES}?sysparm_fields=sys_id")
    assert [record["sys_id"] for record in listed.get_json()["result"]] == [own]
    assert listed.headers["X-Total-Count"] == "1"


def test_a_token_changes_what_its_integration_created(desk: TokenDesk, own_and_other: tuple[str, str, str]) -> None:
    token, own, other = own_and_other

    assert call(desk, token, "PATCH", f"{CHANGES}/{own}", json={"description": "x"}).status_code == 200
    assert call(desk, token, "PATCH", f"{CHANGES}/{other}", json={"description": "x"}).status_code == 404


def test_a_deletion_needs_the_role_as_well(desk: TokenDesk, own_and_other: tuple[str, str, str]) -> None:
    token, own, other = own_and_other

    assert [call(desk, token, "DELETE", f"{CHANGES}/{sys_id}").status_code for sys_id in (own, other)] == [403, 403]


@pytest.mark.parametrize("field", ["parent.short_description", "parent.number"])
def test_no_walk_leads_to_another_integrations_change(
    desk: TokenDesk, own_and_other: tuple[str, str, str], field: str
) -> None:
    token, own, other = own_and_other
    with desk.app.app_context():
        db.session.execute(db.text("UPDATE task SET parent = :other WHERE sys_id = :own"), {"other": other, "own": own})
        db.session.commit()

    shown = call(desk, token, "GET", f"{CHANGES}/{own}?sysparm_fields={field}").get_json()["result"]
    found = call(desk, token, "GET", f"{CHANGES}?sysparm_query={field}ISNOTEMPTY&sysparm_fields=sys_id").get_json()

    assert shown == {field: ""}
    assert found["result"] == []


def test_no_reference_reveals_whether_a_foreign_change_exists(
    desk: TokenDesk, own_and_other: tuple[str, str, str]
) -> None:
    token, own, other = own_and_other

    real, invented = (
        call(desk, token, "PATCH", f"{CHANGES}/{own}", json={"parent": sys_id}) for sys_id in (other, "0" * 32)
    )

    assert (real.status_code, real.get_json()) == (invented.status_code, invented.get_json())


def test_a_rule_for_own_records_does_not_cover_tables_without_the_integration(
    desk: TokenDesk, integration: Integration
) -> None:
    token = allow(desk, integration, {**GET, **OWN, "table": "sys_user"}, {**GET, **OWN})

    assert call(desk, token, "GET", f"{TABLES}/sys_user").status_code == 403
    assert call(desk, token, "GET", CHANGES).status_code == 200


def test_figures_are_of_own_records_too(desk: TokenDesk, own_and_other: tuple[str, str, str]) -> None:
    _token, _own, _other = own_and_other
    third = desk.register("A third pipeline")
    token = allow(desk, third, POST, {**GET, **OWN, "rest_api": "now/stats"})
    create(desk, token, short_description="one")

    assert call(desk, token, "GET", f"{STATS}?sysparm_count=true").get_json()["result"]["stats"]["count"] == "1"


def test_files_are_as_far_away_as_their_records(desk: TokenDesk, own_and_other: tuple[str, str, str]) -> None:
    _token, own, other = own_and_other
    third = desk.register("A third pipeline")
    files = {"rest_api": "now/attachment"}
    token = allow(desk, third, POST, *({**method, **OWN, **files} for method in (POST, GET, {"http_method": "DELETE"})))
    mine = create(desk, token, short_description="mine")

    def attach(sys_id: str) -> TestResponse:
        path = f"{ATTACHMENTS}/file?table_name=change_request&table_sys_id={sys_id}&file_name=a.txt"
        return call(desk, token, "POST", path, data=b"text", content_type="text/plain")

    assert [attach(sys_id).status_code for sys_id in (mine, own, other)] == [201, 404, 404]
    assert len(call(desk, token, "GET", ATTACHMENTS).get_json()["result"]) == 1


def test_an_edited_rule_counts_at_the_next_call(desk: TokenDesk, integration: Integration) -> None:
    token = allow(desk, integration, POST)
    create(desk, token, priority="2")
    with desk.app.app_context():
        db.session.execute(db.text("UPDATE sys_api_access_scope SET writable_fields = 'description'"))
        db.session.commit()

    assert call(desk, token, "POST", CHANGES, json={"priority": "2"}).status_code == 403


def test_a_token_of_an_administrator_learns_nothing_private_of_people(desk: TokenDesk) -> None:
    integration = desk.register(run_as="admin")
    token = allow(desk, integration, POST)

    answer = call(desk, token, "POST", f"{CHANGES}?sysparm_fields=opened_by.email,opened_by.name", json={})

    assert answer.get_json()["result"] == {"opened_by.email": "", "opened_by.name": "System Administrator"}
