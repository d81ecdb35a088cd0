"""Each 401 and 403 of the APIs is an event under its `X-Request-Id`, within bounds; so is each refused login."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from changegate.api import refused_calls
from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.services.oauth.event_bounds import MOST
from changegate.services.oauth.event_search import EventFilter, get_event, search_events
from changegate.services.users.accounts import create_user, get_user
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.visitor import Visitor
from tests.support.integration_api import EVENTS, IntegrationApi
from tests.support.misbehaving_jwks import raw
from tests.support.token_desk import CHANGES, Integration, TokenDesk

ADDRESS = "198.51.100.9"
PASSWORD = "a long password"
Call = Callable[..., TestResponse]


@pytest.fixture
def desk(either_desk: TokenDesk) -> TokenDesk:
    either_desk.client.environ_base["REMOTE_ADDR"] = ADDRESS
    return either_desk


@pytest.fixture
def call(desk: TokenDesk) -> Call:
    def called(path: str = CHANGES, headers: dict[str, str] | None = None, method: str = "GET", **sent: Any) -> Any:
        with desk.app.app_context():
            return desk.client.open(path, method=method, headers=headers, **sent)

    return called


def add_user(desk: TokenDesk, user_name: str, *roles: str) -> dict[str, str]:
    """Add a user with a password; return the Basic header."""
    with desk.app.app_context():
        create_user(user_name=user_name, password=PASSWORD, email=None, name=None, roles=list(roles))
        db.session.commit()
    return basic(user_name, PASSWORD)


def event_of(desk: TokenDesk, answer: TestResponse) -> OAuthExchange:
    """Return the event of an answer, by the header that every client sees."""
    with desk.app.app_context():
        return get_event(answer.headers["X-Request-Id"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "reason", "user_name"),
    [
        ({}, "credentials_missing", None),
        ({"Authorization": "Digest x"}, "credentials_missing", None),
        (basic("ann", "wrong"), "password_wrong", "ann"),
        (basic("ANN", "wrong"), "password_wrong", "ann"),
        (basic("my password in the wrong field", "x"), "user_unknown", None),
        (basic("a\u0007", "x"), "user_unknown", None),
        (basic("locked.user", PASSWORD), "user_locked", "locked.user"),
        (basic("gone.user", PASSWORD), "user_inactive", "gone.user"),
        (bearer("nonsense"), "token_refused", None),
        (bearer("cgat_" + "A" * 64), "token_refused", None),
    ],
)
def test_who_was_not_proven_is_found_by_request_id(
    desk: TokenDesk, call: Call, headers: dict[str, str], reason: str, user_name: str | None
) -> None:
    add_user(desk, "ann")
    for name, columns in {"locked.user": {"locked_out": True}, "gone.user": {"active": False}}.items():
        add_user(desk, name)
        set_user(desk, name, **columns)

    answer = call(headers=headers)

    event = event_of(desk, answer)
    assert answer.status_code == 401
    assert (event.reason, event.subject, event.address) == (reason, user_name, ADDRESS)
    assert (event.request, event.is_accepted, event.entity) == (f"GET {CHANGES}", False, None)
    assert "password in the wrong" not in repr(vars(event))


def set_user(desk: TokenDesk, user_name: str, **columns: Any) -> None:
    with desk.app.app_context():
        user = get_user(user_name)
        for name, value in columns.items():
            setattr(user, name, value)
        db.session.commit()


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/now/table/sys_user", "GET"),
        ("/api/now/v1/stats/incident", "GET"),
        ("/api/now/attachment", "GET"),
        ("/api/now/attachment/file?table_name=change_request&table_sys_id=x&file_name=a.txt", "POST"),
        ("/api/now/oauth/integrations", "GET"),
        ("/api/now/oauth/scopes", "GET"),
        ("/api/now/oauth/findings", "GET"),
        ("/api/now/table/change_request/0123456789abcdef0123456789abcdef", "DELETE"),
    ],
)
def test_every_api_writes_its_refusals(desk: TokenDesk, call: Call, path: str, method: str) -> None:
    integration = desk.register()
    token = desk.token(integration)
    anonymous, refused = call(path, method=method), call(path, bearer(token), method)

    assert (anonymous.status_code, refused.status_code) == (401, 403)
    event, forbidden = event_of(desk, anonymous), event_of(desk, refused)
    assert event.request == forbidden.request == f"{method} {path.partition('?')[0]}"
    assert (forbidden.entity, forbidden.client_id) == (integration.sys_id, integration.client_id)
    assert forbidden.reason in {"scope_missing", "access_refused"}
    assert forbidden.subject == "release.bot"


def test_a_request_in_a_batch_has_an_event_of_its_own(desk: TokenDesk, call: Call) -> None:
    token = desk.token(desk.register())
    part = {"id": "1", "url": "/api/now/table/sys_user", "method": "GET"}
    answer = call("/api/now/batch", bearer(token), "POST", json={"rest_requests": [part]})

    [served] = answer.get_json()["serviced_requests"]
    [request_id] = [header["value"] for header in served["headers"] if header["name"] == "X-Request-Id"]
    with desk.app.app_context():
        event = get_event(request_id)
        assert (event.reason, event.request) == ("scope_missing", "GET /api/now/table/sys_user")


def test_an_ended_token_is_reported_with_its_integration(desk: TokenDesk, call: Call) -> None:
    for reason, columns in {
        "token_revoked": {"token_generation": 7},
        "client_inactive": {"active": False},
    }.items():
        integration = desk.register(reason)
        token = desk.token(integration)
        desk.set(integration, **columns)
        event = event_of(desk, call(headers=bearer(token)))
        assert (event.reason, event.entity, event.subject) == (reason, integration.sys_id, "release.bot")
        assert token not in repr(vars(event))


@pytest.mark.parametrize(
    ("reason", "columns"), [("user_inactive", {"active": False}), ("user_locked", {"locked_out": True})]
)
def test_a_token_of_a_user_who_may_not_act(desk: TokenDesk, call: Call, reason: str, columns: dict[str, bool]) -> None:
    token = desk.token(desk.register())
    set_user(desk, "release.bot", **columns)
    assert event_of(desk, call(headers=bearer(token))).reason == reason


def test_a_missing_scope_is_named(desk: TokenDesk, call: Call) -> None:
    token = desk.token(desk.register())
    for path, named in (
        (CHANGES, "change_request.read or change_request.read_own"),
        ("/api/now/table/sys_user", "useraccount"),
    ):
        answer = call(path, bearer(token))
        error = answer.get_json()["error"]
        assert answer.status_code == 403
        assert error["message"] == "Missing required api access scope"
        assert error["detail"] == f"This call needs the scope {named}"
        assert event_of(desk, answer).detail == error["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/oauth/token"),
        ("POST", "/oauth_token.do"),
        ("POST", "/oauth/introspect"),
        ("POST", "/oauth/revoke"),
        ("POST", "/oauth_revoke_token.do"),
        ("GET", "/oauth_revoke_token.do"),
        ("GET", "/oauth_revoke.do"),
    ],
)
def test_an_oauth_request_of_another_origin_is_an_event_with_its_remedy(
    desk: TokenDesk, call: Call, method: str, path: str
) -> None:
    headers = basic("ann", PASSWORD) | {"Origin": "https://evil.example"}
    answer = call(f"{path}?token=secret", headers, method)
    assert answer.status_code == 403
    assert "CHANGEGATE_CORS_ORIGINS" in answer.get_json()["error_description"]
    event = event_of(desk, answer)
    assert (event.reason, event.request) == ("access_refused", f"{method} {path}")
    assert event.detail in answer.get_json()["error_description"]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth_token.do", "/oauth/introspect", "/oauth/revoke"])
def test_a_refusal_of_an_oauth_view_is_one_event(desk: TokenDesk, call: Call, path: str) -> None:
    answer = call(path, basic("0" * 32, "wrong"), "POST", data={"grant_type": "client_credentials", "token": "x"})
    assert answer.status_code == 401
    with desk.app.app_context():
        statement = select(OAuthExchange.correlation_id)
        assert list(db.session.execute(statement).scalars()) == [answer.headers["X-Request-Id"]]


def test_a_forbidden_call_of_a_user_says_why(desk: TokenDesk, call: Call) -> None:
    header = add_user(desk, "ann")
    answer = call("/api/now/oauth/integrations", header)
    event = event_of(desk, answer)
    assert (event.reason, event.subject) == ("access_refused", "ann")
    assert event.detail == answer.get_json()["error"]["detail"]


def test_a_call_that_succeeds_writes_no_event(desk: TokenDesk, call: Call, admin: dict[str, str]) -> None:
    assert call(headers=admin).status_code == 200
    assert call("/api/now/table/nonsense", admin).status_code == 400
    assert desk.events() == []


def test_wrong_passwords_of_the_login_leave_events(desk: TokenDesk) -> None:
    add_user(desk, "ann")
    browser = desk.app.test_client()
    browser.environ_base["REMOTE_ADDR"] = ADDRESS
    for name in ("Ann", "not a user"):
        with desk.app.app_context():
            assert Visitor(browser).sign_in(name, "wrong").status_code == 403

    wrong, unknown = desk.events()
    assert (wrong.reason, wrong.subject, wrong.request, wrong.address) == (
        "password_wrong",
        "ann",
        "POST /login",
        ADDRESS,
    )
    assert (unknown.reason, unknown.subject) == ("user_unknown", None)


def test_a_limited_guess_leaves_an_event(desk: TokenDesk, call: Call) -> None:
    for _ in range(21):
        answer = call(headers=basic("ann", "wrong"))
    assert (answer.status_code, event_of(desk, answer).reason) == (429, "rate_limited")


def test_refusals_are_searched_by_address_name_path_and_reason(desk: TokenDesk, call: Call) -> None:
    add_user(desk, "ann")
    call(headers=basic("ann", "wrong"))
    call("/api/now/table/task")
    with desk.app.app_context():
        for text, number in ((ADDRESS, 2), ("ANN", 1), ("table/task", 1), ("nobody", 0)):
            assert len(search_events(EventFilter(text=text))) == number, text
        assert len(search_events(EventFilter(reason="password_wrong", outcome="refused"))) == 1


def test_administrators_find_a_refusal_in_the_api(desk: TokenDesk, call: Call, admin: dict[str, str]) -> None:
    request_id = call(headers=basic("admin", "wrong")).headers["X-Request-Id"]
    api = IntegrationApi(desk.client, admin)
    with desk.app.app_context():
        answer = api.client.get(EVENTS, query_string={"correlation_id": request_id}, headers=dict(api.headers))
    [event] = answer.get_json()["result"]
    assert (event["address"], event["subject"], event["request"]) == (ADDRESS, "admin", f"GET {CHANGES}")
    assert (event["reason"], event["further_refusals"]) == ("password_wrong", None)


def further(desk: TokenDesk) -> list[int | None]:
    """Return the counts of refusals without an event, the largest first: events of one millisecond have no order."""
    with desk.app.app_context():
        counts = [event.further_refusals for event in search_events(EventFilter(), 500)]
    return sorted(counts, key=lambda count: count or 0, reverse=True)


def test_a_flood_of_refused_calls_is_counted_beyond_its_bound(desk: TokenDesk, call: Call) -> None:
    for _ in range(MOST["address"] + 25):
        call()
    assert further(desk) == [25] + [None] * (MOST["address"] - 1)
    call()
    assert further(desk)[0] == 26


def test_another_address_still_writes_events(desk: TokenDesk, call: Call) -> None:
    for _ in range(MOST["address"] + 1):
        call()
    desk.client.environ_base["REMOTE_ADDR"] = "198.51.100.10"
    assert event_of(desk, call()).reason == "credentials_missing"


def test_an_outage_of_a_provider_is_counted_beyond_its_bound(desk: TokenDesk) -> None:
    """600 anonymous requests with a public client wrote 600 events."""
    public = desk.register("Public", public_client=True)
    desk.jwks.answer = raw(b"")
    statuses = {desk.exchange(public).status_code for _ in range(MOST["address"] + 30)}
    assert statuses == {503}
    assert further(desk) == [30] + [None] * (MOST["address"] - 1)


def test_refusals_of_one_integration_have_a_bound_over_all_addresses(desk: TokenDesk) -> None:
    public = desk.register("Public", public_client=True)
    desk.jwks.answer = raw(b"")
    for number in range(MOST["integration"] + 10):
        desk.client.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
        assert desk.exchange(public).status_code == 503
    assert further(desk) == [10] + [None] * (MOST["integration"] - 1)


def wrong_secret(desk: TokenDesk, integration: Integration) -> list[TestResponse]:
    """Send a wrong secret to every place that takes one."""
    form = {"client_id": integration.client_id, "client_secret": "wrong"}
    header = basic(integration.client_id, "wrong")
    return [
        desk.exchange(integration, client_secret="wrong"),
        desk.send({"grant_type": "client_credentials"}, headers=header),
        *(desk.send(form | {"token": "x"}, path) for path in ("/oauth/introspect", "/oauth/revoke")),
        *(desk.send({"token": "x"}, path, headers=header) for path in ("/oauth/introspect", "/oauth/revoke")),
    ]


def test_a_wrong_secret_is_an_event_of_its_integration_wherever_it_is_sent(desk: TokenDesk) -> None:
    integration = desk.register()
    for answer in wrong_secret(desk, integration):
        assert answer.status_code == 401
        event = event_of(desk, answer)
        assert (event.reason, event.entity) == ("client_secret_bad", integration.sys_id)


def test_a_refusal_is_answered_even_if_its_event_cannot_be_written(desk: TokenDesk, call: Call) -> None:
    away = OperationalError("INSERT", {}, Exception("away"))
    with mock.patch.object(refused_calls, "record_refused_call", side_effect=away):
        assert call().status_code == 401
    assert desk.events() == []


def test_administrators_see_refused_calls_in_the_console(desk: TokenDesk, call: Call) -> None:
    for _ in range(MOST["address"] + 3):
        request_id = call().headers["X-Request-Id"]
    browser = Visitor(desk.app.test_client())
    with desk.app.app_context():
        browser.sign_in("admin", ADMIN_PASSWORD)
    with desk.app.app_context():
        fields = "sys_created_on,request,reason,further_refusals"
        text = browser.open(f"/inbound-integrations/events?search={ADDRESS}&fields={fields}").text
    assert ">3</td>" in text and f"GET {CHANGES}" in text and "credentials_missing" in text
    with desk.app.app_context():
        assert browser.open(f"/inbound-integrations/events/{request_id}").status_code == 404
    last = next(event.correlation_id for event in desk.events() if event.further_refusals)
    with desk.app.app_context():
        record = browser.open(f"/inbound-integrations/events/{last}").text
    assert "3 further refusals from the same address or integration" in record
