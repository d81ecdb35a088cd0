"""What a change takes from its template, who may use a template, and how versions follow each other."""

from typing import Any

import orjson
import pytest
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import AccessRefused, InputInvalid, OperationFailed
from changegate.extensions import db
from changegate.models import ChgHistory, OAuthEntity, StdChangeProducerVersion
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import TokenGrant
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record
from tests.services.approvals.asked_changes import add, add_group, change_of, edit
from tests.services.standard_changes.template_records import TEMPLATES, add_template, edit_template, retire
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
CHANGES = get_table("change_request")
NEW = -5
VALUES = "short_description=Restart^implementation_plan=One by one^category=Software^risk=4^EQ"


def create(caller: Caller = ROOT, **sent: Any) -> Any:
    return create_record(CHANGES, caller, {"std_change_producer_version": "Restart - 1", **sent})


def refusal(**sent: Any) -> str:
    with pytest.raises((OperationFailed, AccessRefused)) as refused:
        create(**sent)
    return refused.value.detail or ""


def versions() -> list[tuple[str, bool, str | None]]:
    columns = StdChangeProducerVersion.__table__.c
    statement = select(columns.name, columns.active, columns.template).where(columns.name.startswith("Restart"))
    return [tuple(row) for row in connection().execute(statement.order_by(columns.version))]


def pipeline(name: str) -> Caller:
    """Return the token of an integration that acts as a user who may write changes."""
    entity = OAuthEntity(
        type="jwt_bearer",
        name=name,
        client_id=f"client of {name}",
        issuer="https://idp.example.com",
        audiences=[],
        algorithms=[],
        jwks_url="",
        active=True,
    )
    return caller_for(add_account(f"robot.{name}"), "itil", grant=TokenGrant(_stored(entity), "useraccount"))


def _stored(entity: OAuthEntity) -> str:
    for column in OAuthEntity.__table__.columns:
        if not column.nullable and column.default is None and getattr(entity, column.key, None) is None:
            kind = column.type.python_type
            setattr(entity, column.key, {int: 60, bool: False}.get(kind, ""))
    db.session.add(entity)
    db.session.flush()
    return str(entity.sys_id)


def test_each_edit_of_the_content_publishes_a_version() -> None:
    add_template(template=VALUES)
    edit_template("Restart", template="risk=3^EQ")
    edit_template("Restart", template="risk=3^EQ", description="Only a description")
    edit_template("Restart", mandatory_fields="cmdb_ci")
    assert versions() == [
        ("Restart - 1", False, VALUES),
        ("Restart - 2", False, "risk=3^EQ"),
        ("Restart - 3", True, "risk=3^EQ"),
    ]


def test_a_retired_template_has_no_active_version_until_it_is_offered_again() -> None:
    add_template()
    retire("Restart")
    edit_template("Restart", template="risk=3^EQ")
    assert [active for _, active, _ in versions()] == [False, False]
    edit_template("Restart", active="true")
    assert [active for _, active, _ in versions()] == [False, True]


def test_the_history_of_a_template_keeps_its_edits() -> None:
    add_template(template="risk=4^EQ")
    edit_template("Restart", template="risk=3^EQ")
    [*_, last] = connection().execute(
        select(ChgHistory.facts).where(ChgHistory.kind == "template_edited").order_by(ChgHistory.sys_id)
    )
    assert orjson.loads(last.facts)["changes"]["template"] == ["risk=4^EQ", "risk=3^EQ"]


def test_only_the_current_version_can_be_used() -> None:
    old = add_template()
    edit_template("Restart", template="risk=4^EQ")
    detail = "Version Restart - 1 of the standard change template was replaced. Create the change from Restart - 2"
    assert refusal() == refusal(std_change_producer_version=old) == detail
    assert create(std_change_producer_version="Restart - 2")["risk"] == 4
    retire("Restart")
    assert refusal(std_change_producer_version="Restart - 2").startswith("The standard change template Restart is reti")


