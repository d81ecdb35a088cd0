"""An integration with a quota creates so many tasks within an hour and within a day, and no more."""

from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import Task
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.statements import counted_statements
from tests.support.token_desk import CHANGES, TokenDesk

ADMIN = basic("admin", ADMIN_PASSWORD)
AT_ONCE = 20
HOUR = 3600


def refused(answer: TestResponse, detail: str) -> int:
    """Insist on a refusal in the Table API's envelope and return its Retry-After."""
    assert answer.status_code == 429, answer.text
    seconds = int(answer.headers["Retry-After"])
    error = {
        "message": "Creation quota reached",
        "detail": f"{detail}; the next one can be created in {seconds} seconds",
    }
    assert answer.get_json() == {"error": error, "status": "failure"}
    return seconds


def make_older(desk: TokenDesk, **duration: float) -> None:
    """Let all that was created have been created earlier."""
    with desk.app.app_context():
        for sys_id, created in db.session.query(Task.sys_id, Task.sys_created_on):
            older = update(Task).where(Task.sys_id == sys_id).values(sys_created_on=created - timedelta(**duration))
            db.session.execute(older)
        db.session.commit()


def numbers(desk: TokenDesk) -> list[str]:
    with desk.app.app_context():
        return sorted(number for (number,) in db.session.query(Task.number))


def test_refuses_creations_beyond_the_quota_with_retry_after(either_desk: TokenDesk) -> None:
    token = either_desk.token(either_desk.register(creations_per_hour=2))
    assert [either_desk.call(token).status_code for _ in range(2)] == [201, 201]
    wait = refused(either_desk.call(token), "This integration may create 2 tasks per hour")
    assert HOUR - 60 < wait <= HOUR
    make_older(either_desk, seconds=HOUR - 30)
    assert 1 <= refused(either_desk.call(token), "This integration may create 2 tasks per hour") <= 30
    make_older(either_desk, seconds=30)
    assert either_desk.call(token).status_code == 201


def test_the_window_slides(desk: TokenDesk) -> None:
    token = desk.token(desk.register(creations_per_hour=2))
    desk.call(token)
    make_older(desk, minutes=40)
    desk.call(token)
    wait = refused(desk.call(token), "This integration may create 2 tasks per hour")
    assert 19 * 60 < wait <= 20 * 60
    make_older(desk, minutes=20)
    assert [desk.call(token).status_code for _ in range(2)] == [201, 429]


def test_the_quotas_of_a_day_and_an_hour_are_counted_separately(desk: TokenDesk) -> None:
    token = desk.token(desk.register(creations_per_hour=1, creations_per_day=2))
    assert desk.call(token).status_code == 201
    assert refused(desk.call(token), "This integration may create 1 task per hour") <= HOUR
    make_older(desk, hours=2)
    assert desk.call(token).status_code == 201
    wait = refused(desk.call(token), "This integration may create 2 tasks per day")
    assert 21 * HOUR < wait <= 22 * HOUR
    make_older(desk, hours=22)
    assert desk.call(token).status_code == 201


def test_counts_what_this_integration_created_and_nothing_else(desk: TokenDesk) -> None:
    limited, other = desk.register(creations_per_hour=1), desk.register("Other", creations_per_hour=1)
    free = desk.register("Free")
    for integration in (free, limited, free, other, free):
        assert desk.call(desk.token(integration)).status_code == 201
    with desk.app.app_context():
        assert desk.client.post(CHANGES, json={}, headers=ADMIN).status_code == 201
    assert [desk.call(desk.token(found)).status_code for found in (limited, other, free)] == [429, 429, 201]


def test_tokens_of_one_integration_share_its_quota(desk: TokenDesk) -> None:
    integration = desk.register(creations_per_day=3)
    tokens = [desk.token(integration) for _ in range(4)]
    assert [desk.call(token).status_code for token in tokens] == [201, 201, 201, 429]


def test_a_new_quota_counts_at_the_next_request(desk: TokenDesk) -> None:
    integration = desk.register()
    token = desk.token(integration)
    statuses = []
    for quota in (None, 1, 2, 1, None):
        desk.set(integration, creations_per_hour=quota)
        statuses.append(desk.call(token).status_code)
    assert statuses == [201, 429, 201, 429, 201]


def test_a_refused_creation_stores_nothing(either_desk: TokenDesk) -> None:
    integration = either_desk.register(creations_per_hour=1)
    token = either_desk.token(integration)

    def create_once() -> int:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        with either_desk.app.app_context():
            return either_desk.client.post(CHANGES, json={}, headers=headers).status_code

    either_desk.call(token)
    for _ in range(3):
        assert either_desk.call(token).status_code == 429
        assert create_once() == 429
    assert numbers(either_desk) == ["CHG0030001"]
    make_older(either_desk, hours=1)
    assert [create_once(), create_once()] == [201, 201]
    assert numbers(either_desk) == ["CHG0030001", "CHG0030002"]


def test_a_quota_holds_in_a_batch(desk: TokenDesk) -> None:
    token = desk.token(desk.register(creations_per_hour=2))
    body = b64encode(b"{}").decode()
    items = [{"id": str(at), "method": "POST", "url": CHANGES, "body": body} for at in range(4)]
    answer = desk.call(token, path="/api/now/v1/batch", json={"batch_request_id": "1", "rest_requests": items})
    served = answer.get_json()["serviced_requests"]
    assert [item["status_code"] for item in served] == [201, 201, 429, 429]
    assert "Retry-After" in {header["name"] for header in served[2]["headers"]}


def test_others_pay_nothing_for_a_quota(desk: TokenDesk) -> None:
    counted: dict[str, list[str]] = {}
    for name, quota in (("limited", 9), ("free", None)):
        token = desk.token(desk.register(name, creations_per_hour=quota))
        desk.call(token)
        with desk.app.app_context(), counted_statements() as statements:
            assert desk.call(token).status_code == 201
        counted[name] = statements
    assert len(counted["limited"]) == len(counted["free"]) + 2
    assert not [text for text in counted["free"] if "creations_per_hour, " in text]


def test_twenty_requests_at_once_create_what_the_quota_allows(either_desk: TokenDesk) -> None:
    integration = either_desk.register(creations_per_hour=7)
    token = either_desk.token(integration)

    def create(_number: int) -> int:
        client = either_desk.app.test_client()
        answer = client.post(CHANGES, json={}, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = Counter(pool.map(create, range(AT_ONCE)))
    assert statuses == {201: 7, 429: AT_ONCE - 7}
    assert len(numbers(either_desk)) == 7
