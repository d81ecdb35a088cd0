"""Records of every kind that the console shows, with the long and right-to-left texts that people write."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from changegate import create_app
from changegate.console.integrations.setup_form import SetupForm
from changegate.extensions import db
from changegate.models import SysapprovalApprover, SysAuthScope, SysUserGroup, SysUserRole
from changegate.schemas import presets
from changegate.seed.demo import seed_demo
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment
from changegate.services.integrations.drafts import start_draft
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.recognition import recognize_pasted
from changegate.services.keys.key_store import key_store
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users.account_links import INVITATION, create_link
from changegate.services.users.accounts import create_user
from changegate.services.users.calendar_feeds import create_feed, list_feeds
from tests.conftest import ADMIN_PASSWORD
from tests.support.people import ROOT
from tests.support.token_desk import TokenDesk, token_desk

# Each is a kind of user, with the roles that it has.
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "nobody": (),
    "requester": (),
    "approver": ("approver_user",),
    "reader": ("sn_change_read",),
    "engineer": ("itil",),
    "manager": ("change_manager",),
    "integrator": ("oauth_admin",),
    # Owns the integration of the examples.
    "owner": (),
}
# The examples have an integration whose keys a server on loopback publishes.
LOOPBACK = {"jwks_allow_loopback": "1"}
PARAMETER = re.compile(r"<(?:path:)?([^>]+)>")
# Stands in the texts of the change, which only some people may read.
CONFIDENTIAL = "Operation Ultramarine"
LONG_WORD = "Wolfeschlegelsteinhausenbergerdorff" * 2
RIGHT_TO_LEFT = "החלפת מתג הליבה בחדר השרתים (שלב 2)"
DELETED_FILTER = "/records/<table_name>/saved-filters/<sys_id>/delete"
PROVIDER = {"name": "Demo IdP", "alias": "demo", "issuer": "http://127.0.0.1:9", "client_id": "changegate"}
FILTER = {"title": RIGHT_TO_LEFT, "table": "sys_user", "filter": "active=true", "user": ROOT.sys_id}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Examples:
    """The people by kind, and the values of parameters: by name, with the blueprint before it, or with the rule."""

    people: Mapping[str, str]
    values: Mapping[str, str]

    def fill(self, rule: str, blueprint: str = "") -> str:
        """Return a rule with the values of its parameters."""

        def value_of(parameter: re.Match[str]) -> str:
            name = parameter[1]
            keys = (f"{rule}:{name}", f"{blueprint}.{name}", name)
            found = next((self.values[key] for key in keys if key in self.values), None)
            assert found, f"tests/console/example_records.py needs a value for {name} of {rule}"
            return found

        return PARAMETER.sub(value_of, rule)


def furnish(instance: Path) -> Examples:
    """Add the examples to a prepared instance."""
    app = create_app(instance_path=instance, overrides=LOOPBACK)
    examples = add_examples(app)
    with app.app_context():
        db.engine.dispose()
    return examples


def add_examples(app: Flask) -> Examples:
    """Add the records of the demo, and one of each kind that a page of the console shows."""
    with token_desk(app) as desk:
        values = _add_integration(desk)
        with app.app_context():
            seed_demo(admin_password=ADMIN_PASSWORD)
            people = {kind: _add_person(kind, roles) for kind, roles in PEOPLE.items()} | {"admin": ROOT.sys_id}
            change = _add_change(people)
            entity = get_integration(values["client_id"])
            entity.owner = people["owner"]
            found = SetupForm.proposed(recognize_pasted(desk.jwks.url(), key_store(), presets), may_create_account=True)
            scopes = select(SysAuthScope.sys_id).order_by(SysAuthScope.name)
            values |= {
                "/inbound-integrations/by-sys-id/<sys_id>:sys_id": entity.sys_id,
                "table_name": "sys_user",
                "sys_id": people["nobody"],
                "change_requests.sys_id": change,
                "change_forms.sys_id": change,
                "/change-requests/<sys_id>/watch:sys_id": change,
                "change_files.sys_id": change,
                "approvals.sys_id": _approval_of(people["manager"]),
                "template_id": _offer(people["requester"]),
                "delegations.sys_id": _delegate(people["manager"], people["engineer"]),
                "attachment_id": _attach(change, "plan.png"),
                "auth_scopes.sys_id": str(db.session.execute(scopes).scalars().first()),
                "connection_type": "client-credentials",
                "form_fragments.connection_type": "jwt-bearer",
                "draft_id": start_draft(ROOT.sys_id, found.content()).sys_id,
                "assigned": "sys_user_grmember",
                "assignment_id": _create("sys_user_grmember", user=people["nobody"], group="Network"),
                "group_id": str(db.session.execute(select(SysUserGroup.sys_id).filter_by(name="Network")).scalar_one()),
                "account_links.token": create_link(people["requester"], INVITATION).rpartition("/")[2],
                "token": create_feed(ROOT.sys_id, RIGHT_TO_LEFT, ""),
                "calendar.token_hash": list_feeds(ROOT.sys_id)[0].token_hash,
                "preferences.token_hash": "0" * 64,
                "file_format": "csv",
                f"{DELETED_FILTER}:sys_id": _create("sys_filter", **FILTER),
                "served_table:name": "change_request",
                "alias": _add_provider(),
            }
            db.session.commit()
    return Examples(people, values)


def _add_integration(desk: TokenDesk) -> dict[str, str]:
    """Add an integration that has created a change, and of which an exchange was refused."""
    integration = desk.register(f"Pipeline of {LONG_WORD}", scopes=["change_request.create", "change_request.read"])
    assert desk.call(desk.token(integration)).status_code == 201
    accepted = desk.last_event()
    assert accepted is not None
    assert desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com")).status_code == 400
    return {"client_id": integration.client_id, "correlation_id": accepted.correlation_id}


def _add_person(kind: str, roles: tuple[str, ...]) -> str:
    name = f"{kind.title()} {RIGHT_TO_LEFT if kind == 'nobody' else LONG_WORD}"
    return create_user(user_name=kind, password=ADMIN_PASSWORD, email=None, name=name, roles=list(roles)).sys_id


def _add_change(people: Mapping[str, str]) -> str:
    """Add a change of the requester that waits for the approval of the manager and the approver, with all around it."""
    group = db.session.execute(select(SysUserGroup).filter_by(name="Network")).scalar_one()
    group.manager = people["manager"]
    _create("sys_user_grmember", user=people["manager"], group=group.sys_id)
    fields = {
        "short_description": f"{RIGHT_TO_LEFT} {CONFIDENTIAL} {LONG_WORD}",
        "description": f"{RIGHT_TO_LEFT}\n{LONG_WORD * 3}\n",
        "requested_by": people["requester"],
        "assignment_group": group.sys_id,
        "assigned_to": people["engineer"],
        "risk": "4",
        "start_date": "2030-01-10 10:00:00",
        "end_date": "2030-01-10 12:00:00",
    }
    change = _create("change_request", **fields)
    _create("change_task", change_request=change, short_description=f"{LONG_WORD} {RIGHT_TO_LEFT}")
    ci = _create("cmdb_ci", name=LONG_WORD)
    _create("task_ci", task=change, ci_item=ci)
    for sent in ({"comments": f"{LONG_WORD} {RIGHT_TO_LEFT}"}, {"state": "-4"}):
        update_record(get_table("change_request"), ROOT, change, sent)
    _create("sysapproval_approver", sysapproval=change, approver=people["approver"], state="requested")
    return change


def _offer(user: str) -> str:
    """Add a template that is offered to a group of a user."""
    group = _create("sys_user_group", name=LONG_WORD)
    _create("sys_user_grmember", user=user, group=group)
    content = "category=Software^implementation_plan=Restart it^EQ"
    return _create("std_change_record_producer", name=LONG_WORD, template=content, offered_to=group)


def _delegate(user: str, delegate: str) -> str:
    """Add a delegation that has not begun."""
    period = {"starts": "2040-01-01 00:00:00", "ends": "2040-02-01 00:00:00"}
    return _create("sys_user_delegate", user=user, delegate=delegate, **period)


def _approval_of(user: str) -> str:
    asked = select(SysapprovalApprover.sys_id).filter_by(approver=user, state="requested")
    return str(db.session.execute(asked).scalar_one())


def _add_provider() -> str:
    provider = _create("oidc_provider_configuration", **PROVIDER)
    role = db.session.execute(select(SysUserRole.sys_id).filter_by(name="itil")).scalar_one()
    _create("oidc_claim_mapping", provider=provider, claim="groups", value=LONG_WORD, role=role)
    return PROVIDER["alias"]


def _attach(change: str, name: str) -> str:
    target = Target(get_table("change_request"), change, name)
    return create_attachment(ROOT, target, measure(BytesIO(PNG))).sys_id


def _create(table: str, /, **fields: str) -> str:
    return str(create_record(get_table(table), ROOT, fields)["sys_id"])
