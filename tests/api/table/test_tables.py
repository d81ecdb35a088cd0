"""Every table over HTTP, for every kind of caller: only visible records are shown, and no request fails."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import SysEmail
from changegate.models.base import utc_now
from changegate.seed import seed_demo
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, expand_roles
from changegate.services.catalog import TABLES
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.attachment_api import AttachmentApi
from tests.support.certificates import certificate, pem
from tests.support.integration_api import IntegrationApi
from tests.support.table_api import TableApi, result_of

PASSWORD = "itil itil itil"
ROLES = ("itil", "sn_change_read", "change_manager", "approver_user", "oauth_admin", "admin", None)


@pytest.fixture
def demo(app: Flask) -> Flask:
    """An instance with the demo's records."""
    with app.app_context():
        seed_demo(admin_password=ADMIN_PASSWORD)
        db.session.commit()
    return app


@pytest.mark.parametrize("role", ROLES)
def test_a_table_is_shown_to_those_who_may_read_it(
    demo: Flask, client: FlaskClient, add_user: Callable[..., str], role: str | None
) -> None:
    add_user("ann", *filter(None, [role]))
    ann = Caller("a" * 32, "ann", Permissions(expand_roles(role)))
    for name, table in TABLES.items():
        calls = TableApi(client, basic("ann", PASSWORD), f"/api/now/table/{name}")
        expected = 200 if table.access.admits("read", ann.permissions) else 403
        for display_value in ("false", "true", "all"):
            response = calls.page(display_value=display_value, limit=5)
            assert response.status_code == expected, (name, display_value, response.text)


def test_every_field_of_every_table_is_shown_to_an_administrator(
    demo: Flask, client: FlaskClient, admin: dict[str, str], add_user: Callable[..., str]
) -> None:
    add_user("mona", "change_manager")
    add_what_the_demo_lacks(client, admin, basic("mona", PASSWORD))
    with demo.app_context():
        db.session.add(SysEmail(recipients="ann@example.com", subject="Hello", send_at=utc_now()))
        db.session.commit()
    empty = set()
    for name, table in TABLES.items():
        records = result_of(TableApi(client, admin, f"/api/now/table/{name}").page(limit=1))
        if not records:
            empty.add(name)
        for record in records:
            assert record.keys() == {*table.columns, *table.blank_fields}, name
    assert empty == {"incident"}, "add a record of each other table"


