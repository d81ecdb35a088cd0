"""An approval ends by an edit over each API that can make one."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.database import commit
from tests.conftest import basic
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
    add,
    add_policy,
    answer,
    approvals_of,
    change_of,
    enter,
    of_users,
)
from tests.support.people import caller_for

EDIT = {"implementation_plan": "Drop tables"}
TABLE, CHANGE_API = "/api/now/table", "/api/sn_chg_rest/change"
JSON = [{"name": "Content-Type", "value": "application/json"}]


@dataclass
class Desk:
    """An approved change that waits for a second approval, and the calls of another person."""

    app: Flask
    client: FlaskClient
    change: str
    item: str
    row: str
    attachment: str

    def call(self, method: str, path: str, body: object = None, data: bytes | None = None) -> TestResponse:
        headers = basic("mallory", "itil itil itil")
        sent = {"data": data, "content_type": "text/plain"} if data else {"json": body}
        return self.client.open(path, method=method, headers=headers, **sent)

    def batch(self, method: str, url: str, body: object) -> TestResponse:
        encoded = b64encode(orjson.dumps(body)).decode()
        request = {"id": "1", "method": method, "url": url, "headers": JSON, "body": encoded}
        return self.call("POST", "/api/now/v1/batch", {"batch_request_id": "b", "rest_requests": [request]})


@pytest.fixture
def desk(app: Flask, client: FlaskClient, add_user: Callable[..., str]) -> Desk:
    ann, bob = add_user("ann"), add_user("bob")
    add_user("mallory", "itil")
    with app.app_context():
        add_policy(of_users(ann), of_users(bob), state=AUTHORIZE)
        change = add("change_request", type="normal", implementation_plan="Deploy")
        item = add("cmdb_ci", name="db")
        row = add("task_ci", task=change, ci_item=add("cmdb_ci", name="web"))
        commit()
    file = {"table_name": "change_request", "table_sys_id": change, "file_name": "plan.txt"}
    headers = basic("mallory", "itil itil itil")
    path = "/api/now/attachment/file"
    made = client.post(path, query_string=file, data=b"plan", content_type="text/plain", headers=headers)
    with app.app_context():
        enter(change, AUTHORIZE)
        answer(change, caller_for(ann))
        commit()
    return Desk(app, client, change, item, row, made.get_json()["result"]["sys_id"])


def file_of(desk: Desk) -> str:
    names = {"table_name": "change_request", "table_sys_id": desk.change, "file_name": "other.txt"}
    return "/api/now/attachment/file?" + "&".join(f"{name}={value}" for name, value in names.items())


PATHS: dict[str, tuple[str, Callable[[Desk], TestResponse]]] = {
    "Table API, PATCH": (
        "Implementation plan",
        lambda desk: desk.call("PATCH", f"{TABLE}/change_request/{desk.change}", EDIT),
    ),
    "Table API, PUT": (
        "Implementation plan",
        lambda desk: desk.call("PUT", f"{TABLE}/change_request/{desk.change}", EDIT),
    ),
    "Change API": ("Implementation plan", lambda desk: desk.call("PATCH", f"{CHANGE_API}/{desk.change}", EDIT)),
    "Change API, by type": (
        "Implementation plan",
        lambda desk: desk.call("PATCH", f"{CHANGE_API}/normal/{desk.change}", EDIT),
    ),
    "batch": (
        "Implementation plan",
        lambda desk: desk.batch("PATCH", f"{TABLE}/change_request/{desk.change}", EDIT),
    ),
    "new affected CI": (
        "Affected CIs: added db",
        lambda desk: desk.call("POST", f"{TABLE}/task_ci", {"task": desk.change, "ci_item": desk.item}),
    ),
    "other affected CI": (
        "Affected CIs: removed web, added db",
        lambda desk: desk.call("PATCH", f"{TABLE}/task_ci/{desk.row}", {"ci_item": desk.item}),
    ),
    "no affected CI": ("Affected CIs: removed web", lambda desk: desk.call("DELETE", f"{TABLE}/task_ci/{desk.row}")),
    "upload": ("Attachments: added other.txt", lambda desk: desk.call("POST", file_of(desk), data=b"x")),
    "deleted attachment": (
        "Attachments: removed plan.txt",
        lambda desk: desk.call("DELETE", f"/api/now/attachment/{desk.attachment}"),
    ),
}


@pytest.mark.parametrize("path", PATHS)
def test_an_edit_over_each_api_voids_the_approval(desk: Desk, path: str) -> None:
    difference, write = PATHS[path]
    assert write(desk).status_code < 300

    with desk.app.app_context():
        [void] = approvals_of(desk.change, state="cancelled")
        assert void["void_reason"].startswith(difference)
        assert void["void_reason"].endswith(", by mallory")
        assert len(approvals_of(desk.change, state="requested", approver=void["approver"])) == 1
        assert change_of(desk.change)["approval"] == "requested"
        assert change_of(desk.change)["state"] == AUTHORIZE
