"""Owners of integrations: what is theirs, on every page for owners, and nothing else."""

import html
import re
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import update

from changegate.console.guards import LISTS_FOR_OWNERS, PAGES_FOR_OWNERS
from changegate.extensions import db
from changegate.models import SysUser, SysUserGroup, SysUserGroupMember, Task
from changegate.services.integrations.saving import Registered, register_integration
from tests.conftest import basic
from tests.console.conftest import PASSWORD, MakeChange, SignIn, fields
from tests.console.integrations.test_views import add_event
from tests.console.visitor import Visitor
from tests.guards.audiences import AUDIENCES, Audience
from tests.support.token_desk import TokenDesk, token_desk

LIST = "/inbound-integrations"


@dataclass(frozen=True)
class Known:
    """An integration with an event and a change."""

    registered: Registered
    event: str
    change: str

    @property
    def path(self) -> str:
        return f"{LIST}/{self.registered.entity.client_id}"

    def pages(self, app: Flask) -> list[str]:
        """Return the path of every page for owners that is read."""
        entity = self.registered.entity
        names = {"client_id": entity.client_id, "sys_id": entity.sys_id, "correlation_id": self.event}
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in PAGES_FOR_OWNERS]
        assert {rule.endpoint for rule in rules} == PAGES_FOR_OWNERS
        readable = [rule.rule for rule in rules if "GET" in (rule.methods or ())]
        return [re.sub("<([a-z_]+)>", lambda argument: names[argument[1]], rule) for rule in readable]


def register(app: Flask, make_change: MakeChange, name: str, **owners: str) -> Known:
    with app.app_context():
        registered = register_integration(fields(name=name, **owners), by="admin")
        db.session.commit()
        db.session.refresh(registered.entity)
        db.session.expunge_all()
    event = add_event(app, registered, is_accepted=True, subject=f"job of {name}")
    change = make_change(short_description=f"Made by {name}")
    with app.app_context():
        db.session.execute(
            db.text("UPDATE task SET oauth_entity = :entity WHERE sys_id = :change"),
            {"entity": registered.entity.sys_id, "change": change},
        )
        db.session.commit()
    return Known(registered, event, change)


@pytest.fixture(params=["owner", "owner_group"])
def owner(request: pytest.FixtureRequest, app: Flask, sign_in: SignIn) -> tuple[Visitor, dict[str, str]]:
    """A signed-in user without a role, and the fields that make them the owner: by name, or as a member of a group."""
    nora = sign_in("nora")
    with app.app_context():
        group = SysUserGroup(name="Shop")
        db.session.add(group)
        db.session.flush()
        user = db.session.query(SysUser).filter_by(user_name="nora").one()
        db.session.add(SysUserGroupMember(user=user.sys_id, group=group.sys_id))
        db.session.commit()
    return nora, {request.param: "nora" if request.param == "owner" else "Shop"}


@pytest.fixture
def own(app: Flask, make_change: MakeChange, owner: tuple[Visitor, dict[str, str]]) -> Known:
    return register(app, make_change, "Shop pipeline", **owner[1])


@pytest.fixture
def foreign(app: Flask, make_change: MakeChange, owner: tuple[Visitor, dict[str, str]]) -> Known:
    return register(app, make_change, "Bank pipeline", owner="admin")


def test_the_table_of_audiences_names_the_pages_for_owners(app: Flask) -> None:
    of_owners = {name for name, audience in AUDIENCES.items() if audience is Audience.INTEGRATION_OWNERS}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in PAGES_FOR_OWNERS]
    named = {f"{method} {rule.rule}" for rule in rules for method in (rule.methods or set()) & {"GET", "POST"}}
    # The form of a new integration tries tokens too.
    assert named - of_owners == {"POST /inbound-integrations/new/<connection_type>/try-token"}
    assert of_owners <= named


def test_an_owner_reads_every_page_of_their_integration(
    app: Flask, owner: tuple[Visitor, dict[str, str]], own: Known
) -> None:
    nora, _ = owner
    for path in own.pages(app):
        page = nora.client.get(path, follow_redirects=True)
        assert page.status_code == 200, path
        # The only form is that of a trial, and those of every page.
        forms = set(re.findall(r'<form[^>]* action="([^"]*)"', page.text))
        assert forms <= {"/logout", "/logout/everywhere", f"{own.path}/try-token"}, path
        assert "client_secret_hash" not in page.text
    details = html.unescape(nora.open(own.path).text)
    for shown in ("Shop pipeline", "https://ci.example.com", own.registered.entity.client_id, "RS256"):
        assert shown in details
    for label, value in (("Active", "Yes"), ("Allow additional audiences", "No")):
        assert re.search(rf'<dt>{label}</dt><dd class="breakable">{value}</dd>', details), label


def test_another_integration_does_not_exist_for_an_owner(
    app: Flask, owner: tuple[Visitor, dict[str, str]], own: Known, foreign: Known
) -> None:
    nora, _ = owner
    for path in foreign.pages(app):
        assert nora.open(path).status_code == 404, path
    page = nora.open(own.path)
    answer = nora.send(page, "integration")
    assert answer.status_code == 200
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    tried = nora.client.post(f"{foreign.path}/try-token", data={"csrf_token": token})
    assert tried.status_code == 404


