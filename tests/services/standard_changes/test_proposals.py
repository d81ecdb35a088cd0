"""Proposals: one person proposes, another one decides, and what is approved is published."""

from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import AccessRefused, InputInvalid, OperationFailed
from changegate.models import StdChangeProducerVersion, StdChangeProposal, StdChangeRecordProducer
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.services.standard_changes.template_records import add_template, edit_template, retire
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
PROPOSALS = get_table("std_change_proposal")
CONTENT = {"template": "category=Software^risk=4^EQ", "mandatory_fields": "cmdb_ci", "read_only_fields": "risk"}


@pytest.fixture
def ann() -> Caller:
    return caller_for(add_account("ann"), "itil")


@pytest.fixture
def maria() -> Caller:
    return caller_for(add_account("maria"), "change_manager")


def propose(caller: Caller, **sent: str) -> str:
    return str(create_record(PROPOSALS, caller, {"name": "Restart", **CONTENT, **sent})["sys_id"])


def decide(caller: Caller, proposal: str, state: str = "approved", **sent: str) -> None:
    update_record(PROPOSALS, caller, proposal, {"state": state, **sent})


def row_of(model: Any, **values: Any) -> Any:
    table = model.__table__
    conditions = (table.c[name] == value for name, value in values.items())
    return connection().execute(select(table).where(*conditions)).one_or_none()


def template_of(name: str = "Restart") -> Any:
    return row_of(StdChangeRecordProducer, name=name)


def test_an_approved_proposal_publishes_the_template(ann: Caller, maria: Caller) -> None:
    proposal = propose(ann, description="Takes a minute", state="approved")
    assert template_of() is None
    decide(maria, proposal)
    template, stored = template_of(), row_of(StdChangeProposal, sys_id=proposal)
    version = row_of(StdChangeProducerVersion, sys_id=template.current_version)
    assert (version.name, version.std_change_proposal, version.active) == ("Restart - 1", proposal, True)
    assert {name: getattr(version, name) for name in CONTENT} == CONTENT
    assert (template.description, template.sys_created_by) == ("Takes a minute", "maria")
    assert (stored.state, stored.proposed_by, stored.decided_by) == ("approved", ann.sys_id, maria.sys_id)
    assert stored.std_change_producer == template.sys_id and stored.decided_at is not None


def test_a_modification_keeps_what_it_leaves_out_and_publishes_the_next_version(ann: Caller, maria: Caller) -> None:
    add_template(**CONTENT)
    sent = {"proposal_type": "modify", "std_change_producer": "Restart", "template": "risk=3^EQ", "name": "Ignored"}
    proposal = create_record(PROPOSALS, ann, sent)
    assert (proposal["name"], proposal["mandatory_fields"], proposal["base_version"]) == ("Restart", "cmdb_ci", 1)
    decide(maria, proposal["sys_id"])
    version = row_of(StdChangeProducerVersion, name="Restart - 2")
    assert (version.template, version.read_only_fields, version.active) == ("risk=3^EQ", "risk", True)
    assert version.std_change_proposal == proposal["sys_id"]


def test_a_retirement_retires_the_template(ann: Caller, maria: Caller) -> None:
    add_template()
    proposal = create_record(PROPOSALS, ann, {"proposal_type": "retire", "std_change_producer": "Restart"})["sys_id"]
    decide(maria, proposal)
    assert template_of().active is False
    assert row_of(StdChangeProducerVersion, name="Restart - 1").active is False


def test_nobody_decides_about_their_own_proposal_by_any_account(maria: Caller) -> None:
    twin = caller_for(add_account("maria.admin", employee_number="77"), "admin")
    update_record(get_table("sys_user"), ROOT, maria.sys_id, {"employee_number": "77"})
    proposal = propose(maria)
    for caller in (maria, twin):
        for state in ("approved", "rejected"):
            with pytest.raises(AccessRefused) as refused:
                decide(caller, proposal, state, comments="Mine")
            assert "The person who proposed a template cannot decide" in (refused.value.detail or "")
    assert template_of() is None


