"""State transitions of a change: who passes an approval gate, and which fields writers cannot set."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import ChangeRequest, StdChangeProducerVersion
from changegate.services.users.accounts import get_user, set_password
from tests.conftest import basic
from tests.support.token_desk import CHANGES, ROBOT, Integration, TokenDesk

PASSWORD = "known to the robot"
NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = (-5, -4, -3, -2, -1, 0, 3, 4)
STATES = (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED)
CANCELABLE = {(state, CANCELED) for state in (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT)}
LATER = {(SCHEDULED, IMPLEMENT), (IMPLEMENT, REVIEW), (REVIEW, CLOSED)} | CANCELABLE
FREE = {
    "normal": LATER | {(NEW, ASSESS), (ASSESS, NEW)},
    "standard": LATER,
    "emergency": LATER | {(NEW, AUTHORIZE), (AUTHORIZE, NEW)},
}
GATED = {
    "normal": {(ASSESS, AUTHORIZE), (AUTHORIZE, SCHEDULED), (AUTHORIZE, NEW)},
    "standard": {(NEW, SCHEDULED)},
    "emergency": {(AUTHORIZE, SCHEDULED)},
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

    def write(self, who: str, sys_id: str, **fields: Any) -> TestResponse:
        """Write a change as a token or as a user with a password."""
        path = f"{CHANGES}/{sys_id}"
        if who == "token":
            return self.desk.call(self.desk.token(self.integration), "PATCH", path, json=fields)
        with self.desk.app.app_context():
            return self.desk.client.patch(path, json=fields, headers=basic(who, PASSWORD))


@pytest.fixture
def writers(either_desk: TokenDesk) -> Iterator[Writers]:
    desk = either_desk
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


@pytest.mark.parametrize("change_type", ["normal", "standard", "emergency"])
def test_tokens_make_the_moves_that_pass_no_gate_and_managers_the_others(writers: Writers, change_type: str) -> None:
    change = writers.change(type=change_type)
    allowed: dict[str, set[tuple[int, int]]] = {"token": FREE[change_type]}
    allowed |= {"root": FREE[change_type] | GATED[change_type]}
    for who, expected in allowed.items():
        passed = set()
        for before in STATES:
            for after in STATES:
                writers.store(change, state=before)
                answer = writers.write(who, change, state=after)
                assert answer.status_code in {200, 403}, answer.text
                if answer.status_code == 200 and before != after:
                    passed.add((before, after))
                assert answer.status_code == 200 or writers.stored(change, "state") == before
        assert passed == expected, who


@pytest.mark.parametrize("who", ["manager", ROBOT, "editor"])
def test_people_with_a_password_pass_a_gate_only_as_managers(writers: Writers, who: str) -> None:
    change = writers.change(state=ASSESS)
    assert writers.write(who, change, state=AUTHORIZE).status_code == (200 if who == "manager" else 403)


def test_no_token_passes_a_gate_whatever_user_it_acts_as(writers: Writers) -> None:
    desk = writers.desk
    change = writers.change(state=ASSESS)
    token = desk.token(desk.register("Root", run_as="root", scopes=["useraccount"]))
    assert desk.call(token, "PATCH", f"{CHANGES}/{change}", json={"state": AUTHORIZE}).status_code == 403


def test_a_refused_move_has_servicenows_message(writers: Writers) -> None:
    change = writers.change()
    error = writers.write("token", change, state=IMPLEMENT).get_json()["error"]
    assert error["message"] == "Operation Failed"
    assert error["detail"].startswith(
        "Operation against file 'change_request' was aborted by Business Rule 'Change Model: Check State Transition^"
    )
    assert error["detail"].endswith("From New, this caller can move it to: Assess, Canceled.")


def test_staying_in_a_state_is_not_a_move(writers: Writers) -> None:
    change = writers.change(state=AUTHORIZE)
    assert writers.write("token", change, state=AUTHORIZE, short_description="x").status_code == 200


def test_a_standard_change_from_a_template_is_scheduled_without_approval(writers: Writers) -> None:
    change = writers.change(type="standard")
    assert writers.write("token", change, state=SCHEDULED).status_code == 403
    with writers.desk.app.app_context():
        template = StdChangeProducerVersion(name="Restart", template="short_description=Restart^EQ")
        db.session.add(template)
        db.session.commit()
        sys_id = template.sys_id
    assert writers.write("token", change, state=SCHEDULED, std_change_producer_version=sys_id).status_code == 403
    writers.store(change, std_change_producer_version=sys_id)
    assert writers.write("token", change, state=SCHEDULED).status_code == 200


@pytest.mark.parametrize("who", RESTRICTED)
def test_a_change_of_type_does_not_bypass_approvals(writers: Writers, who: str) -> None:
    change = writers.change()
    for fields in ({"type": "standard"}, {"chg_model": "standard"}, {"type": "standard", "state": SCHEDULED}):
        assert writers.write(who, change, **fields).status_code == 403
    assert writers.write(who, change, type="emergency").status_code == 200
    assert writers.write(who, change, type="normal", chg_model="normal").status_code == 200
    writers.store(change, state=ASSESS)
    assert writers.write(who, change, type="emergency").status_code == 403
    assert writers.write(who, change, type="normal", chg_model="normal").status_code == 200


def test_a_template_is_chosen_when_a_change_begins(writers: Writers) -> None:
    with writers.desk.app.app_context():
        template = StdChangeProducerVersion(name="Restart", template="short_description=Restart^EQ")
        db.session.add(template)
        db.session.commit()
        sys_id = template.sys_id
    change = writers.change(type="standard")
    assert writers.write("token", change, std_change_producer_version=sys_id).status_code == 403
    assert writers.write("manager", change, std_change_producer_version=sys_id).status_code == 200
    assert writers.write("token", change, std_change_producer_version=sys_id, title="x").status_code == 200


def test_a_change_on_hold_is_only_canceled(writers: Writers) -> None:
    change = writers.change(state=ASSESS, on_hold=True)
    assert writers.write("root", change, state=AUTHORIZE).status_code == 403
    assert writers.write("token", change, state=NEW).status_code == 403
    assert writers.write("token", change, state=NEW, on_hold="false").status_code == 200
    writers.store(change, on_hold=True)
    assert writers.write("token", change, state=CANCELED).status_code == 200


def test_an_unauthorized_emergency_is_reviewed_afterwards(writers: Writers) -> None:
    change = writers.change(type="emergency", state=AUTHORIZE)
    assert writers.write("manager", change, state=REVIEW).status_code == 403
    assert writers.write("token", change, state=REVIEW, unauthorized="true").status_code == 403
    assert writers.write("manager", change, state=REVIEW, unauthorized="true").status_code == 200


@pytest.mark.parametrize("who", RESTRICTED)
def test_writers_cannot_change_the_requester_afterwards(writers: Writers, who: str) -> None:
    change = writers.change()
    for value in ("manager", ""):
        refused = writers.write(who, change, requested_by=value)
        assert refused.status_code == 403 and "requested_by" in refused.get_json()["error"]["detail"]
    assert writers.write(who, change, requested_by=ROBOT).status_code == 200
    assert writers.write("manager", change, requested_by="root").status_code == 200


def test_process_fields_are_ignored_in_updates_as_in_creations(writers: Writers) -> None:
    change = writers.change()
    before = writers.stored(change, "opened_by")
    answer = writers.write("token", change, opened_by="root", short_description="x")
    assert (answer.status_code, answer.headers["X-Changegate-Ignored-Fields"]) == (200, "opened_by")
    assert writers.stored(change, "opened_by") == before


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