def test_a_change_of_a_version_that_was_replaced_is_not_scheduled() -> None:
    add_template()
    made = create(assignment_group=add_group("Team"))["sys_id"]
    edit_template("Restart", template="risk=4^EQ")
    with pytest.raises(OperationFailed):
        edit("change_request", made, state="-2")
    assert change_of(made)["approval"] == "not requested"


@pytest.mark.parametrize("name", ["implementation_plan", "risk", "justification", "cmdb_ci"])
def test_read_only_fields_have_the_value_of_the_template_or_none(name: str) -> None:
    item = add("cmdb_ci", name="web")
    add_template(template=VALUES, read_only_fields="risk,justification,cmdb_ci")
    ignored: list[str] = []
    sent = {"implementation_plan": "Format the disk", "risk": "2", "justification": "Mine", "cmdb_ci": item}
    request = {"std_change_producer_version": "Restart - 1", name: sent[name]}
    made = create_record(CHANGES, ROOT, request, ignored=ignored)
    expected = {"implementation_plan": "One by one", "risk": 4, "justification": None, "cmdb_ci": None}
    assert (made[name], ignored) == (expected[name], [name])
    with pytest.raises(OperationFailed) as refused:
        edit("change_request", made["sys_id"], **{name: sent[name]})
    assert refused.value.detail == (
        f"{name}: the standard change template Restart decides this field. Create a change of the type Normal to do it "
        "differently"
    )
    edit("change_request", made["sys_id"], implementation_plan="One by one", risk="4", description="Mine")


@pytest.mark.parametrize("state", [-5, -2, -1, 0])
def test_no_state_opens_the_plans_of_a_pre_approved_change(state: int) -> None:
    add_template(template=VALUES)
    made = create(assignment_group=add_group("Team"))["sys_id"]
    for step in range(-2, state + 1) if state > NEW else ():
        edit("change_request", made, state=str(step))
    mine: dict[str, str] = {"implementation_plan": "Mine"}
    for sent in (mine, {"implementation_plan": ""}, mine | {"state": "4"}):
        with pytest.raises(OperationFailed):
            edit("change_request", made, **sent)
    assert change_of(made)["implementation_plan"] == "One by one"


def test_a_plan_that_the_template_leaves_out_is_written_by_the_creator() -> None:
    add_template(template=VALUES)
    made = create(test_plan="Look at it")
    edit("change_request", made["sys_id"], test_plan="Look twice")
    assert change_of(made["sys_id"])["test_plan"] == "Look twice"


def test_a_change_that_people_approve_instead_opens_the_plans_and_never_becomes_standard_again() -> None:
    add_template(template=VALUES)
    made = create(assignment_group=add_group("Team"))["sys_id"]
    edit("change_request", made, type="normal", implementation_plan="Mine")
    with pytest.raises(AccessRefused):
        edit("change_request", made, type="standard")
    with pytest.raises(OperationFailed):
        edit("change_request", made, state="-2")


def test_mandatory_fields_are_needed_at_creation_and_kept() -> None:
    item = add("cmdb_ci", name="web")
    add_template(template=VALUES, mandatory_fields="cmdb_ci, justification,short_description")
    missing = "Data Policy Exception: The following fields are mandatory: Configuration item, Justification"
    assert refusal() == missing
    assert refusal(cmdb_ci=item) == "Data Policy Exception: The following fields are mandatory: Justification"
    made = create(cmdb_ci=item, justification="Because")["sys_id"]
    with pytest.raises(OperationFailed) as refused:
        edit("change_request", made, justification="")
    assert refused.value.detail == "Data Policy Exception: The following fields are mandatory: Justification"
    edit("change_request", made, justification="Another reason", description="")


def test_another_type_or_model_than_standard_is_refused() -> None:
    add_template()
    for sent in ({"type": "normal"}, {"type": "emergency"}, {"chg_model": "Normal"}):
        refusal(**sent)
    assert refusal(type="normal").startswith("type: a change from a standard change template has the type standard")


