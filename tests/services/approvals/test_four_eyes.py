"""Attacks on four eyes: people try to approve changes that they have asked for."""

from collections.abc import Mapping
from typing import Any

import pytest

from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser
from changegate.models.base import new_sys_id
from changegate.models.sys_user import FORMER_EMAIL
from changegate.services.approvals.four_eyes import initiators_of
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record, write_changes
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
ISSUER = "https://idp.example.com"
PEOPLE = ("requested_by", "opened_by")
CHANGES = get_table("change_request")


@pytest.fixture
def people() -> dict[str, str]:
    return {name: add_account(name) for name in ("ann", "bob", "eve", "pipeline")}


def change_by(opener: str, **fields: Any) -> dict[str, Any]:
    """Return a change that a user has opened, with fields that no caller can write."""
    change = dict(create_record(CHANGES, caller_for(opener, "itil"), {}))
    return change | fields


def by_token(opener: str, **fields: Any) -> dict[str, Any]:
    return change_by(opener, oauth_client_id="c" * 32, oauth_entity=None, oauth_issuer=ISSUER, **fields)


def test_the_requester_and_the_opener_cannot_approve(people: dict[str, str]) -> None:
    change = create_record(CHANGES, caller_for(people["ann"], "itil"), {"requested_by": people["bob"]})
    initiators = initiators_of(change)

    assert initiators.why_not(people["ann"]) == "Ann opened this change"
    assert initiators.why_not(people["bob"]) == "Bob requested this change"
    assert initiators.why_not(people["eve"]) is None
    reasons = {people["ann"]: "Ann opened this change", people["bob"]: "Bob requested this change"}
    assert initiators.shown() == {"initiators": reasons, "unmapped_actor": None}


def handed_over(change: Mapping[str, Any], **fields: str) -> dict[str, Any]:
    """Return a change after another user has become its requester or opener, with the audit trail of that."""
    return write_changes(CHANGES, dict(change), dict(fields), ROOT)


def test_the_opener_cannot_approve_after_handing_over_the_change(people: dict[str, str]) -> None:
    change = handed_over(change_by(people["ann"]), requested_by=people["bob"], opened_by=people["bob"])

    assert initiators_of(change).why_not(people["ann"]) == "Ann opened this change"
    assert initiators_of(change).why_not(people["bob"]) == "Bob requested this change"


def test_a_former_requester_cannot_approve(people: dict[str, str]) -> None:
    change = create_record(CHANGES, caller_for(people["eve"], "itil"), {"requested_by": people["ann"]})

    reason = initiators_of(handed_over(change, requested_by=people["bob"])).why_not(people["ann"])
    assert reason == "Ann was the requester or opener of this change before"


def test_a_former_assignee_may_approve(people: dict[str, str]) -> None:
    change = create_record(CHANGES, caller_for(people["eve"], "itil"), {"assigned_to": people["ann"]})

    assert initiators_of(handed_over(change, assigned_to=people["bob"])).why_not(people["ann"]) is None


def test_an_importer_cannot_approve_what_is_imported_in_the_name_of_others(people: dict[str, str]) -> None:
    change = create_record(CHANGES, ROOT, {"requested_by": people["ann"], "opened_by": people["bob"]})

    assert initiators_of(change).why_not(ROOT.sys_id) == "System Administrator opened this change"
    assert initiators_of(change).why_not(people["bob"]) == "Bob opened this change"


def renamed(user: str, name: str) -> None:
    """Give a user another user ID, as administrators do."""
    update_record(get_table("sys_user"), ROOT, user, {"user_name": name})


def test_an_importer_cannot_approve_after_being_renamed(people: dict[str, str]) -> None:
    change = create_record(CHANGES, caller_for(people["eve"], "admin"), dict.fromkeys(PEOPLE, people["ann"]))
    for name in ("eve.adams", "Eve.Baker"):
        renamed(people["eve"], name)

    assert initiators_of(change).why_not(people["eve"]) == "Eve opened this change"


def test_a_namesake_cannot_approve_after_being_renamed(people: dict[str, str]) -> None:
    renamed(people["ann"], "ann.lee")

    reason = initiators_of(by_token(people["pipeline"], source_actor="Ann")).why_not(people["ann"])
    assert reason == "Ann has the name of the person behind the token that opened this change"


@pytest.mark.parametrize(
    ("one", "second", "trait"),
    [
        ({"employee_number": "E-1"}, {"employee_number": "E-1"}, "employee number"),
        ({"employee_number": "É-1"}, {"employee_number": "É-1"}, "employee number"),
        ({"email": "a@example.com", "email_verified": True}, {"email": "A@example.com"}, "verified email"),
        ({"email": "a@example.com"}, {"email": "a@example.com", "email_verified": True}, "verified email"),
    ],
)
def test_a_second_account_of_the_requester_cannot_approve(
    one: dict[str, Any], second: dict[str, Any], trait: str
) -> None:
    ann, admin_account = add_account("ann", **one), add_account("ann.admin", **second)

    reason = initiators_of(change_by(ann)).why_not(admin_account)
    assert reason == f"Ann.Admin has the same {trait} as Ann: Ann requested this change"


