"""Revocation: by RFC 7009, and as ServiceNow's clients do it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from changegate.errors import OperationFailed
from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.services.oauth.access_tokens import find_token_caller
from changegate.services.oauth.events import record_accepted
from changegate.services.oauth.revocation import revoke_token
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record
from tests.conftest import Clock
from tests.support.people import ROOT
from tests.support.statements import counted_statements
from tests.support.token_desk import Integration, TokenDesk, basic_header

REVOKE = "/oauth/revoke"
PATHS = ("/oauth_revoke_token.do", "/oauth_revoke.do")
FORMATS = ("opaque", "jwt")
LIMIT = 20


def revoke(desk: TokenDesk, form: Mapping[str, Any], **options: Any) -> TestResponse:
    return desk.send(urlencode(form, doseq=True), REVOKE, **options)


def is_good(desk: TokenDesk, token: str) -> bool:
    return desk.call(token).status_code == 201


def require_done(answer: TestResponse) -> None:
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert not {"Set-Cookie", "Content-Type", "WWW-Authenticate"} & set(answer.headers.keys())


@pytest.fixture(params=FORMATS)
def of_format(desk: TokenDesk, request: pytest.FixtureRequest) -> Integration:
    """An integration whose tokens have one format, then one whose tokens have the other."""
    return desk.register(token_format=request.param)


def test_the_bearer_of_a_token_may_revoke_it(desk: TokenDesk, of_format: Integration) -> None:
    token, other = desk.token(of_format), desk.token(of_format)
    assert is_good(desk, token)

    require_done(revoke(desk, {"token": token}))

    assert not is_good(desk, token)
    assert is_good(desk, other), "one token ends, not all of its integration"


def test_a_second_revocation_keeps_the_first_time(desk: TokenDesk, of_format: Integration, clock: Clock) -> None:
    token = desk.token(of_format)
    require_done(revoke(desk, {"token": token}))
    first = desk.last_event().revoked_at
    clock.advance(minutes=5)

    require_done(revoke(desk, {"token": token}))

    assert first is not None and desk.last_event().revoked_at == first


def test_revoking_an_expired_token_is_not_an_error(desk: TokenDesk, of_format: Integration, clock: Clock) -> None:
    token = desk.token(of_format)
    clock.advance(hours=1)

    require_done(revoke(desk, {"token": token}))


def test_a_hint_changes_nothing(desk: TokenDesk, integration: Integration) -> None:
    for hint in ["access_token", "refresh_token", "nonsense", ""]:
        token = desk.token(integration)
        require_done(revoke(desk, {"token": token, "token_type_hint": hint}))
        assert not is_good(desk, token)


@pytest.mark.parametrize("how", ["body", "basic"])
def test_a_client_may_authenticate_and_revoke_its_token(desk: TokenDesk, of_format: Integration, how: str) -> None:
    token = desk.token(of_format)
    if how == "body":
        answer = revoke(desk, {"token": token, **of_format.credentials})
    else:
        answer = revoke(desk, {"token": token}, headers=basic_header(of_format.client_id, of_format.secret or ""))

    require_done(answer)
    assert not is_good(desk, token)


@pytest.mark.parametrize("how", ["wrong", "missing", "basic", "unknown", "assertion"])
def test_a_client_with_wrong_or_missing_credentials_revokes_nothing(
    desk: TokenDesk, integration: Integration, how: str
) -> None:
    token = desk.token(integration)
    credentials: dict[str, Any] = {
        "wrong": {**integration.credentials, "client_secret": "wrong"},
        "missing": {"client_id": integration.client_id},
        "basic": {},
        "unknown": {"client_id": "0" * 32, "client_secret": integration.secret},
        "assertion": {"client_id": integration.client_id, "client_assertion": "x"},
    }[how]
    options = {"headers": basic_header(integration.client_id, "wrong")} if how == "basic" else {}

    answer = revoke(desk, {"token": token, **credentials}, **options)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].lower().startswith("basic realm=")
    assert is_good(desk, token)


def test_a_client_cannot_revoke_a_foreign_token_or_learn_its_owner(desk: TokenDesk, of_format: Integration) -> None:
    token, other = desk.token(of_format), desk.register("Other")
    public = desk.register("Public", public_client=True)

    foreign = revoke(desk, {"token": token, **other.credentials})
    unknown = revoke(desk, {"token": "cgat_" + "A" * 64, **other.credentials})

    require_done(foreign)
    require_done(unknown)
    require_done(revoke(desk, {"token": token, **public.credentials}))
    assert is_good(desk, token)


def test_a_public_client_ends_its_own_tokens_by_its_name(desk: TokenDesk) -> None:
    public = desk.register(public_client=True)
    token = desk.token(public)

    require_done(revoke(desk, {"token": token, "client_id": public.client_id}))

    assert not is_good(desk, token)


def test_revoking_an_unknown_token_is_not_an_error(desk: TokenDesk) -> None:
    for token in ["x", "cgat_", "cgat_" + "A" * 64, "cgat_" + "é" * 64, "a.b.c", "..", "\x00", "x" * 60_000]:
        require_done(revoke(desk, {"token": token}))
    assert desk.last_event() is None


def test_a_token_must_be_sent_whole(desk: TokenDesk, of_format: Integration) -> None:
    """The correlation ID alone, which logs and administrators see, ends nothing."""
    token = desk.token(of_format)
    forged = token[:-2] + ("AA" if not token.endswith("AA") else "BB")

    require_done(revoke(desk, {"token": forged}))
    require_done(revoke(desk, {"token": desk.last_event().correlation_id}))

    assert is_good(desk, token)


def test_revoking_an_unknown_token_does_not_wait_for_the_write_queue(app: Flask) -> None:
    with app.app_context(), counted_statements() as statements:
        assert not revoke_token("cgat_" + "A" * 64)
    assert len(statements) == 1 and statements[0].startswith("SELECT")


def test_a_request_without_one_token_is_malformed(desk: TokenDesk) -> None:
    for form in [{}, {"token": ""}, {"token": ["a", "b"]}]:
        answer = revoke(desk, form)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_token_in_the_query_string_is_not_read_at_the_rfcs_path(desk: TokenDesk, integration: Integration) -> None:
    token = desk.token(integration)

    assert desk.send("", f"{REVOKE}?token={token}").status_code == 400
    assert desk.client.get(f"{REVOKE}?token={token}").status_code == 405
    assert is_good(desk, token)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", None])
def test_a_body_that_is_not_a_form_is_refused(desk: TokenDesk, content_type: str | None) -> None:
    answer = desk.send(b'{"token": "x"}', REVOKE, content_type=content_type)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", PATHS)
def test_servicenows_paths_end_a_token(desk: TokenDesk, of_format: Integration, path: str) -> None:
    ways: dict[str, Callable[[str], TestResponse]] = {
        "get": lambda token: desk.client.get(path, query_string={"token": token}),
        "form": lambda token: desk.send(urlencode({"token": token}), path),
        "post with a query": lambda token: desk.client.post(path, query_string={"token": token}),
    }
    for how, send in ways.items():
        token = desk.token(of_format)
        require_done(send(token))
        assert not is_good(desk, token), how


@pytest.mark.parametrize("path", PATHS)
def test_servicenows_paths_need_no_client_authentication(desk: TokenDesk, integration: Integration, path: str) -> None:
    token = desk.token(integration)
    headers = basic_header("nobody", "wrong")

    require_done(desk.client.get(path, query_string={"token": token, "client_id": "x"}, headers=headers))

    assert not is_good(desk, token)


@pytest.mark.parametrize("path", PATHS)
def test_servicenows_paths_refuse_as_servicenow_does(desk: TokenDesk, path: str) -> None:
    for query, told in {
        "": "token is missing",
        "token=": "token is missing",
        "token=a&token=b": "two different tokens",
    }.items():
        answer = desk.client.get(f"{path}?{query}")
        body = answer.get_json()
        assert (answer.status_code, body["error"]) == (401, "server_error")
        assert body["error_description"] == f"The request is malformed: {told}"


def test_two_different_tokens_are_one_too_many(desk: TokenDesk, integration: Integration) -> None:
    one, other = desk.token(integration), desk.token(integration)

    assert desk.send(urlencode({"token": one}), f"{PATHS[0]}?token={other}").status_code == 401
    require_done(desk.send(urlencode({"token": one}), f"{PATHS[0]}?token={one}"))

    assert (is_good(desk, one), is_good(desk, other)) == (False, True)


def test_wrong_credentials_are_limited_as_at_the_token_endpoint(desk: TokenDesk, integration: Integration) -> None:
    token, wrong = desk.token(integration), {"client_id": integration.client_id, "client_secret": "wrong"}
    statuses = [revoke(desk, {"token": token, **wrong}).status_code for _ in range(LIMIT)]

    limited = revoke(desk, {"token": token, **integration.credentials})

    assert statuses == [401] * LIMIT
    assert limited.status_code == 429 and 1 <= int(limited.headers["Retry-After"]) <= 60
    assert desk.exchange(integration).status_code == 429, "it is one limit"


def test_ending_tokens_has_no_limit(desk: TokenDesk) -> None:
    assert {revoke(desk, {"token": f"cgat_{n}"}).status_code for n in range(LIMIT * 2)} == {200}


def test_a_refusal_is_in_the_event_log_with_its_reason(desk: TokenDesk, integration: Integration) -> None:
    answer = revoke(desk, {"token": "x", "client_id": integration.client_id, "client_secret": "wrong"})

    event = desk.last_event()
    assert (event.reason, event.client_id) == ("client_secret_bad", integration.client_id)
    assert event.correlation_id == answer.headers["X-Request-Id"] == answer.get_json()["correlation_id"]


@pytest.mark.parametrize("path", [REVOKE, *PATHS])
def test_a_database_failure_is_reported_and_not_as_a_revocation(
    desk: TokenDesk, integration: Integration, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """RFC 7009 §2.2.1: after a 503 the client knows that its token still counts."""
    token = desk.token(integration)

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr("changegate.api.revocation.revoke_token", fail)
    answer = desk.send(urlencode({"token": token}), path)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["error"] == "temporarily_unavailable"
    assert is_good(desk, token)


def test_no_token_is_logged(
    desk: TokenDesk, of_format: Integration, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    token = desk.token(of_format)
    desk.client.get(PATHS[0], query_string=[("token", token), ("token", "another")])
    desk.client.get(PATHS[0], query_string={"token": token})
    revoke(desk, {"token": token, "client_id": of_format.client_id, "client_secret": "wrong"})

    written = [str(getattr(event, column.key)) for event in desk.events() for column in OAuthExchange.__table__.c]
    for text in (caplog.text, *capfd.readouterr(), *written):
        assert token not in text and token[-43:] not in text


def test_a_token_of_an_integration_that_is_asleep_can_be_ended_all_the_same(
    desk: TokenDesk, of_format: Integration
) -> None:
    token = desk.token(of_format)
    desk.set(of_format, active=False)
    require_done(revoke(desk, {"token": token}))
    desk.set(of_format, active=True)

    assert not is_good(desk, token)


def test_tokens_end_on_both_databases(either_desk: TokenDesk) -> None:
    tokens = [either_desk.token(either_desk.register(name, token_format=name)) for name in FORMATS]
    for token in tokens:
        assert is_good(either_desk, token)
        require_done(revoke(either_desk, {"token": token}))
        assert not is_good(either_desk, token)
    with either_desk.app.app_context():
        assert db.session.query(OAuthExchange).filter(OAuthExchange.revoked_at.is_not(None)).count() == len(tokens)


def test_a_token_that_is_stored_after_the_deletion_of_its_user_works_for_nobody(either_desk: TokenDesk) -> None:
    """No new user gets the sys_id, so that nothing has to be revoked."""
    user, users = either_desk.add_user("jane"), get_table("sys_user")
    integration = either_desk.register(run_as=..., user_field="user_name")

    def delete_first(*event: Any) -> None:
        delete_record(users, ROOT, user)
        db.session.commit()
        record_accepted(*event)

    with mock.patch("changegate.api.oauth.record_accepted", delete_first):
        token = either_desk.token(integration, assertion=either_desk.assertion(sub="jane"))
    with either_desk.app.app_context():
        assert find_token_caller(token) is None
        with pytest.raises(OperationFailed):
            create_record(users, ROOT, {"sys_id": user, "user_name": "jane"})