def test_a_bound_template_is_used_only_by_tokens_of_its_integrations() -> None:
    ours, others = pipeline("ours"), pipeline("others")
    assert ours.grant is not None
    add_template(integrations=ours.grant.entity)
    assert create(ours)["type"] == "standard"
    detail = (
        "The standard change template Restart may only be used by the integrations that it is bound to. Ask an "
        "administrator to add this integration to its integrations"
    )
    for caller in (others, ROOT, caller_for(add_account("ann"), "itil")):
        with pytest.raises(AccessRefused) as refused:
            create(caller)
        assert refused.value.detail == detail
    edit_template("Restart", integrations="")
    assert create(others)["type"] == "standard"
    assert [name for name, _, _ in versions()] == ["Restart - 1"]


def test_a_template_of_deleted_integrations_is_used_by_nobody() -> None:
    ours = pipeline("ours")
    assert ours.grant is not None
    add_template(integrations=ours.grant.entity)
    db.session.delete(db.session.get_one(OAuthEntity, ours.grant.entity))
    db.session.flush()
    refusal()


INVALID = [
    ({"template": "nonsense=1^EQ"}, "template", "'nonsense' is not a field of a change that a template can decide."),
    ({"template": "short_description^EQ"}, "template", "'short_description' is not a value such as category=Network."),
    ({"template": "type=normal^EQ"}, "template", "type: a change from a template has the type standard."),
    ({"template": "category=Cooking^EQ"}, "template", "Field category: "),
    ({"template": "assignment_group=Nobody^EQ"}, "template", "Field assignment_group: "),
    *(
        ({"template": f"{name}=1^EQ"}, "template", f"'{name}' is not a field of a change that a template can decide.")
        for name in ("state", "approval", "requested_by", "chg_model", "number", "oauth_entity", "on_hold", "opened_by")
    ),
    ({"mandatory_fields": "risk,nonsense"}, "mandatory_fields", "'nonsense' is not a field of a change"),
    ({"read_only_fields": "state"}, "read_only_fields", "'state' is not a field of a change"),
    ({"read_only_fields": "priority"}, "read_only_fields", "priority needs a value in the template to be read-only."),
    (
        {"read_only_fields": "justification", "mandatory_fields": "justification"},
        "read_only_fields",
        "justification needs a value in the template to be read-only.",
    ),
]


@pytest.mark.parametrize(("fields", "field", "sentence"), INVALID)
def test_refuses_content_that_no_change_can_have(fields: dict[str, str], field: str, sentence: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        add_template(**{"template": "risk=4^EQ", **fields})
    assert sentence in refused.value.fields[field][0]
    add_template("Valid", template="risk=4^EQ")
    with pytest.raises(InputInvalid):
        edit_template("Valid", **fields)


def test_the_name_of_a_template_cannot_change() -> None:
    add_template()
    with pytest.raises(OperationFailed) as refused:
        edit_template("Restart", name="Other")
    assert (refused.value.detail or "").startswith("name: the versions of a template have its name")


def test_a_used_template_cannot_be_deleted_and_an_unused_one_goes_with_its_versions() -> None:
    add_template()
    add_template("Restart twice")
    number = create()["number"]
    template, unused = (add_of(name) for name in ("Restart", "Restart twice"))
    with pytest.raises(OperationFailed) as refused:
        delete_record(TEMPLATES, ROOT, template)
    assert number in (refused.value.detail or "")
    delete_record(TEMPLATES, ROOT, unused)
    assert [name for name, _, _ in versions()] == ["Restart - 1"]


def add_of(name: str) -> str:
    """Return the sys_id of a template."""
    source = TEMPLATES.source
    found: str = connection().execute(select(source.c["sys_id"]).where(source.c["name"] == name)).scalar_one()
    return found


def test_nobody_writes_versions() -> None:
    version = add_template()
    with pytest.raises(AccessRefused):
        add("std_change_producer_version", name="Mine")
    for fields in ({"template": "risk=4^EQ"}, {"active": "true"}):
        with pytest.raises(AccessRefused):
            edit("std_change_producer_version", version, **fields)
    with pytest.raises(AccessRefused):
        delete_record(get_table("std_change_producer_version"), ROOT, version)
