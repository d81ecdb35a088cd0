"""No token writes what identities are matched by: the holder of a claim would become the user."""

import json
from base64 import b64encode

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysUser
from changegate.models.integration_choices import USER_FIELDS
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.table_api import USERS
from tests.support.token_desk import ROBOT, TokenDesk

COLUMNS = ("user_name", "email", "email_verified", "employee_number", "phone", "mobile_phone")
SENTENCE = "An access token does not write {}, which identities are matched by; use a user's name and password"


@pytest.fixture
def token(either_desk: TokenDesk) -> str:
    return either_desk.token(either_desk.register(scopes=["useraccount"], run_as="admin"))


def row_of(desk: TokenDesk, user_name: str) -> dict[str, object]:
    with desk.app.app_context():
        columns = SysUser.__table__.c
        found = db.session.execute(select(columns).where(columns["user_name"] == user_name)).mappings().one_or_none()
        return dict(found or {})


def assert_refused(answer: TestResponse, column: str) -> None:
    assert answer.status_code == 403, answer.text
    assert answer.get_json()["error"] == {"message": "Operation Failed", "detail": SENTENCE.format(column)}


def test_every_column_that_an_integration_can_match_is_among_them() -> None:
    assert set(USER_FIELDS) - {"sys_id"} <= set(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_token_rewrites_no_identity(either_desk: TokenDesk, token: str, column: str, method: str) -> None:
    before = row_of(either_desk, "admin")
    path = f"{USERS}/{before['sys_id']}"
    values = ["evil@example.com"] if column == "user_name" or before[column] is None else ["evil@example.com", ""]
    if column == "email_verified":
        values = ["true"]
    for value in values:
        answer = either_desk.call(token, method, path, json={"title": "x", column.upper(): value})
        assert_refused(answer, column)
    assert row_of(either_desk, "admin") == before


def test_a_token_may_repeat_what_is_stored(either_desk: TokenDesk, token: str) -> None:
    before = row_of(either_desk, "admin")
    same = {"email": before["email"], "email_verified": str(before["email_verified"]).lower(), "title": "Chief"}
    assert either_desk.call(token, "PUT", f"{USERS}/{before['sys_id']}", json=same).status_code == 200
    assert row_of(either_desk, "admin")["title"] == "Chief"


def test_an_email_that_is_sent_as_verified_is(either_desk: TokenDesk) -> None:
    """Also if the old one was, which makes the value of this field the stored one."""
    sys_id = row_of(either_desk, "admin")["sys_id"]
    for email, sent, is_verified in (
        ("a@example.com", "true", True),
        ("b@example.com", "true", True),
        ("c@example.com", None, False),
    ):
        fields = {"email": email} | ({"email_verified": sent} if sent else {})
        answer = either_desk.app.test_client().patch(
            f"{USERS}/{sys_id}", json=fields, headers=basic("admin", ADMIN_PASSWORD)
        )
        assert answer.status_code == 200, answer.text
        stored = row_of(either_desk, "admin")
        assert (stored["email"], stored["email_verified"]) == (email, is_verified)


def test_a_batch_does_not_bypass_this(either_desk: TokenDesk, token: str) -> None:
    before = row_of(either_desk, "admin")
    body = b64encode(json.dumps({"email": "evil@example.com"}).encode()).decode()
    headers = [{"name": "Content-Type", "value": "application/json"}]
    request = {"id": "1", "method": "PATCH", "url": f"{USERS}/{before['sys_id']}", "headers": headers, "body": body}
    batch = {"batch_request_id": "b", "rest_requests": [request]}
    served = either_desk.call(token, "POST", "/api/now/v1/batch", json=batch).get_json()["serviced_requests"]
    assert [one["status_code"] for one in served] == [403]
    assert row_of(either_desk, "admin") == before


def test_a_token_creates_no_user_to_be_matched(either_desk: TokenDesk, token: str) -> None:
    wanted = {"user_name": "eve", "email": "admin@example.com"}
    assert_refused(either_desk.call(token, "POST", USERS, json=wanted), "user_name")
    assert row_of(either_desk, "eve") == {}


def test_a_token_writes_back_what_it_has_read(either_desk: TokenDesk, token: str) -> None:
    user = row_of(either_desk, "admin")
    sent = {name: user[name] or "" for name in COLUMNS} | {"title": "x", "email_verified": "false"}
    answer = either_desk.call(token, "PATCH", f"{USERS}/{user['sys_id']}", json=sent)
    assert (answer.status_code, answer.get_json()["result"]["title"]) == (200, "x")


def test_a_token_still_writes_the_rest_of_a_user(either_desk: TokenDesk, token: str) -> None:
    user = row_of(either_desk, ROBOT)
    answer = either_desk.call(token, "PATCH", f"{USERS}/{user['sys_id']}", json={"first_name": "R", "title": "Bot"})
    assert answer.status_code == 200


def test_administrators_write_all_of_it_with_their_password(either_desk: TokenDesk, admin: dict[str, str]) -> None:
    user = row_of(either_desk, ROBOT)
    sent = {name: f"{name}@example.com" for name in COLUMNS} | {"email_verified": "true"}
    with either_desk.app.app_context():
        answer = either_desk.client.patch(f"{USERS}/{user['sys_id']}", json=sent, headers=admin)
    assert answer.status_code == 200
    assert {name: answer.get_json()["result"][name] for name in COLUMNS} == sent


def test_a_new_email_is_not_verified(either_desk: TokenDesk, admin: dict[str, str]) -> None:
    path = f"{USERS}/{row_of(either_desk, ROBOT)['sys_id']}"
    for sent, is_verified in (
        ({"email": "a@example.com", "email_verified": "true"}, True),
        ({"title": "Bot"}, True),
        ({"email": "b@example.com"}, False),
    ):
        assert either_desk.client.patch(path, json=sent, headers=admin).status_code == 200
        assert row_of(either_desk, ROBOT)["email_verified"] is is_verified
