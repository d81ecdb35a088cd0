"""Answers to the approvals of a change over the Change Management API."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from changegate.services.approvals.answers import NOTHING_PENDING
from tests.conftest import basic
from tests.support.change_api import PREFIX, ChangeApi
from tests.support.scope_desk import put_scope
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import TokenDesk

TABLES = "/api/now/table"
PASSWORD = "itil itil itil"
MAPPED: dict[str, Any] = {"run_as": ..., "user_field": "user_name"}


@dataclass
class Board:
    """A change in Assess that waits for a member of its group: Ann, who works on changes, or Bo, who does not."""

    change: str
    ann: ChangeApi
    bo: ChangeApi
    ines: ChangeApi
    admin: TableApi


@pytest.fixture
def board(api: ChangeApi, itil: ChangeApi, client: FlaskClient, add_user: Callable[..., str]) -> Board:
    group = TableApi(client, api.headers, f"{TABLES}/sys_user_group").created(name="Network")["sys_id"]
    people = {name: add_user(name, *roles) for name, roles in (("ann", ("itil",)), ("bo", ("approver_user",)))}
    for user in people.values():
        TableApi(client, api.headers, f"{TABLES}/sys_user_grmember").created(group=group, user=user)
    change = itil.new(short_description="Deploy", assignment_group=group, requested_by="ines")
    assert itil.patch(f"/{change}", {"state": "assess"}).status_code == 200
    ann, bo = (ChangeApi(client, basic(name, PASSWORD)) for name in people)
    return Board(change, ann, bo, itil, TableApi(client, api.headers, f"{TABLES}/sysapproval_approver"))


def states(board: Board) -> list[str]:
    rows = result_of(board.admin.page(query=f"document_id={board.change}", fields="state"))
    return sorted(row["state"] for row in rows)


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("sent", [({"state": "approved"}, {}), ({}, {"state": "Approved"})])
def test_the_person_asked_approves_and_the_change_moves(board: Board, method: str, sent: Any) -> None:
    body, params = sent
    response = board.ann.call(method, f"/{board.change}/approvals", body, **params)

    assert response.status_code == 200, response.text
    change = result_of(response)
    assert change["sys_id"]["value"] == board.change
    assert change["state"] == {"value": -3, "display_value": "Authorize"}
    assert change["__meta"] == {"ignoredFields": []}
    assert response.headers["ETag"] == board.ines.get(f"/{board.change}").headers["ETag"]
    assert {"approved", "not_required"} <= {*states(board)}


def test_a_rejection_needs_comments_and_ends_the_round(board: Board) -> None:
    refused = board.ann.patch(f"/{board.change}/approvals", {"state": "rejected"})
    assert refused.status_code == 400
    assert error_of(refused)[0].endswith("The following fields are mandatory: Comments")
    assert states(board) == ["requested", "requested"]

    rejected = board.ann.patch(f"/{board.change}/approvals", {"state": "rejected", "comments": "Too soon", "bunk": 1})
    change = result_of(rejected)
    assert (change["state"]["value"], change["approval"]["value"]) == (-5, "rejected")
    assert change["__meta"] == {"ignoredFields": ["bunk"]}
    assert "approved" not in states(board)


def test_an_approver_who_may_not_read_the_change_sees_only_its_outline(board: Board) -> None:
    assert board.bo.get(f"/{board.change}").status_code == 404
    change = result_of(board.bo.patch(f"/{board.change}/approvals", {"state": "approved"}))
    assert change.keys() == {"sys_id", "number", "short_description", "state", "approval", "__meta"}
    assert change["state"]["value"] == -3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Field state: one of approved and rejected is expected"),
        ({"state": "requested"}, "Field state: one of approved and rejected is expected"),
        ({"state": "cancelled"}, "Field state: one of approved and rejected is expected"),
        ({"state": "perhaps"}, "Field state: it is not one of the choices"),
        ({"state": ["approved"]}, "Field state: a text is expected, not a list"),
        ({"state": "approved", "comments": {"a": 1}}, "Field comments: a text, number"),
    ],
)
def test_another_answer_is_a_400(board: Board, body: dict[str, Any], said: str) -> None:
    response = board.ann.patch(f"/{board.change}/approvals", body)
    assert response.status_code == 400
    assert said in str(error_of(response)[1])
    assert states(board) == ["requested", "requested"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_that_is_only_fetched_answers_nothing(board: Board, method: str) -> None:
    """Scanners of mails and previews of chats open every link."""
    response = board.ann.call(method, f"/{board.change}/approvals", state="approved")
    assert response.status_code == 405
    assert states(board) == ["requested", "requested"]


def test_an_answer_is_not_changed_afterwards(board: Board) -> None:
    """Neither by the person who gave it, nor by a colleague whose answer is no longer required."""
    assert board.ann.patch(f"/{board.change}/approvals", {"state": "approved"}).status_code == 200
    rows = result_of(board.admin.page(query=f"document_id={board.change}", fields="sys_id,approver.user_name,state"))
    for row in rows:
        writer = TableApi(board.admin.client, {"ann": board.ann, "bo": board.bo}[row["approver.user_name"]].headers)
        writer.path = board.admin.path
        assert writer.update(row["sys_id"], {"state": "rejected", "comments": "Too late"}).status_code == 403
    assert states(board) == ["approved", "not_required"]
    assert board.ann.patch(f"/{board.change}/approvals", {"state": "rejected", "comments": "x"}).status_code == 400


def test_each_answer_in_a_batch_has_its_own_result(board: Board) -> None:
    """A refused one, here to an older version of the change, stops no other."""
    other = board.ines.new(short_description="Deploy", requested_by="ines")
    group = result_of(board.ines.get(f"/{board.change}"))["assignment_group"]["value"]
    assert board.ines.patch(f"/{other}", {"state": "assess", "assignment_group": group}).status_code == 200

    def answer(number: int, change: str, body: dict[str, str], **headers: str) -> dict[str, Any]:
        sent = [
            {"name": name, "value": value} for name, value in {"Content-Type": "application/json", **headers}.items()
        ]
        encoded = b64encode(json.dumps(body).encode()).decode()
        return {
            "id": str(number),
            "method": "PATCH",
            "url": f"{PREFIX}/{change}/approvals",
            "headers": sent,
            "body": encoded,
        }

    approval = {"state": "approved"}
    requests = [
        answer(1, board.change, approval, **{"If-Match": '"older"'}),
        answer(2, other, {"state": "rejected"}),
        answer(3, other, approval),
        answer(4, other, approval),
    ]
    batch = {"batch_request_id": "1", "rest_requests": requests}
    response = board.ann.client.post("/api/now/v1/batch", json=batch, headers=board.ann.headers)
    served = {each["id"]: each["status_code"] for each in response.get_json()["serviced_requests"]}
    assert served == {"1": 412, "2": 400, "3": 200, "4": 400}
    assert states(board) == ["requested", "requested"]
    assert result_of(board.ines.get(f"/{other}"))["state"]["value"] == -3


def test_a_caller_without_a_pending_approval_is_refused(board: Board, client: FlaskClient, add_user: Any) -> None:
    response = board.ines.patch(f"/{board.change}/approvals", {"state": "approved"})
    assert response.status_code == 400
    message = f"Change Request record could not be updated. {NOTHING_PENDING}"
    assert error_of(response) == (message, "")
    board.ann.patch(f"/{board.change}/approvals", {"state": "approved"})
    again = board.bo.patch(f"/{board.change}/approvals", {"state": "rejected", "comments": "Too late"})
    assert again.status_code == 404  # Bo cannot see the change, and is no longer asked

    add_user("pat")
    requester = ChangeApi(client, basic("pat", PASSWORD))
    for sys_id in (board.change, "0" * 32, "%00"):
        assert requester.patch(f"/{sys_id}/approvals", {"state": "approved"}).status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_an_answer_to_an_older_version_is_refused(board: Board, client: FlaskClient, method: str) -> None:
    stale = board.ines.get(f"/{board.change}").headers["ETag"]
    assert board.ines.patch(f"/{board.change}", {"short_description": "Deploy twice"}).status_code == 200
    fresh = board.ines.get(f"/{board.change}").headers["ETag"]

    def answer(name: str, version: str) -> int:
        sender = ChangeApi(client, basic(name, PASSWORD) | {"If-Match": version})
        return int(sender.call(method, f"/{board.change}/approvals", {"state": "approved"}).status_code)

    assert answer("ann", stale) == 412
    assert states(board) == ["requested", "requested"]
    assert answer("ann", fresh) == 200
    # Bo is no longer asked and cannot see the change: its version does not show either.
    assert answer("bo", stale) == 404


def test_an_administrator_answers_for_no_other_user_here(board: Board, api: ChangeApi) -> None:
    """An answer for another person names the approval, at the Table API."""
    assert api.patch(f"/{board.change}/approvals", {"state": "approved"}).status_code == 400
    assert states(board) == ["requested", "requested"]


class TestTokens:
    """Answers by token."""

    def token(self, desk: TokenDesk, sub: str, *scopes: str, **changes: Any) -> ChangeApi:
        integration = desk.register(f"For {sub}", scopes=[*scopes], **(MAPPED | changes))
        token = desk.token(integration, assertion=desk.assertion(sub=sub))
        return ChangeApi(desk.client, {"Authorization": f"Bearer {token}"}, PREFIX)

    def test_the_person_asked_answers_with_the_scope_and_reads_nothing_more(
        self, desk: TokenDesk, board: Board
    ) -> None:
        ann = self.token(desk, "ann", "approval.answer")
        assert ann.get(f"/{board.change}").status_code == 403
        response = ann.patch(f"/{board.change}/approvals", {"state": "approved"})
        assert response.status_code == 200, response.text
        assert result_of(response).keys() == {"sys_id", "number", "short_description", "state", "approval", "__meta"}

    def test_a_token_that_reads_changes_gets_the_whole_change(self, desk: TokenDesk, board: Board) -> None:
        ann = self.token(desk, "ann", "approval.answer", "change_request.read")
        change = result_of(ann.patch(f"/{board.change}/approvals", {"state": "approved"}))
        assert change["requested_by"]["display_value"] == "ines"

    @pytest.mark.parametrize("scopes", [["useraccount"], ["change_request.update_own"], ["everything"]])
    def test_no_other_scope_answers(self, desk: TokenDesk, board: Board, scopes: list[str]) -> None:
        put_scope(desk, "everything", "* change *", "* table *")
        ann = self.token(desk, "ann", *scopes)
        assert ann.patch(f"/{board.change}/approvals", {"state": "approved"}).status_code == 403
        assert states(board) == ["requested", "requested"]

    def test_a_pipeline_does_not_answer_for_the_account_it_runs_as(self, desk: TokenDesk, board: Board) -> None:
        pipeline = self.token(desk, "build-42", "approval.answer", run_as="ann", user_field=...)
        response = pipeline.patch(f"/{board.change}/approvals", {"state": "approved"})
        assert response.status_code == 403
        assert "if its subject is the approver" in str(error_of(response)[1])
        assert states(board) == ["requested", "requested"]

    def test_fields_of_the_rule_bound_the_answer(self, desk: TokenDesk, board: Board) -> None:
        put_scope(desk, "silent", "PATCH change sysapproval_approver fields=state")
        ann = self.token(desk, "ann", "silent")
        refused = ann.patch(f"/{board.change}/approvals", {"state": "approved", "comments": "Fine"})
        assert refused.status_code == 403
        assert ann.patch(f"/{board.change}/approvals", {"state": "approved"}).status_code == 200

    def test_a_rule_for_own_records_covers_no_approval(self, desk: TokenDesk, board: Board) -> None:
        put_scope(desk, "own", "* change * own")
        ann = self.token(desk, "ann", "own")
        assert ann.patch(f"/{board.change}/approvals", {"state": "approved"}).status_code == 403
