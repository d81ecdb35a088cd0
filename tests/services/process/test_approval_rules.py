"""Approvals: only who is asked answers, and only with an answer."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.errors import AccessRefused, OperationFailed, RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users.accounts import create_user
from tests.support.people import ROOT

APPROVALS = get_table("sysapproval_approver")


def caller(name: str, *roles: str) -> Caller:
    user = create_user(user_name=name, password=None, email=None, name=None, roles=[])
    return Caller(user.sys_id, name, Permissions(frozenset(roles)))


@pytest.fixture
def approver(either_app: Flask) -> Iterator[Caller]:
    with either_app.app_context():
        yield caller("ann", "approver_user")


@pytest.fixture
def approval(approver: Caller) -> Any:
    change = create_record(get_table("change_request"), ROOT, {})["sys_id"]
    sent = {"sysapproval": change, "approver": approver.sys_id, "state": "requested"}
    return create_record(APPROVALS, ROOT, sent)


def updated(approval: Any, by: Caller, **sent: str) -> dict[str, Any]:
    row = update_record(APPROVALS, by, approval["sys_id"], sent)
    return dict(zip(APPROVALS.fields_for(by.permissions), row, strict=True))


def test_an_approval_names_its_record(approval: Any) -> None:
    assert approval["document_id"] == approval["sysapproval"]
    assert approval["source_table"] == "change_request"


def test_the_approver_answers(approval: Any, approver: Caller) -> None:
    assert updated(approval, approver, state="approved")["state"] == "approved"


def test_the_approver_cannot_write_anything_but_the_answer(approval: Any, approver: Caller) -> None:
    record = updated(approval, approver, state="approved", source_table="sys_user", approver=ROOT.sys_id)
    assert (record["source_table"], record["approver"]) == ("change_request", approver.sys_id)


@pytest.mark.parametrize("role", ["itil", "change_manager", "sn_change_read"])
def test_users_cannot_answer_for_another_approver(approval: Any, role: str) -> None:
    with pytest.raises(AccessRefused) as refusal:
        updated(approval, caller("tom", role), state="approved")
    assert refusal.value.detail == "ACL Exception Update Failed due to security constraints"


def test_other_users_cannot_see_the_approval(approval: Any) -> None:
    with pytest.raises(RecordNotFound):
        updated(approval, caller("tom", "approver_user"), state="approved")


def test_a_rejection_has_a_reason(approval: Any, approver: Caller) -> None:
    with pytest.raises(OperationFailed) as refusal:
        updated(approval, approver, state="rejected")
    assert refusal.value.detail == "Data Policy Exception: The following fields are mandatory: Comments"
    assert updated(approval, approver, state="rejected", comments="too soon")["state"] == "rejected"


def test_an_administrator_writes_all_of_it(approval: Any) -> None:
    assert updated(approval, ROOT, approver="admin")["approver"] == ROOT.sys_id


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_users_cannot_create_the_answer_of_another_approver(approver: Caller, state: str) -> None:
    manager = caller("tom", "change_manager")
    sent = {"sysapproval": create_record(get_table("change_request"), ROOT, {})["sys_id"], "state": state}

    with pytest.raises(AccessRefused) as refusal:
        create_record(APPROVALS, manager, {**sent, "approver": approver.sys_id})
    assert refusal.value.detail == "ACL Exception Insert Failed due to security constraints"
    assert create_record(APPROVALS, manager, {**sent, "approver": manager.sys_id})["state"] == state
    assert create_record(APPROVALS, manager, {**sent, "approver": approver.sys_id, "state": "requested"})
