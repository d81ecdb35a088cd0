"""Refreshes at one moment with each other, and with whatever ends the refresh token; on both databases."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.services.integrations.integrations import delete_integration, get_integration
from changegate.services.oauth import refresh_grant, refresh_tokens
from changegate.services.oauth.oldest_tokens import MOST_LIVE
from tests.support.grant_desk import MARIA, PASSWORD, GrantDesk
from tests.support.token_desk import FORM, RFC_PATH, Integration, TokenDesk

pytestmark = pytest.mark.usefixtures("allowed_passwords")
REVOKE = "/oauth/revoke"
THREADS = 8
# Long enough for a request that is not blocked, and short enough to wait for one that is.
BLOCKED_SECONDS = 0.3
LONGEST_SECONDS = 60


@pytest.fixture
def grants(allowed_passwords: None, either_desk: TokenDesk) -> GrantDesk:
    made = GrantDesk(either_desk)
    made.add_maria()
    return made


@pytest.fixture
def mobile(grants: GrantDesk) -> Integration:
    return grants.register("password", issue_refresh_tokens=True)


def post(desk: TokenDesk, path: str, **form: str) -> TestResponse:
    """Send a request from any thread."""
    return desk.app.test_client().post(path, data=urlencode(form), content_type=FORM)


def refresh(grants: GrantDesk, client: Integration, token: str) -> TestResponse:
    form = {"grant_type": "refresh_token", "refresh_token": token, **client.credentials}
    return post(grants.desk, RFC_PATH, **form)


def is_still_waiting(answer: Future[Any]) -> bool:
    try:
        answer.result(BLOCKED_SECONDS)
    except TimeoutError:
        return True
    return False


def after_this(module: Any, name: str, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something in the midst of the transaction, once, when a step of it is done."""
    step, done = getattr(module, name), threading.Event()

    def stepped(*given: Any, **options: Any) -> Any:
        outcome = step(*given, **options)
        if not done.is_set():
            done.set()
            then()
        return outcome

    monkeypatch.setattr(module, name, stepped)


def test_two_refreshes_at_once_both_get_a_token(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: refresh(grants, mobile, token), range(THREADS)))

    assert Counter(answer.status_code for answer in answers) == {200: THREADS}
    tokens = {answer.get_json()["access_token"] for answer in answers}
    assert len(tokens) == THREADS
    assert all(grants.is_good(each) for each in tokens)


def test_a_revocation_waits_for_a_refresh_and_ends_its_access_token(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = grants.both_tokens(mobile)
    revoking: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:

        def revoke() -> None:
            revoking.append(pool.submit(post, grants.desk, REVOKE, token=token))
            assert is_still_waiting(revoking[0]), "else it may miss the access token that comes of this refresh"

        after_this(refresh_grant, "note_use", revoke, monkeypatch)
        answer = refresh(grants, mobile, token)
        revoked = revoking[0].result(LONGEST_SECONDS)

    assert (answer.status_code, revoked.status_code) == (200, 200)
    assert not grants.is_good(answer.get_json()["access_token"])


def test_a_refresh_waits_for_a_revocation_and_gets_nothing(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_token, token = grants.both_tokens(mobile)
    refreshing: list[Future[TestResponse]] = []
    with ThreadPoolExecutor(1) as pool:

        def start_to_refresh() -> None:
            # It has found the refresh token alive: nothing of the revocation is committed yet.
            refreshing.append(pool.submit(refresh, grants, mobile, token))
            assert is_still_waiting(refreshing[0])

        after_this(refresh_tokens, "lock_owner", start_to_refresh, monkeypatch)
        assert post(grants.desk, REVOKE, token=token).status_code == 200
        answer = refreshing[0].result(LONGEST_SECONDS)

    assert answer.status_code == 400
    assert grants.desk.last_event().reason == "refresh_token_revoked"
    assert not grants.is_good(access_token)


def test_no_token_outlives_a_concurrent_revocation(grants: GrantDesk, mobile: Integration) -> None:
    for _ in range(3):
        first, token = grants.both_tokens(mobile)
        with ThreadPoolExecutor(THREADS) as pool:
            refreshing = [pool.submit(refresh, grants, mobile, token) for _ in range(THREADS - 1)]
            revoking = pool.submit(post, grants.desk, REVOKE, token=token)
        answers = [each.result(LONGEST_SECONDS) for each in refreshing]

        assert revoking.result().status_code == 200
        assert {answer.status_code for answer in answers} <= {200, 400}
        issued = [answer.get_json()["access_token"] for answer in answers if answer.status_code == 200]
        assert not any(grants.is_good(each) for each in (first, *issued))


def test_a_new_password_waits_for_a_refresh_or_ends_it(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = grants.both_tokens(mobile)
    after_this(refresh_grant, "make_token", lambda: grants.set_password("another password"), monkeypatch)

    assert refresh(grants, mobile, token).status_code == 400
    assert grants.desk.last_event().reason == "password_changed"


def test_revoking_all_tokens_of_an_integration_ends_one_that_is_being_issued(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = grants.both_tokens(mobile)
    after_this(refresh_grant, "make_token", lambda: grants.desk.set(mobile, token_generation=1), monkeypatch)

    issued = refresh(grants, mobile, token).get_json()["access_token"]

    assert not grants.is_good(issued)
    assert refresh(grants, mobile, token).status_code == 400


def test_sign_ins_at_once_leave_no_more_tokens_than_there_may_be(grants: GrantDesk, mobile: Integration) -> None:
    for _ in range(MOST_LIVE - 2):
        grants.both_tokens(mobile)
    form = {"grant_type": "password", "username": MARIA, "password": PASSWORD, **mobile.credentials}
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: post(grants.desk, RFC_PATH, **form), range(THREADS)))

    assert {answer.status_code for answer in answers} == {200}
    live = [row for row in grants.refresh_rows() if row.revoked_at is None]
    access = [event for event in grants.desk.events() if event.token_hash and event.revoked_at is None]
    assert (len(live), len(access)) == (MOST_LIVE, MOST_LIVE)


def delete(grants: GrantDesk, client: Integration) -> None:
    """Delete an integration, from any thread."""
    with grants.desk.app.app_context():
        delete_integration(get_integration(client.client_id), by="admin")
        db.session.commit()


@pytest.mark.parametrize("step", ["refresh", "revocation"])
def test_a_deletion_waits_for_a_concurrent_use_of_the_refresh_token(
    grants: GrantDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    _, token = grants.both_tokens(mobile)
    deleting: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:

        def start_to_delete() -> None:
            deleting.append(pool.submit(delete, grants, mobile))
            assert is_still_waiting(deleting[0])

        module, name = (refresh_grant, "note_use") if step == "refresh" else (refresh_tokens, "now")
        after_this(module, name, start_to_delete, monkeypatch)
        if step == "refresh":
            answer = refresh(grants, mobile, token)
        else:
            answer = post(grants.desk, REVOKE, token=token)
        # Each would end a wait of both for the other: PostgreSQL fails one of them.
        deleting[0].result(LONGEST_SECONDS)

    assert answer.status_code == 200
    assert grants.refresh_rows() == []