def test_a_decision_needs_the_role(ann: Caller) -> None:
    bob = caller_for(add_account("bob"), "itil")
    proposal = propose(ann)
    for state in ("approved", "rejected", "canceled"):
        with pytest.raises(AccessRefused) as refused:
            decide(bob, proposal, state, comments="No")
        assert refused.value.detail == "You need the role change_manager to decide about a proposal"


@pytest.mark.parametrize("field", ["template", "read_only_fields", "name", "proposal_type", "description"])
def test_a_proposal_is_not_edited_before_it_is_decided(ann: Caller, maria: Caller, field: str) -> None:
    proposal = propose(ann)
    changed = {"proposal_type": "retire"}.get(field, "category")
    for caller in (ann, maria):
        for sent in ({field: changed}, {field: changed, "state": "approved"}):
            with pytest.raises(OperationFailed) as refused:
                update_record(PROPOSALS, caller, proposal, sent)
            assert (refused.value.detail or "").startswith(f"{field}: a proposal is decided as it was proposed")


@pytest.mark.parametrize("state", ["approved", "rejected", "canceled"])
def test_a_proposal_is_decided_once(ann: Caller, maria: Caller, state: str) -> None:
    proposal = propose(ann)
    decide(maria, proposal, state, comments="Decided")
    for again in ("approved", "rejected", "canceled", "requested"):
        if again != state:
            with pytest.raises(OperationFailed) as refused:
                decide(maria, proposal, again, comments="Again")
            assert refused.value.detail == f"The proposal is {state} and cannot change any more. Propose again"
    decide(maria, proposal, state, comments="Decided")


def test_a_rejection_needs_comments_and_publishes_nothing(ann: Caller, maria: Caller) -> None:
    proposal = propose(ann)
    with pytest.raises(OperationFailed) as refused:
        decide(maria, proposal, "rejected")
    assert refused.value.detail == "comments: give the reason of the rejection"
    decide(maria, proposal, "rejected", comments="Too risky")
    assert template_of() is None


def test_the_person_who_proposed_cancels_the_proposal(ann: Caller) -> None:
    proposal = propose(ann)
    decide(ann, proposal, "canceled")
    delete_record(PROPOSALS, ROOT, proposal)


def test_a_decision_is_evidence(ann: Caller, maria: Caller) -> None:
    proposal = propose(ann)
    decide(maria, proposal)
    with pytest.raises(OperationFailed):
        delete_record(PROPOSALS, ROOT, proposal)


def test_a_modification_of_an_older_version_is_refused(ann: Caller, maria: Caller) -> None:
    add_template(**CONTENT)
    sent = {"proposal_type": "modify", "std_change_producer": "Restart", "template": "risk=3^EQ"}
    proposal = create_record(PROPOSALS, ann, sent)["sys_id"]
    edit_template("Restart", template="risk=4^EQ")
    with pytest.raises(OperationFailed) as refused:
        decide(maria, proposal)
    assert (
        refused.value.detail == "The template has version 2 by now, and the proposal modifies version 1. Propose again"
    )


def test_a_modification_of_a_retired_template_does_not_offer_it_again(ann: Caller, maria: Caller) -> None:
    add_template(**CONTENT)
    sent = {"proposal_type": "modify", "std_change_producer": "Restart", "template": "risk=3^EQ"}
    proposal = create_record(PROPOSALS, ann, sent)["sys_id"]
    retire("Restart")
    decide(maria, proposal)
    assert row_of(StdChangeProducerVersion, name="Restart - 2").active is False


def test_a_new_template_needs_a_name_that_is_free(ann: Caller, maria: Caller) -> None:
    first, second = propose(ann), propose(ann, name="RESTART")
    decide(maria, first)
    with pytest.raises(OperationFailed) as refused:
        propose(ann, name="restart")
    assert "name: there is a template Restart already" in (refused.value.detail or "")
    with pytest.raises(OperationFailed):
        decide(maria, second)
    with pytest.raises(OperationFailed):
        create_record(PROPOSALS, ann, CONTENT)


def test_refuses_an_invalid_proposal(ann: Caller) -> None:
    add_template("Other")
    for sent in (
        {"template": "state=3^EQ"},
        {"std_change_producer": "Other"},
        {"proposal_type": "modify"},
        {"proposal_type": "retire"},
    ):
        with pytest.raises(InputInvalid):
            propose(ann, **sent)
