"""State transitions of a change: who passes an approval gate, and which fields writers cannot set."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import ChangeRequest, SysUserGroup
from changegate.models.base import new_sys_id
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.process.change_rules import PROCESS_FIELDS
from changegate.services.users.accounts import get_user, set_password
from tests.conftest import basic
from tests.services.approvals.asked_changes import decide
from tests.services.standard_changes.template_records import add_template
from tests.support.token_desk import CHANGES, ROBOT, Integration, TokenDesk, token_desk

PASSWORD = "known to the robot"

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = (-5, -4, -3, -2, -1, 0, 3, 4)
STATES = (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED)
CANCELABLE = {(state, CANCELED) for state in (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT)}
LATER = {(SCHEDULED, IMPLEMENT), (IMPLEMENT, REVIEW), (REVIEW, CLOSED)} | CANCELABLE
# The moves of each type that need no approval.
FREE = {
    "normal": LATER | {(NEW, ASSESS), (ASSESS, NEW)},
    "standard": LATER,
    # Closed needs a review task, which the moves to Canceled have canceled.
    "emergency": LATER - {(REVIEW, CLOSED)} | {(NEW, AUTHORIZE), (AUTHORIZE, NEW)},
}


@dataclass
class Writers:
    """A server with an integration and people, each of whom writes one change."""

    desk: TokenDesk
    integration: Integration

    def change(self, **columns: Any) -> str:
        """Create a change by a token, then write columns past the rules; returns its sys_id."""
        made = self.desk.call(self.desk.token(self.integration), json={}).get_json()["result"]["sys_id"]
        if columns:
            self.store(made, **columns)
        return str(made)

    def store(self, sys_id: str, **columns: Any) -> None:
        with self.desk.app.app_context():
            db.session.execute(update(ChangeRequest).where(ChangeRequest.sys_id == sys_id).values(columns))
            db.session.commit()

    def stored(self, sys_id: str, name: str) -> Any:
        with self.desk.app.app_context():
            return db.session.execute(
                select(getattr(ChangeRequest, name)).where(ChangeRequest.sys_id == sys_id)
            ).scalar_one()

    def group(self) -> str:
        """Return the sys_id of a new group."""
        with self.desk.app.app_context():
            group = SysUserGroup(name=new_sys_id())
            db.session.add(group)
            db.session.commit()
            return str(group.sys_id)

    def template(self) -> str:
        """Return the sys_id of a new template of standard changes."""
        with self.desk.app.app_context():
            template = add_template(new_sys_id())
            db.session.commit()
            return template

    def write(self, who: str, sys_id: str, **fields: Any) -> TestResponse:
        """Write a change as a token or as a user with a password."""
        path = f"{CHANGES}/{sys_id}"
        if who == "token":
            return self.desk.call(self.desk.token(self.integration), "PATCH", path, json=fields)
        with self.desk.app.app_context():
            return self.desk.client.patch(path, json=fields, headers=basic(who, PASSWORD))


@pytest.fixture(scope="module")
def writers(shared_app: Flask) -> Iterator[Writers]:
    with token_desk(shared_app) as desk:
        for name, role in (("manager", "change_manager"), ("root", "admin"), ("editor", "sn_change_write")):
            desk.add_user(name, role)
        with desk.app.app_context():
            for name in (ROBOT, "manager", "root", "editor"):
                set_password(get_user(name), PASSWORD)
            db.session.commit()
        scopes = ["change_request.create", "change_request.update_own", "change_request.read_own"]
        yield Writers(desk, desk.register(scopes=scopes))


RESTRICTED = ["token", ROBOT, "editor"]
TRUSTED = ["manager", "root"]


@pytest.mark.parametrize("who", RESTRICTED)
def test_writers_cannot_approve_and_implement_their_own_change(writers: Writers, who: str) -> None:
    change = writers.change()
    refused = writers.write(who, change, approval="approved", state="-1")
    assert refused.status_code == 403
    assert writers.stored(change, "state") == NEW
    answer = writers.write(who, change, approval="approved", short_description="x")
    assert (answer.status_code, answer.get_json()["result"]["approval"]) == (200, "not requested")


@pytest.mark.parametrize("who", [*RESTRICTED, *TRUSTED])
def test_the_approval_of_a_change_cannot_be_written(writers: Writers, who: str) -> None:
    change = writers.change()
    answer = writers.write(who, change, approval="approved")
    assert answer.status_code == 200
    assert answer.headers["X-Changegate-Ignored-Fields"] == "approval"
    assert writers.stored(change, "approval") == "not requested"


def test_an_approval_written_back_as_it_is_is_not_reported(writers: Writers) -> None:
    change = writers.change(approval="approved")
    answer = writers.write("token", change, approval="approved")
    assert answer.status_code == 200 and "X-Changegate-Ignored-Fields" not in answer.headers


def test_a_batch_does_not_bypass_this(writers: Writers) -> None:
    change = writers.change()
    body = b64encode(json.dumps({"approval": "approved", "state": "-1"}).encode()).decode()
    json_type = [{"name": "Content-Type", "value": "application/json"}]
    request = {"id": "1", "method": "PATCH", "url": f"{CHANGES}/{change}", "headers": json_type, "body": body}
    token = writers.desk.token(writers.integration)
    batch = {"batch_request_id": "b", "rest_requests": [request]}
    served = writers.desk.call(token, "POST", "/api/now/v1/batch", json=batch).get_json()["serviced_requests"]
    assert [one["status_code"] for one in served] == [403]
    assert (writers.stored(change, "approval"), writers.stored(change, "state")) == ("not requested", NEW)


DONE = {"close_code": "successful", "close_notes": "Done."}


@pytest.mark.parametrize("change_type", ["normal", "standard", "emergency"])
@pytest.mark.parametrize("who", ["token", "manager", "root"])
def test_the_moves_of_a_type_are_the_same_for_every_caller(writers: Writers, who: str, change_type: str) -> None:
    change = writers.change(type=change_type, chg_model=MODELS_OF_TYPES[change_type], **DONE)
    writers.store(change, assignment_group=writers.group())
    passed = set()
    for before in STATES:
        for after in STATES:
            writers.store(change, state=before, approval="not requested")
            answer = writers.write(who, change, state=after)
            assert answer.status_code in {200, 403}, answer.text
            if answer.status_code == 200 and before != after:
                passed.add((before, after))
            assert answer.status_code == 200 or writers.stored(change, "state") == before
    assert passed == FREE[change_type]


@pytest.mark.parametrize("who", [*RESTRICTED, *TRUSTED])
@pytest.mark.parametrize(
    ("change_type", "before", "after"),
    [
        ("normal", ASSESS, AUTHORIZE),
        ("normal", AUTHORIZE, SCHEDULED),
        ("emergency", AUTHORIZE, SCHEDULED),
        ("emergency", AUTHORIZE, REVIEW),
        ("standard", NEW, SCHEDULED),
    ],
)
def test_nobody_moves_past_a_missing_approval(
    writers: Writers, who: str, change_type: str, before: int, after: int
) -> None:
    """Not even the state and the approval in one write, by an administrator."""
    change = writers.change(type=change_type, chg_model=MODELS_OF_TYPES[change_type], state=before)
    writers.store(change, assignment_group=writers.group(), approval="requested")
    for fields in ({}, {"approval": "approved"}, {"unauthorized": "true"} if change_type == "emergency" else {}):
        assert writers.write(who, change, state=after, **fields).status_code == 403
    assert (writers.stored(change, "state"), writers.stored(change, "approval")) == (before, "requested")


def test_an_approval_that_is_requested_again_stops_the_implementation(writers: Writers) -> None:
    change = writers.change(state=SCHEDULED, assignment_group=writers.group(), approval="requested")
    for approval in ("requested", "rejected", "cancelled"):
        writers.store(change, approval=approval)
        refused = writers.write("root", change, state=IMPLEMENT)
        assert refused.status_code == 403 and "No approval is missing" in refused.text
    writers.store(change, approval="approved")
    assert writers.write("token", change, state=IMPLEMENT).status_code == 200


def test_a_refused_move_has_servicenows_message_and_what_is_missing(writers: Writers) -> None:
    change = writers.change()
    error = writers.write("token", change, state=IMPLEMENT).get_json()["error"]
    assert error["message"] == "Operation Failed"
    assert error["detail"].startswith(
        "Operation against file 'change_request' was aborted by Business Rule 'Change Model: Check State Transition^"
    )
    assert error["detail"].endswith("From New, it can move to: Canceled.")
    writers.store(change, state=ASSESS, assignment_group=writers.group())
    error = writers.write("token", change, state=AUTHORIZE).get_json()["error"]
    assert error["detail"].endswith(
        "Assess to Authorize needs: Approved. Wait until the people whose approval was requested have approved."
    )


def test_a_mandatory_field_is_demanded_as_by_a_data_policy(writers: Writers) -> None:
    change = writers.change()
    refused = writers.write("token", change, state=ASSESS)
    assert refused.status_code == 403
    assert refused.get_json()["error"]["detail"] == (
        "Data Policy Exception: The following fields are mandatory: Assignment group"
    )
    # Fields of the same write count.
    assert writers.write("token", change, state=ASSESS, assignment_group=writers.group()).status_code == 200
    emptied = writers.write("token", change, assignment_group="")
    assert emptied.status_code == 403 and "mandatory: Assignment group" in emptied.text
    writers.store(change, state=REVIEW)
    refused = writers.write("token", change, state=CLOSED, close_code="successful")
    assert refused.status_code == 403 and refused.get_json()["error"]["detail"].endswith("mandatory: Close notes")
    closed = writers.write("token", change, state=CLOSED, close_code="successful", close_notes="Done.")
    assert closed.get_json()["result"]["state"] == "3"
    assert writers.write("token", change, close_notes="").status_code == 403
    assert writers.write("token", change, state=CLOSED, close_notes="Done, with a remark.").status_code == 200


def test_a_change_without_a_field_that_is_mandatory_now_can_still_be_edited(writers: Writers) -> None:
    change = writers.change(state=ASSESS)
    assert writers.write("token", change, short_description="x", description="").status_code == 200


def test_staying_in_a_state_is_not_a_move(writers: Writers) -> None:
    change = writers.change(state=AUTHORIZE)
    assert writers.write("token", change, state=AUTHORIZE, short_description="x").status_code == 200


@pytest.mark.parametrize("state", STATES)
def test_a_value_that_is_stored_already_is_accepted_in_each_state(writers: Writers, state: int) -> None:
    """Ansible sends type, model, and state again with every update."""
    change = writers.change(state=state)
    sent = {"type": "normal", "chg_model": "normal", "state": str(state), "on_hold": "false", "hold_reason": ""}
    for _ in range(2):
        answer = writers.write("token", change, **sent)
        assert (answer.status_code, answer.get_json()["result"]["state"]) == (200, str(state))
    assert writers.stored(change, "sys_mod_count") == 0


def test_a_standard_change_from_a_template_is_scheduled_without_approval(writers: Writers) -> None:
    change = writers.change(type="standard", chg_model=MODELS_OF_TYPES["standard"])
    writers.store(change, assignment_group=writers.group())
    refused = writers.write("root", change, state=SCHEDULED)
    assert refused.status_code == 403 and "Created from an active standard change template" in refused.text
    template = writers.template()
    both = writers.write("root", change, state=SCHEDULED, std_change_producer_version=template)
    assert both.status_code == 403
    writers.store(change, std_change_producer_version=template)
    result = writers.write("token", change, state=SCHEDULED).get_json()["result"]
    assert (result["state"], result["approval"]) == ("-2", "approved")


@pytest.mark.parametrize("who", [*RESTRICTED, *TRUSTED])
def test_a_change_of_type_does_not_bypass_approvals(writers: Writers, who: str) -> None:
    """The type Standard would need no approval."""
    change = writers.change()
    standard = {"chg_model": "standard"}
    for fields in (
        {"type": "standard"},
        standard,
        {"type": "normal", **standard},
        {"type": "standard", "state": SCHEDULED},
    ):
        assert writers.write(who, change, **fields).status_code == 403
    assert writers.write(who, change, type="emergency").get_json()["result"]["type"] == "emergency"
    assert writers.write(who, change, type="normal", chg_model="normal").status_code == 200
    writers.store(change, state=ASSESS)
    assert writers.write(who, change, type="emergency").status_code == 403
    assert writers.write(who, change, type="normal", chg_model="normal").status_code == 200


def test_the_type_changes_only_without_approvals(writers: Writers) -> None:
    change = writers.change()
    for approval, status in (("requested", 403), ("approved", 403), ("rejected", 200)):
        writers.store(change, approval=approval)
        assert writers.write("manager", change, type="emergency").status_code == status


def test_an_unauthorized_change_keeps_the_type_emergency(writers: Writers) -> None:
    """Another type would be approved before its work, which has been done already."""
    change = writers.change(type="emergency", chg_model=MODELS_OF_TYPES["emergency"], unauthorized=True)
    assert writers.write("manager", change, type="normal").status_code == 403
    assert writers.write("manager", change, type="normal", unauthorized="false").status_code == 200


def test_a_standard_change_may_become_normal_and_not_standard_again(writers: Writers) -> None:
    change = writers.change(type="standard", chg_model=MODELS_OF_TYPES["standard"])
    assert writers.write("token", change, type="normal").status_code == 200
    assert writers.stored(change, "chg_model") == MODELS_OF_TYPES["normal"]
    assert writers.write("token", change, type="standard").status_code == 403


def test_a_template_is_chosen_when_a_change_begins(writers: Writers) -> None:
    template = writers.template()
    change = writers.change(type="standard")
    for who in ("token", "manager", "root"):
        assert writers.write(who, change, std_change_producer_version=template).status_code == 403
    writers.store(change, std_change_producer_version=template)
    assert writers.write("token", change, std_change_producer_version=template, title="x").status_code == 200


def test_a_change_on_hold_is_only_canceled(writers: Writers) -> None:
    change = writers.change(state=ASSESS, on_hold=True, on_hold_reason="Vendor", assignment_group=writers.group())
    writers.store(change, approval="approved")
    assert writers.write("root", change, state=AUTHORIZE).status_code == 403
    refused = writers.write("token", change, state=NEW)
    assert refused.status_code == 403 and "Release the change from hold" in refused.text
    assert writers.write("token", change, state=NEW, on_hold="false").status_code == 200
    writers.store(change, on_hold=True)
    canceled = writers.write("token", change, state=CANCELED).get_json()["result"]
    assert (canceled["state"], canceled["on_hold"]) == ("4", "false")


@pytest.mark.parametrize("state", [ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW])
def test_a_hold_needs_a_reason(writers: Writers, state: int) -> None:
    change = writers.change(state=state)
    refused = writers.write("token", change, on_hold="true")
    assert refused.status_code == 403 and refused.get_json()["error"]["detail"].endswith("mandatory: On hold reason")
    held = writers.write("token", change, on_hold="true", on_hold_reason="Vendor", hold_reason="Vendor")
    assert (held.status_code, held.get_json()["result"]["on_hold"]) == (200, "true")
    assert writers.write("token", change, on_hold_reason="").status_code == 403
    assert writers.write("token", change, on_hold="false", on_hold_reason="").status_code == 200


@pytest.mark.parametrize("state", [NEW, CLOSED, CANCELED])
def test_nothing_is_held_before_it_begins_and_after_it_ends(writers: Writers, state: int) -> None:
    change = writers.change(state=state)
    refused = writers.write("root", change, on_hold="true", on_hold_reason="Vendor")
    assert refused.status_code == 403 and "cannot be put on hold" in refused.text


def test_no_change_is_created_on_hold(writers: Writers) -> None:
    desk = writers.desk
    sent = {"on_hold": "true", "on_hold_reason": "Vendor"}
    assert desk.call(desk.token(writers.integration), json=sent).status_code == 403


def test_an_unauthorized_emergency_is_reviewed_after_its_approval(writers: Writers) -> None:
    change = writers.change(type="emergency", chg_model=MODELS_OF_TYPES["emergency"], state=AUTHORIZE)
    writers.store(change, assignment_group=writers.group(), unauthorized=True)
    assert writers.write("manager", change, state=REVIEW).status_code == 403
    writers.store(change, approval="approved")
    assert writers.write("token", change, state=REVIEW).status_code == 403
    with writers.desk.app.app_context():
        decide(change, "approved", AUTHORIZE)
        db.session.commit()
    assert writers.write("token", change, state=SCHEDULED).status_code == 403
    assert writers.write("token", change, state=REVIEW).status_code == 200


def test_an_unauthorized_change_is_an_emergency(writers: Writers) -> None:
    desk = writers.desk
    made = desk.call(desk.token(writers.integration), json={"unauthorized": "true"}).get_json()["result"]
    assert (made["type"], made["unauthorized"]) == ("emergency", "true")
    assert desk.call(desk.token(writers.integration), json={"unauthorized": "1", "type": "normal"}).status_code == 403
    change = writers.change()
    assert writers.write("root", change, unauthorized="true").status_code == 403
    assert writers.write("token", change, unauthorized="true", type="emergency").status_code == 200


@pytest.mark.parametrize("who", [*RESTRICTED, *TRUSTED])
def test_nobody_can_change_the_requester_afterwards(writers: Writers, who: str) -> None:
    change = writers.change()
    for value in ("manager", ""):
        refused = writers.write(who, change, requested_by=value)
        assert refused.status_code == 403 and "requested_by" in refused.get_json()["error"]["detail"]
    assert writers.write(who, change, requested_by=ROBOT).status_code == 200


@pytest.mark.parametrize("who", ["token", "manager", "root"])
def test_process_fields_are_ignored_in_updates_as_in_creations(writers: Writers, who: str) -> None:
    """Who opened a change cannot approve it, so the opener of a change is fixed."""
    change = writers.change()
    before = writers.stored(change, "opened_by")
    answer = writers.write(who, change, opened_by="editor", short_description="x")
    assert (answer.status_code, answer.headers["X-Changegate-Ignored-Fields"]) == (200, "opened_by")
    assert writers.stored(change, "opened_by") == before


@pytest.mark.parametrize("field", ["approval", "conflict_status", *PROCESS_FIELDS])
@pytest.mark.parametrize("who", ["token", "root"])
def test_each_field_that_only_the_process_writes_stays_as_it_is(writers: Writers, who: str, field: str) -> None:
    change = writers.change()
    before = writers.stored(change, field)
    values = {"approval": "approved", "conflict_status": "No Conflict", "opened_by": "editor", "closed_by": "editor"}
    answer = writers.write(who, change, **{field: values.get(field, "2026-01-31 08:00:00")})
    assert answer.status_code == 200
    assert writers.stored(change, field) == before


def test_an_administrator_brings_in_a_change_with_its_approval_and_state(writers: Writers) -> None:
    with writers.desk.app.app_context():
        sent = {"approval": "approved", "state": IMPLEMENT}
        made = writers.desk.client.post(CHANGES, json=sent, headers=basic("root", PASSWORD)).get_json()["result"]
    assert (made["approval"], made["state"]) == ("approved", "-1")


def test_a_task_of_a_change_keeps_the_approval_that_is_written(writers: Writers) -> None:
    with writers.desk.app.app_context():
        tasks, who = "/api/now/table/change_task", basic(ROBOT, PASSWORD)
        made = writers.desk.client.post(tasks, json={}, headers=who).get_json()["result"]["sys_id"]
        answer = writers.desk.client.patch(f"{tasks}/{made}", json={"approval": "approved"}, headers=who)
    assert answer.get_json()["result"]["approval"] == "approved"
