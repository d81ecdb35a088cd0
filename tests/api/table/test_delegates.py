"""Approvals over HTTP: delegates see and answer them, and a page that shows an older content is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.database import commit
from tests.conftest import basic
from tests.services.approvals.asked_changes import AUTHORIZE, add, add_policy, approvals_of, edit, enter, of_users
from tests.support.table_api import TableApi, result_of

APPROVALS, DELEGATES = (f"/api/now/table/{name}" for name in ("sysapproval_approver", "sys_user_delegate"))
PASSWORD = "itil itil itil"


class Desk:
    """A change that waits for Ann, and the calls of people to the table of approvals."""

    def __init__(self, app: Flask, client: FlaskClient, ann: str) -> None:
        self.app = app
        self.client = client
        with app.app_context():
            add_policy(of_users(ann), state=AUTHORIZE)
            self.change = add("change_request", type="normal", implementation_plan="Deploy")
            enter(self.change, AUTHORIZE)
            [row] = approvals_of(self.change)
            self.approval = row["sys_id"]
            commit()

    def calls_of(self, name: str, path: str = APPROVALS) -> TableApi:
        return TableApi(self.client, basic(name, PASSWORD), path)

    def delegate(self) -> str:
        """Let Ann delegate to Bob, and return the sys_id of the delegation."""
        sent = {"delegate": "bob", "ends": "2999-01-01 00:00:00"}
        sys_id: str = self.calls_of("ann", DELEGATES).created(**sent)["sys_id"]
        return sys_id

    def stored(self) -> dict[str, Any]:
        with self.app.app_context():
            return approvals_of(self.change)[0]


@pytest.fixture
def desk(app: Flask, client: FlaskClient, add_user: Callable[..., str]) -> Desk:
    people = {name: add_user(name) for name in ("ann", "bob", "cem")}
    return Desk(app, client, people["ann"])


def test_a_delegate_finds_and_answers_the_approval(desk: Desk) -> None:
    bob = desk.calls_of("bob")
    assert result_of(bob.page()) == []
    assert bob.update(desk.approval, {"state": "approved"}).status_code == 404

    desk.delegate()
    assert [row["sys_id"] for row in result_of(bob.page())] == [desk.approval]
    assert bob.update(desk.approval, {"state": "approved"}).status_code == 200
    row = result_of(bob.get(desk.approval, display_value="true"))
    assert (row["approver"]["display_value"], row["answered_by"]["display_value"]) == ("ann", "bob")
    assert row["answered_as"] == "Delegate"


def test_a_delegation_that_was_withdrawn_before_the_answer_does_not_apply(desk: Desk) -> None:
    delegation = desk.delegate()
    assert result_of(desk.calls_of("bob").page())
    assert desk.calls_of("ann", DELEGATES).delete(delegation).status_code == 204

    assert desk.calls_of("bob").update(desk.approval, {"state": "approved"}).status_code == 404
    assert desk.stored()["state"] == "requested"


def test_others_see_neither_the_approval_nor_the_delegation(desk: Desk) -> None:
    desk.delegate()

    assert result_of(desk.calls_of("cem").page()) == []
    assert result_of(desk.calls_of("cem", DELEGATES).page()) == []
    assert len(result_of(desk.calls_of("bob", DELEGATES).page())) == 1


def test_an_answer_to_an_older_content_is_refused(desk: Desk) -> None:
    ann = desk.calls_of("ann")
    shown = ann.get(desk.approval).headers["ETag"]
    with desk.app.app_context():
        edit("change_request", desk.change, implementation_plan="Drop tables")
        commit()

    def answer(etag: str) -> int:
        headers = ann.headers | {"If-Match": etag}
        path = f"{APPROVALS}/{desk.approval}"
        return desk.client.patch(path, json={"state": "approved"}, headers=headers).status_code

    assert answer(shown) == 412
    assert answer(ann.get(desk.approval).headers["ETag"]) == 200


@pytest.mark.parametrize("fields", [{"ends": ""}, {"ends": "soon"}, {"approval": "x"}, {"user": ""}, {"starts": ""}])
def test_a_delegation_is_not_made_invalid_by_an_edit(desk: Desk, fields: dict[str, str]) -> None:
    path = f"{DELEGATES}/{desk.delegate()}"
    answer = desk.client.patch(path, json=fields, headers=basic("ann", PASSWORD))
    assert answer.status_code in {200, 400, 403}
    assert result_of(desk.client.get(path, headers=basic("ann", PASSWORD)))["ends"] == "2999-01-01 00:00:00"


def test_one_approval_is_handed_over_and_answered(desk: Desk) -> None:
    made = desk.calls_of("ann", DELEGATES).created(delegate="cem", approval=desk.approval)
    assert made["ends"]
    assert [row["sys_id"] for row in result_of(desk.calls_of("cem").page())] == [desk.approval]
    assert result_of(desk.calls_of("bob").page()) == []
    answer = desk.client.patch(
        f"{APPROVALS}/{desk.approval}", json={"state": "approved"}, headers=basic("cem", PASSWORD)
    )
    assert answer.status_code == 200
    assert desk.stored()["answered_as"] == "delegate"
