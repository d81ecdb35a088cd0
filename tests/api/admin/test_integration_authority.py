"""Only administrators save what may act as an administrator, and who shares assertions is warned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.integrations.integrations import list_integrations
from changegate.services.users.accounts import create_user, set_password
from tests.conftest import basic
from tests.console.conftest import SignIn, sign_in
from tests.console.visitor import Visitor
from tests.support.integration_api import LEAST, IntegrationApi

__all__ = ["sign_in"]
PASSWORD = "itil itil itil"
NEW = "/inbound-integrations/new/jwt-bearer/form"
MAPPED = {"run_as": None, "user_field": "user_name"}
BY_SECRET = {"type": "client_credentials", "name": "Script", "provider_name": "us"}
RUNS_AS = "Tokens of this integration act as root, who has the role admin."


@dataclass
class Instance:
    """An application with an administrator, a manager of integrations and an account for automation."""

    app: Flask

    def api(self, name: str) -> IntegrationApi:
        return IntegrationApi(self.app.test_client(), basic(name, PASSWORD))

    @property
    def root(self) -> IntegrationApi:
        return self.api("root")

    @property
    def oscar(self) -> IntegrationApi:
        return self.api("oscar")

    def registered(self) -> list[OAuthEntity]:
        with self.app.app_context():
            found = list_integrations()
            db.session.expunge_all()
            return found


@pytest.fixture
def instance(either_app: Flask) -> Iterator[Instance]:
    with either_app.app_context():
        for name, role in (("root", "admin"), ("oscar", "oauth_admin"), ("mia", "mi_admin"), ("bot", "itil")):
            set_password(create_user(user_name=name, password=None, email=None, name=None, roles=[role]), PASSWORD)
        db.session.commit()
    yield Instance(either_app)


WITH_POWER: dict[str, dict[str, Any]] = {
    "run as": {**LEAST, "run_as": "root"},
    "mapped": {**LEAST, **MAPPED},
    "client credentials": {**BY_SECRET, "run_as": "root"},
    "id token": {**LEAST, "type": "id_token", **MAPPED},
}


@pytest.mark.parametrize("fields", WITH_POWER.values(), ids=WITH_POWER)
@pytest.mark.parametrize("name", ["oscar", "mia"])
def test_only_an_administrator_registers_what_may_act_as_one(
    instance: Instance, name: str, fields: dict[str, Any]
) -> None:
    message = instance.api(name).refused("POST", "", fields, 403)
    assert "Only an administrator can save or enable it." in message
    assert instance.registered() == []
    assert instance.root.result("POST", "", fields)["name"] == fields["name"]


def test_managers_of_integrations_register_the_others(instance: Instance) -> None:
    made = instance.oscar.created(run_as="bot")
    path = f"/{made['client_id']}"
    assert instance.oscar.result("PATCH", path, {"comments": "x"})["comments"] == "x"
    assert instance.oscar.result("POST", f"{path}/rotate-secret", {})["client_secret"]


@pytest.mark.parametrize("change", [{"run_as": "root"}, MAPPED])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_none_is_turned_into_one_that_acts_as_an_administrator(
    instance: Instance, change: dict[str, Any], method: str
) -> None:
    path = f"/{instance.oscar.created(run_as='bot')['client_id']}"
    body = change if method == "PATCH" else {**LEAST, **change}
    assert "Only an administrator" in instance.oscar.refused(method, path, body, 403)
    assert [one.user_field for one in instance.registered()] == [None]
    assert instance.root.result("GET", path)["run_as"] == "bot"


@pytest.mark.parametrize("fields", [{"run_as": "root"}, MAPPED])
def test_one_that_acts_as_an_administrator_is_not_edited_by_others(instance: Instance, fields: dict[str, Any]) -> None:
    path = f"/{instance.root.created(**fields)['client_id']}"
    edits: list[tuple[str, str, Any]] = [
        ("PATCH", "", {"jwks_url": "https://evil.example.com/jwks.json"}),
        ("PUT", "", {**LEAST, "run_as": "bot"}),
        ("POST", "/rotate-secret", {}),
        ("POST", "/enable", None),
        ("POST", f"/keys/{'A' * 43}/unblock", None),
    ]
    for method, tail, body in edits:
        instance.oscar.refused(method, path + tail, body, 403)
    # What takes trust away is not refused.
    assert instance.oscar.result("POST", f"{path}/disable")["active"] is False
    assert instance.oscar.send("DELETE", path).status_code == 204


def test_a_role_by_group_counts(instance: Instance) -> None:
    client, headers = instance.app.test_client(), basic("root", PASSWORD)

    def create(table: str, **values: str) -> str:
        made = client.post(f"/api/now/table/{table}", json=values, headers=headers)
        return str(made.get_json()["result"]["sys_id"])

    group = create("sys_user_group", name="Administrators")
    create("sys_group_has_role", group=group, role="admin")
    create("sys_user_grmember", group=group, user="bot")
    assert "bot, who has the role admin" in instance.oscar.refused("POST", "", {**LEAST, "run_as": "bot"}, 403)


@pytest.mark.parametrize("changes", [{"run_as": "root"}, {"subject_rule": "user_field", "user_field": "user_name"}])
def test_the_form_says_so_at_the_field(app: Flask, sign_in: SignIn, changes: dict[str, str]) -> None:
    with app.app_context():
        create_user(user_name="root", password=None, email=None, name=None, roles=["admin"])
        db.session.commit()
    oscar: Visitor = sign_in("oscar", "oauth_admin")
    typed = {**{name: str(value) for name, value in LEAST.items()}, **changes}
    page = oscar.send(oscar.open(NEW), "integration", typed)
    assert page.status_code == 403 and "Only an administrator can save or enable it." in page.text
    with app.app_context():
        assert list_integrations() == []


def test_who_shares_assertions_is_named_in_warnings(instance: Instance) -> None:
    audience = {"run_as": "bot", "audiences": ["https://change.example.com"]}
    first = instance.oscar.send("POST", "", {**LEAST, **audience}).get_json()
    assert not any("also accepted" in sentence for sentence in first["warnings"])
    second = instance.oscar.send("POST", "", {**LEAST, **audience, "name": "Second"}).get_json()
    sentence = (
        "Assertions with its issuer and audience are also accepted by Pipeline. Give each integration its own audience."
    )
    assert sentence in second["warnings"]
    path = f"/{second['result']['client_id']}"
    assert sentence not in instance.oscar.send("PATCH", path, {"audiences": ["other"]}).get_json()["warnings"]


def test_the_form_shows_who_shares_assertions(app: Flask, sign_in: SignIn) -> None:
    admin: Visitor = sign_in("root", "admin")
    typed = {**{name: str(value) for name, value in LEAST.items()}, "audiences": "https://change.example.com"}
    for name in ("First", "Second"):
        admin.send(admin.open(NEW), "integration", {**typed, "name": name})
    with app.app_context():
        client_id = next(one.client_id for one in list_integrations() if one.name == "Second")
    assert "also accepted by First" in admin.open(f"/inbound-integrations/{client_id}").text
