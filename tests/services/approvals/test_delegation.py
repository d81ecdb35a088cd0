"""Delegations: who writes them, and attacks on the answers of delegates."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from changegate.errors import AccessRefused, InputInvalid, OperationFailed, RecordNotFound
from changegate.extensions import now
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import TokenGrant
from changegate.services.approvals.delegation import HAND_OVER, capacity_of
from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.conftest import Clock
from tests.support.people import ROOT, add_account, caller_for

DELEGATES, CHANGES = get_table("sys_user_delegate"), get_table("change_request")
TOKEN = TokenGrant("e" * 32, "useraccount")
SECURITY = "ACL Exception Update Failed due to security constraints"


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        yield


@pytest.fixture
def people() -> dict[str, str]:
    return {name: add_account(name) for name in ("ann", "bob", "cid", "req")}


def text(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def delegated(by: str, to: str, caller: Caller | None = None, **fields: str) -> Any:
    """Let a user delegate to another for a day from now."""
    sent = {"user": by, "delegate": to, "ends": text(now() + timedelta(days=1)), **fields}
    return create_record(DELEGATES, caller or caller_for(by), sent)


@pytest.fixture
def initiators(people: dict[str, str]) -> Initiators:
    return initiators_of(create_record(CHANGES, caller_for(people["req"], "itil"), {}))


def test_the_approver_answers(people: dict[str, str], initiators: Initiators) -> None:
    ann = people["ann"]
    assert capacity_of(ann, caller_for(ann), initiators) == "approver"


def test_the_delegate_answers_and_both_names_are_kept(people: dict[str, str], initiators: Initiators) -> None:
    delegated(people["ann"], people["bob"])

    answer = capacity_of(people["ann"], caller_for(people["bob"]), initiators)
    assert answer == "delegate"


def test_a_delegation_of_one_approval_is_of_no_other(people: dict[str, str], initiators: Initiators) -> None:
    approval = {"approver": people["ann"], "state": "requested"}
    one, other = (create_record(get_table("sysapproval_approver"), ROOT, approval)["sys_id"] for _ in range(2))
    made = delegated(people["ann"], people["bob"], caller_for(people["ann"]), approval=one)

    bob = caller_for(people["bob"])
    assert capacity_of(people["ann"], bob, initiators, one) == "delegate"
    for elsewhere in (other, None):
        with pytest.raises(AccessRefused):
            capacity_of(people["ann"], bob, initiators, elsewhere)
    assert made["approval"] == one


def test_only_an_open_approval_of_the_user_is_delegated(people: dict[str, str]) -> None:
    for approver, state in (("cid", "requested"), ("ann", "approved")):
        fields = {"approver": people[approver], "state": state}
        approval = create_record(get_table("sysapproval_approver"), ROOT, fields)
        with pytest.raises(InputInvalid):
            delegated(people["ann"], people["bob"], ROOT, approval=approval["sys_id"])


def test_a_delegation_of_one_approval_ends_by_itself(people: dict[str, str]) -> None:
    fields = {"approver": people["ann"], "state": "requested"}
    approval = create_record(get_table("sysapproval_approver"), ROOT, fields)["sys_id"]
    sent = {"delegate": people["bob"], "approval": approval}
    made = create_record(DELEGATES, caller_for(people["ann"]), sent)
    assert made["ends"] - made["starts"] == HAND_OVER


def test_a_delegation_is_ended_although_the_delegate_has_left(people: dict[str, str]) -> None:
    made = delegated(people["ann"], people["bob"], starts=text(now() - timedelta(hours=2)))
    update_record(get_table("sys_user"), ROOT, people["bob"], {"active": "false"})
    update_record(DELEGATES, ROOT, made["sys_id"], {"ends": text(now() - timedelta(hours=1))})
    for ends in (now() + timedelta(days=9), now() - timedelta(days=9)):
        with pytest.raises(InputInvalid):
            update_record(DELEGATES, ROOT, made["sys_id"], {"ends": text(ends)})


def test_the_delegate_of_a_delegate_does_not_answer(people: dict[str, str], initiators: Initiators) -> None:
    delegated(people["ann"], people["bob"])
    delegated(people["bob"], people["cid"])

    with pytest.raises(AccessRefused) as refusal:
        capacity_of(people["ann"], caller_for(people["cid"]), initiators)
    assert refusal.value.detail == SECURITY


def test_mutual_delegations_go_one_step_each(people: dict[str, str], initiators: Initiators) -> None:
    delegated(people["ann"], people["bob"])
    delegated(people["bob"], people["ann"])

    assert capacity_of(people["ann"], caller_for(people["ann"]), initiators) == "approver"
    assert capacity_of(people["bob"], caller_for(people["ann"]), initiators) == "delegate"


def test_a_delegation_that_ends_between_page_and_click_does_not_apply(
    people: dict[str, str], initiators: Initiators, either_app: Flask
) -> None:
    delegated(people["ann"], people["bob"])
    bob = caller_for(people["bob"])
    assert capacity_of(people["ann"], bob, initiators) == "delegate"

    either_app.config["CLOCK"].advance(days=1)
    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], bob, initiators)


def test_a_delegation_does_not_apply_before_it_starts(people: dict[str, str], initiators: Initiators) -> None:
    starts, ends = text(now() + timedelta(hours=1)), text(now() + timedelta(hours=2))
    delegated(people["ann"], people["bob"], starts=starts, ends=ends)

    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], caller_for(people["bob"]), initiators)


def test_a_delegation_without_approvals_does_not_apply(people: dict[str, str], initiators: Initiators) -> None:
    delegated(people["ann"], people["bob"], approvals="false")

    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], caller_for(people["bob"]), initiators)


def test_an_administrator_answers_for_others_by_name_and_password(
    people: dict[str, str], initiators: Initiators
) -> None:
    by_token = Caller(ROOT.sys_id, "admin", type(ROOT.permissions)(ROOT.roles, TOKEN))

    assert capacity_of(people["ann"], ROOT, initiators) == "administrator"
    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], by_token, initiators)


def test_a_requester_who_is_administrator_does_not_choose_the_delegate(people: dict[str, str]) -> None:
    initiators = initiators_of(create_record(CHANGES, ROOT, {}))
    delegated(people["ann"], people["bob"], ROOT)

    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], caller_for(people["bob"]), initiators)


def test_a_requester_who_was_renamed_does_not_choose_the_delegate(people: dict[str, str]) -> None:
    requester = caller_for(people["req"], "admin")
    initiators = initiators_of(create_record(CHANGES, requester, {}))
    delegated(people["ann"], people["bob"], requester)
    update_record(get_table("sys_user"), ROOT, people["req"], {"user_name": "renamed"})

    with pytest.raises(AccessRefused):
        capacity_of(people["ann"], caller_for(people["bob"]), initiators)


def test_users_delegate_their_own_approvals_only(people: dict[str, str]) -> None:
    ann = caller_for(people["ann"], "change_manager")
    assert create_record(DELEGATES, ann, {"delegate": people["bob"], "ends": "2999-01-01"})["user"] == people["ann"]

    with pytest.raises(AccessRefused, match="Operation Failed"):
        delegated(people["bob"], people["cid"], ann)
    assert delegated(people["bob"], people["cid"], ROOT)


def test_others_cannot_change_or_delete_a_delegation(people: dict[str, str]) -> None:
    row = delegated(people["ann"], people["bob"])["sys_id"]
    bob = caller_for(people["bob"], "change_manager")

    for write in (
        lambda: update_record(DELEGATES, bob, row, {"ends": "2999-01-01"}),
        lambda: update_record(DELEGATES, bob, row, {"user": people["bob"]}),
        lambda: update_record(DELEGATES, caller_for(people["ann"]), row, {"user": people["cid"]}),
        lambda: delete_record(DELEGATES, bob, row),
    ):
        with pytest.raises(AccessRefused) as refusal:
            write()
        assert refusal.value.detail == "Only the user who delegates, or an administrator, writes a delegation"
    delete_record(DELEGATES, caller_for(people["ann"]), row)


def test_a_token_writes_neither_delegations_nor_identities(people: dict[str, str]) -> None:
    by_token = caller_for(people["ann"], "admin", grant=TOKEN)
    with pytest.raises(AccessRefused, match="Operation Failed"):
        delegated(people["ann"], people["bob"], by_token)
    with pytest.raises(AccessRefused) as refusal:
        create_record(get_table("sys_user_identity"), by_token, {"user": people["ann"], "issuer": "x", "subject": "y"})
    assert "Access tokens cannot write the table sys_user_identity" in str(refusal.value.detail)


@pytest.mark.parametrize("ends", ["2020-01-01 00:00:00", "2019-01-01 00:00:00"])
def test_a_delegation_ends_after_it_starts(people: dict[str, str], ends: str) -> None:
    with pytest.raises(InputInvalid, match="must end after it starts"):
        delegated(people["ann"], people["bob"], starts="2020-01-01 00:00:00", ends=ends)


@pytest.mark.parametrize("missing", ["delegate", "ends"])
def test_a_delegation_names_delegate_and_end(people: dict[str, str], missing: str) -> None:
    with pytest.raises(OperationFailed, match="Operation Failed"):
        delegated(people["ann"], people["bob"], **{missing: ""})


def test_users_do_not_delegate_to_another_account_of_their_own() -> None:
    ann = add_account("ann", employee_number="E-1")
    second = add_account("ann2", employee_number="E-1")

    for delegate in (ann, second):
        with pytest.raises(InputInvalid, match="must be another person"):
            delegated(ann, delegate)


def test_an_inactive_user_cannot_be_the_delegate(people: dict[str, str]) -> None:
    with pytest.raises(InputInvalid, match="the account is inactive"):
        delegated(people["ann"], add_account("gone", active=False))


def test_people_see_delegations_from_and_to_themselves(people: dict[str, str]) -> None:
    row, sent = delegated(people["ann"], people["bob"])["sys_id"], {"ends": "2999-01-01"}

    assert update_record(DELEGATES, caller_for(people["ann"]), row, sent)
    with pytest.raises(AccessRefused):
        update_record(DELEGATES, caller_for(people["bob"]), row, sent)
    with pytest.raises(RecordNotFound):
        update_record(DELEGATES, caller_for(people["cid"]), row, sent)