def test_an_owner_changes_nothing(app: Flask, owner: tuple[Visitor, dict[str, str]], own: Known) -> None:
    nora, _ = owner
    app.config["WTF_CSRF_ENABLED"] = False
    names = {"client_id": own.registered.entity.client_id, "correlation_id": own.event, "thumbprint": "0" * 43}
    writes = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ())
        and rule.endpoint not in PAGES_FOR_OWNERS
        and set(rule.arguments) & {*names}
        and rule.rule.startswith(("/inbound", "/tokens"))
    ]
    assert len(writes) >= 10
    for rule in writes:
        path = re.sub("<([a-z_]+)>", lambda argument: names[argument[1]], rule)
        assert nora.client.post(path, data={"name": "Mine"}).status_code == 403, path


def test_lists_have_what_is_theirs(
    app: Flask, owner: tuple[Visitor, dict[str, str]], own: Known, foreign: Known
) -> None:
    nora, _ = owner
    assert len(LISTS_FOR_OWNERS) == 4
    for path in (LIST, f"{LIST}/events"):
        text = html.unescape(nora.open(path).text)
        assert ("Shop pipeline" in text, "Bank pipeline" in text) == (True, False), path
    for path in ("/tokens", "/tokens/refresh-tokens"):
        assert nora.open(path).status_code == 200, path


def test_the_changes_of_an_own_integration_can_be_read(
    owner: tuple[Visitor, dict[str, str]], own: Known, foreign: Known
) -> None:
    nora, _ = owner
    assert nora.open(f"/change-requests/{own.change}").status_code == 200
    assert nora.open(f"/change-requests/{foreign.change}").status_code == 404
    text = html.unescape(nora.open("/change-requests").text)
    assert ("Made by Shop pipeline" in text, "Made by Bank pipeline" in text) == (True, False)


def test_the_navigator_names_the_lists_for_owners_only(
    owner: tuple[Visitor, dict[str, str]], own: Known, sign_in: SignIn
) -> None:
    nora, _ = owner
    for visitor, is_shown in ((nora, True), (sign_in("eva"), False)):
        text = visitor.open("/").text
        for path in (LIST, f"{LIST}/events", "/tokens"):
            assert (f'href="{path}"' in text) == is_shown, path
        assert 'href="/auth-scopes"' not in text


def test_a_user_who_owns_nothing_is_refused(sign_in: SignIn) -> None:
    eva = sign_in("eva", "itil")
    for path in (LIST, f"{LIST}/events", "/tokens", f"{LIST}/new"):
        assert eva.open(path).status_code == 403


def test_an_owner_tries_a_token(app: Flask, sign_in: SignIn) -> None:
    with token_desk(app) as desk:
        nora = sign_in("nora")
        integration = desk.register(owner="nora")
        path = f"{LIST}/{integration.client_id}"
        answer = nora.send(nora.open(path), "integration", {"assertion": desk.assertion()})
        assert "It would be accepted" in answer.text
        assert "form_fragments" not in answer.text and "Pin" not in answer.text
        require_stored_fields(nora, desk, path)


def require_stored_fields(nora: Visitor, desk: TokenDesk, path: str) -> None:
    """Check that a sent field does not replace a stored one: the trial is of the integration as it is."""
    changes = {"assertion": desk.assertion(), "issuer": "https://evil.example.com", "jwks_url": "https://10.0.0.1/"}
    assert "It would be accepted" in nora.send(nora.open(path), "integration", changes).text


def test_a_former_owner_reads_nothing(
    app: Flask, admin: Visitor, owner: tuple[Visitor, dict[str, str]], own: Known
) -> None:
    nora, owners = owner
    [field] = owners
    answer = admin.send(admin.open(own.path), "integration", {field: ""})
    assert answer.status_code == 302, answer.text
    assert nora.open(own.path).status_code == 404
    assert nora.open(LIST).status_code == 403


def test_owners_without_a_session_sign_in(visitor: Visitor, own: Known) -> None:
    assert visitor.open(own.path).location.startswith("/login")
    assert visitor.sign_in("nora", PASSWORD, f"/login?next={own.path}").location == own.path


def test_walks_show_an_integration_to_its_owners_only(
    app: Flask, sign_in: SignIn, integration: Registered, make_change: MakeChange
) -> None:
    entity = integration.entity
    change = make_change(short_description="x")
    with app.app_context():
        values = {"oauth_entity": entity.sys_id}
        db.session.execute(update(Task.__table__).where(Task.__table__.c["sys_id"] == change).values(values))
        db.session.commit()
    sign_in("tom.okafor", "itil")
    api = app.test_client()

    def read(query: str) -> str:
        path = f"/api/now/table/change_request?sysparm_fields=number,oauth_entity.name&{query}"
        return api.get(path, headers=basic("tom.okafor", PASSWORD)).text

    assert entity.name not in read("")
    assert "CHG" not in read(f"sysparm_query=oauth_entity.name={entity.name}")
    assert "CHG" in read(f"sysparm_query=sys_id={change}")