def add_what_the_demo_lacks(client: FlaskClient, admin: dict[str, str], manager: dict[str, str]) -> None:
    """Create a record of each table that is empty in the demo before anybody has used it."""
    verifier_map = {"name": "Signer", "kid": "k1", "certificate": pem(certificate()), "enforce_dates": False}
    IntegrationApi(client, admin).created(jwks_url=..., key_source="certificates", verifier_maps=[verifier_map])
    own = {"type": "client_credentials", "name": "Robot", "provider_name": "Ours", "run_as": "admin"}
    robot = IntegrationApi(client, admin).result("POST", body=own)
    grant = {
        "grant_type": "client_credentials",
        "client_id": robot["client_id"],
        "client_secret": robot["client_secret"],
    }
    assert client.post("/oauth_token.do", data=grant).status_code == 200
    files = AttachmentApi(client, admin)
    files.uploaded(files.change())
    changes = TableApi(client, admin)
    assert changes.delete(changes.created()["sys_id"]).status_code == 204
    groups = TableApi(client, admin, "/api/now/table/sys_user_group")
    group = groups.created(name="Approvers of networks")
    assert groups.update(group["sys_id"], {"name": "Network approvers"}).status_code == 200
    TableApi(client, admin, "/api/now/table/sys_group_has_role").created(group=group["sys_id"], role="itil")
    assessed = changes.created(assignment_group=group["sys_id"])
    assert changes.update(assessed["sys_id"], {"state": "-4"}).status_code == 200
    TableApi(client, admin, "/api/now/table/std_change_proposal").created(name="Restart the router")
    shop, server, _ = (
        TableApi(client, admin, "/api/now/table/cmdb_ci").created(name=name, sys_class_name=name)["sys_id"]
        for name in ("cmdb_ci_service", "cmdb_ci_server", "service_offering")
    )
    TableApi(client, admin, "/api/now/table/cmdb_rel_ci").created(parent=shop, child=server)
    for item in (shop, server):
        planned = {"start_date": "2099-01-01 00:00:00", "end_date": "2099-01-02 00:00:00"}
        change = changes.created(cmdb_ci=item, **planned)
    check = client.post(f"/api/sn_chg_rest/change/{change['sys_id']}/conflict", headers=admin)
    assert check.status_code == 200, check.text
    impacted = {"task": change["sys_id"], "cmdb_ci_service": shop}
    TableApi(client, admin, "/api/now/table/task_cmdb_ci_service").created(**impacted)
    delegate = {"delegate": "tom.okafor", "ends": "2099-01-01 00:00:00"}
    TableApi(client, admin, "/api/now/table/sys_user_delegate").created(user="maria.keller", **delegate)
    TableApi(client, admin, "/api/now/table/sys_filter").created(title="Risky", table="change_request", filter="risk=2")
    in_force = {"time_zone": "Europe/Berlin", "active": "true"}
    freezes = TableApi(client, admin, "/api/now/table/cmn_schedule_blackout")
    freeze = freezes.created(name="Year end", override_role="change_manager", **in_force)
    schedule = TableApi(client, admin, "/api/now/table/cmn_schedule_maintenance").created(name="Nights", **in_force)
    window = {"start_date_time": "2098-12-31 00:00:00", "end_date_time": "2099-01-03 00:00:00"}
    for each in (freeze, schedule):
        TableApi(client, admin, "/api/now/table/cmn_schedule_span").created(schedule=each["sys_id"], **window)
    override = {"change_request": change["sys_id"], "freeze": freeze["sys_id"], "reason": "Agreed"}
    TableApi(client, manager, "/api/now/table/chg_freeze_override").created(**override)
    identity = {"user": "maria.keller", "issuer": "https://idp.example.com", "subject": "maria"}
    TableApi(client, admin, "/api/now/table/sys_user_identity").created(**identity)
    provider = {"name": "Example", "alias": "example", "issuer": "https://idp.example.com", "client_id": "desk"}
    made = TableApi(client, admin, "/api/now/table/oidc_provider_configuration").created(**provider)
    mapping = {"provider": made["sys_id"], "claim": "groups", "value": "board", "group": group["sys_id"]}
    TableApi(client, admin, "/api/now/table/oidc_claim_mapping").created(**mapping)


def test_the_demo_shows_the_life_of_a_change(demo: Flask, client: FlaskClient, admin: dict[str, str]) -> None:
    tasks = TableApi(client, admin, "/api/now/table/change_task")
    assert tasks.found("change_request.state=-1^ORDERBYnumber^change_task_type=testing", "state") == ["1"] * 4
    approvals = TableApi(client, admin, "/api/now/table/sysapproval_approver")
    assert set(approvals.found("sysapproval.state=-4", "state")) == {"requested"}
    changes = TableApi(client, admin)
    assert changes.found("type=standard^std_change_producer_versionISEMPTY", "number") == []


def test_a_task_is_read_as_task_and_written_as_its_own_class(client: FlaskClient, admin: dict[str, str]) -> None:
    change = TableApi(client, admin).created(short_description="a change")
    tasks = TableApi(client, admin, "/api/now/table/task")
    seen = result_of(tasks.get(change["sys_id"]))
    assert (seen["number"], seen["sys_class_name"]) == (change["number"], "change_request")
    assert "risk" not in seen
    assert tasks.update(change["sys_id"], {"short_description": "x"}).status_code == 403
    assert tasks.create({"short_description": "x"}).status_code == 403
    assert tasks.delete(change["sys_id"]).status_code == 403


def test_choices_are_data(client: FlaskClient, admin: dict[str, str]) -> None:
    choices = TableApi(client, admin, "/api/now/table/sys_choice")
    changes = TableApi(client, admin)
    assert changes.create({"category": "Firewall"}).status_code == 400
    added = choices.created(name="change_request", element="category", value="Firewall", label="Firewalls")
    change = changes.created(category="Firewall")
    assert result_of(changes.get(change["sys_id"], display_value="true"))["category"] == "Firewalls"
    choices.update(added["sys_id"], {"inactive": "true"})
    assert changes.create({"category": "Firewall"}).status_code == 400
    assert result_of(changes.get(change["sys_id"], display_value="true"))["category"] == "Firewalls"