def test_an_unverified_email_of_the_requester_leads_through_a_verified_one_to_a_third_account() -> None:
    ann, third = (add_account(name, email="team@example.com") for name in ("ann", "third"))
    add_account("second", email="team@example.com", email_verified=True)

    assert initiators_of(change_by(ann)).why_not(third) is not None


def test_a_second_account_with_the_same_identity_cannot_approve() -> None:
    ann, second = add_account("ann", (ISSUER, "a-1")), add_account("ann2", (ISSUER, "a-1"))

    reason = initiators_of(change_by(ann)).why_not(second)
    assert reason == "Ann2 has the same identity as Ann: Ann requested this change"


def test_the_person_behind_the_token_cannot_approve(people: dict[str, str]) -> None:
    ann = add_account("ann.lee", (ISSUER, "octo"))
    by_actor = initiators_of(by_token(people["pipeline"], oauth_subject="repo:x", source_actor="Octo"))
    by_subject = initiators_of(by_token(people["pipeline"], oauth_subject="octo"))

    for initiators in (by_actor, by_subject):
        assert initiators.why_not(ann) == "Ann.Lee is the person behind the token that opened this change"
        assert initiators.unmapped_actor is None


@pytest.mark.parametrize(
    ("stored", "sent"), [("Ann@example.com", "ann@example.com"), ("Änn@example.com", "änn@example.com")]
)
def test_the_person_whose_verified_email_the_token_had_cannot_approve(
    people: dict[str, str], stored: str, sent: str
) -> None:
    ann = add_account("ann.lee", email=stored)
    initiators = initiators_of(by_token(people["pipeline"], oauth_subject="1", source_email=sent))

    assert initiators.why_not(ann) == "Ann.Lee is the person behind the token that opened this change"
    assert initiators.unmapped_actor is None


def test_the_person_who_had_the_email_of_the_token_before_cannot_approve(people: dict[str, str]) -> None:
    ann = add_account("ann.lee", (FORMER_EMAIL, "Ann@example.com"), email="new@example.com", email_verified=True)
    initiators = initiators_of(by_token(people["pipeline"], oauth_subject="1", source_email="ann@example.com"))

    assert initiators.why_not(ann) == "Ann.Lee is the person behind the token that opened this change"


def test_a_second_account_of_the_person_behind_the_token_cannot_approve(people: dict[str, str]) -> None:
    add_account("ann.lee", (ISSUER, "octo"), employee_number="E-1")
    second = add_account("ann.admin", employee_number="E-1")

    reason = initiators_of(by_token(people["pipeline"], source_actor="octo")).why_not(second)
    assert reason is not None
    assert reason.startswith("Ann.Admin has the same employee number as Ann.Lee: ")


def test_an_identity_at_another_issuer_is_another_person(people: dict[str, str]) -> None:
    ann = add_account("ann.lee", ("https://other.example.com", "octo"))

    initiators = initiators_of(by_token(people["pipeline"], source_actor="octo"))
    assert initiators.why_not(ann) is None
    assert initiators.unmapped_actor == f"octo at {ISSUER}"


def test_a_user_with_the_name_of_the_actor_cannot_approve_and_does_not_count_as_mapped(people: dict[str, str]) -> None:
    initiators = initiators_of(by_token(people["pipeline"], source_actor="Ann"))

    reason = "Ann has the name of the person behind the token that opened this change"
    assert initiators.why_not(people["ann"]) == reason
    assert initiators.unmapped_actor == f"Ann at {ISSUER}"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"oauth_subject": "repo:x"}, f"repo:x at {ISSUER}"),
        ({"oauth_subject": "repo:x", "source_actor": "octo"}, f"octo at {ISSUER}"),
        ({"oauth_issuer": None}, f"client {'c' * 32}"),
    ],
)
def test_an_actor_that_maps_to_no_user_is_named(people: dict[str, str], fields: dict[str, Any], shown: str) -> None:
    assert initiators_of(by_token(people["pipeline"]) | fields).unmapped_actor == shown


def test_a_person_who_opens_a_change_needs_no_mapping(people: dict[str, str]) -> None:
    assert initiators_of(change_by(people["ann"])).unmapped_actor is None


@pytest.mark.parametrize("is_fixed", [True, False], ids=["one account for all", "the account of the subject"])
def test_the_user_of_a_token_is_the_person_unless_one_account_acts_for_all(
    people: dict[str, str], is_fixed: bool
) -> None:
    entity = OAuthEntity(sys_id=new_sys_id(), type="jwt_bearer", name="X", client_id="c" * 32, user_field="email")
    entity.run_as = people["pipeline"] if is_fixed else None
    db.session.add(entity)
    db.session.flush()

    change = by_token(people["ann"], oauth_subject="1") | {"oauth_entity": entity.sys_id}
    assert (initiators_of(change).unmapped_actor is None) is not is_fixed
    assert initiators_of(change).why_not(people["ann"]) is not None


def test_a_new_name_does_not_free_the_opener(people: dict[str, str]) -> None:
    change = change_by(people["ann"])
    db.session.get_one(SysUser, people["ann"]).user_name = "renamed"
    db.session.flush()

    assert initiators_of(change).why_not(people["ann"]) is not None


def test_initiators_know_what_they_have_written(people: dict[str, str]) -> None:
    initiators = initiators_of(change_by(people["ann"]))

    assert initiators.has_written("ANN")
    assert not initiators.has_written("bob")
