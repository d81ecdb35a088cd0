"""Every refusal: its status and code on both paths, its reason in the event log, and what it must not tell."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.oauth.events import report_of
from tests.support.forge import forge, header, rsa_key
from tests.support.token_desk import (
    FORM,
    JWT_BEARER,
    RFC_PATH,
    SERVICENOW_PATH,
    Integration,
    TokenDesk,
    basic_header,
)

Form = Callable[[TokenDesk], dict[str, Any]]
IN_AN_HOUR = 3600
# What ServiceNow's path says of malformed requests, by the code of the RFC path.
MALFORMED = {
    "invalid_request": "The request is malformed",
    "unsupported_grant_type": "The grant type is not supported",
}


def _claims(**claims: Any) -> Form:
    return lambda desk: {"assertion": desk.assertion(**claims)}


def _head(**members: Any) -> Form:
    return lambda desk: {"assertion": desk.assertion(header(**members))}


def _shifted(**seconds: int) -> Form:
    def form(desk: TokenDesk) -> dict[str, Any]:
        now = int(desk.app.config["CLOCK"]().timestamp())
        return {"assertion": desk.assertion(**{name: now + shift for name, shift in seconds.items()})}

    return form


def _tampered(desk: TokenDesk) -> dict[str, Any]:
    head, payload, _ = desk.assertion().split(".")
    return {"assertion": ".".join((head, payload, desk.assertion().split(".")[2]))}


REFUSALS: list[tuple[str, int, str, Form]] = [
    ("body_malformed", 400, "invalid_request", lambda _: {"grant_type": ...}),
    ("param_duplicate", 400, "invalid_request", lambda _: {"grant_type": [JWT_BEARER, JWT_BEARER]}),
    ("grant_not_allowed", 400, "unsupported_grant_type", lambda _: {"grant_type": "authorization_code"}),
    ("grant_not_allowed", 400, "unauthorized_client", lambda _: {"grant_type": "client_credentials"}),
    ("assertion_missing", 400, "invalid_request", lambda _: {"assertion": ...}),
    ("client_unknown", 401, "invalid_client", lambda _: {"client_id": "nobody"}),
    ("client_secret_bad", 401, "invalid_client", lambda _: {"client_secret": "wrong"}),
    ("scope_invalid", 400, "invalid_scope", lambda _: {"scope": "everything"}),
    ("assertion_too_large", 400, "invalid_grant", lambda _: {"assertion": f"{'a' * 17000}.b.c"}),
    ("assertion_not_compact_jws", 400, "invalid_grant", lambda _: {"assertion": "a.b.c.d.e"}),
    ("header_invalid", 400, "invalid_grant", lambda _: {"assertion": "W10.e30.e30"}),
    ("alg_not_allowed", 400, "invalid_grant", _head(alg="none")),
    ("typ_not_allowed", 400, "invalid_grant", _head(typ="at+jwt")),
    ("crit_present", 400, "invalid_grant", _head(crit=["exp"])),
    ("kid_unknown", 400, "invalid_grant", _head(kid="another")),
    ("signature_invalid", 400, "invalid_grant", _tampered),
    ("iss_mismatch", 400, "invalid_grant", _claims(iss="https://evil.example.com")),
    ("aud_mismatch", 400, "invalid_grant", _claims(aud="https://other.example.com")),
    ("aud_multiple", 400, "invalid_grant", _claims(aud=["https://change.example.com", "https://b.example"])),
    ("exp_missing", 400, "invalid_grant", _claims(exp=...)),
    ("expired", 400, "invalid_grant", _shifted(iat=-300, exp=-61)),
    ("not_yet_valid", 400, "invalid_grant", _shifted(nbf=100)),
    ("iat_invalid", 400, "invalid_grant", _shifted(iat=100, exp=200)),
    ("lifetime_too_long", 400, "invalid_grant", _shifted(exp=IN_AN_HOUR + 60)),
    ("jti_missing", 400, "invalid_grant", _claims(jti=...)),
]


@pytest.mark.parametrize(("reason", "status", "code", "changes"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_refusal_follows_rfc_6749_and_leaves_one_event(
    desk: TokenDesk, integration: Integration, reason: str, status: int, code: str, changes: Form
) -> None:
    answer = desk.exchange(integration, **changes(desk))

    [event] = desk.events()
    assert (event.reason, event.is_accepted) == (reason, False)
    assert (answer.status_code, answer.get_json()["error"]) == (status, code)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert_says_no_more_than_it_may(answer, event.correlation_id)


@pytest.mark.parametrize(("reason", "status", "code", "changes"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_refusal_in_servicenows_style_differs_only_for_malformed_requests(
    desk: TokenDesk, integration: Integration, reason: str, status: int, code: str, changes: Form
) -> None:
    answer = desk.exchange(integration, SERVICENOW_PATH, **changes(desk))

    body = answer.get_json()
    assert answer.status_code == 401
    told = body["error_description"].partition(":")[0]
    assert (body["error"], told) == ("server_error", MALFORMED.get(code, "access_denied"))
    assert "WWW-Authenticate" in answer.headers
    assert desk.last_event().reason == reason
    assert_says_no_more_than_it_may(answer, desk.last_event().correlation_id)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "The request is malformed: grant_type is missing"),
        (f"grant_type={JWT_BEARER}", "The request is malformed: assertion is missing"),
        ("grant_type=jwt", f"The grant type is not supported: send one of {JWT_BEARER}, client_credentials"),
        ("grant_type=x&grant_type=x", "The request is malformed: grant_type is given more than once"),
        ("filler=" + "x" * 65536, "The request is malformed: the body is over 65536 bytes"),
        (b"grant_type=\xff", "The request is malformed: the body is not UTF-8"),
        (json.dumps({"grant_type": JWT_BEARER}), "The request is malformed: the body must be " + FORM),
    ],
)
def test_a_malformed_request_gets_an_error_that_names_the_problem(
    desk: TokenDesk, integration: Integration, body: str | bytes, told: str
) -> None:
    is_json = body[:1] == "{"
    options = {"headers": basic_header(integration.client_id, str(integration.secret))}
    if is_json:
        options["content_type"] = "application/json"
    answer, of_servicenow = (desk.send(body, path, **options) for path in (RFC_PATH, SERVICENOW_PATH))

    expected = "unsupported_grant_type" if "grant type" in told else "invalid_request"
    assert (answer.status_code, answer.get_json()["error"]) == (400, expected)
    assert answer.get_json()["error_description"].startswith(f"{told} (correlation ID ")
    assert (of_servicenow.status_code, of_servicenow.get_json()["error"]) == (401, "server_error")
    assert of_servicenow.get_json()["error_description"] == told
    event = desk.last_event()
    assert event is not None
    assert_says_no_more_than_it_may(of_servicenow, event.correlation_id)


def assert_says_no_more_than_it_may(answer: TestResponse, correlation_id: str) -> None:
    body = answer.get_json()
    assert set(body) == {"error", "error_description", "correlation_id"}
    assert body["correlation_id"] == answer.headers["X-Request-Id"] == correlation_id
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    description = body["error_description"]
    assert description.isascii() and description.isprintable() and not {'"', "\\"} & set(description)


@pytest.mark.parametrize(
    ("reason", "field", "users"),
    [
        ("sub_unmapped", "email", []),
        ("sub_ambiguous", "email", [{"email": "build-42"}, {"email": "build-42"}]),
        ("user_inactive", "email", [{"email": "build-42", "active": False}]),
        ("user_locked", "email", [{"email": "build-42", "locked_out": True}]),
        ("sub_unmapped", "email", [{"email": "Build-42"}]),
        ("sub_unmapped", "email", [{"email": " build-42"}]),
    ],
)
def test_the_subject_must_be_one_user_who_may_act(
    desk: TokenDesk, reason: str, field: str, users: list[dict[str, Any]]
) -> None:
    integration = desk.register(run_as=..., user_field=field)
    for number, columns in enumerate(users):
        desk.add_user(f"user{number}", "itil", **columns)

    answer = desk.exchange(integration)

    assert answer.get_json()["error"] == "invalid_grant"
    assert desk.last_event().reason == reason
    assert desk.last_event().subject == "build-42"


def test_a_run_as_user_who_may_not_act_stops_the_exchange(desk: TokenDesk) -> None:
    robot = desk.add_user("other.bot", "itil")
    integration = desk.register(run_as="other.bot")
    desk.token(integration)
    _lock(desk, robot)

    assert desk.exchange(integration).get_json()["error"] == "invalid_grant"
    assert desk.last_event().reason == "user_inactive"


def _lock(desk: TokenDesk, sys_id: str) -> None:
    with desk.app.app_context():
        db.session.get(SysUser, sys_id).locked_out = True
        db.session.commit()


def test_the_event_shows_what_was_expected_and_received(desk: TokenDesk, integration: Integration) -> None:
    desk.exchange(integration, assertion=desk.assertion(aud="https://other.example.com"))

    event = desk.last_event()
    [failed] = [rule for rule in report_of(event) if not rule.passed]
    assert failed.expected == "https://change.example.com"
    assert failed.received == "https://other.example.com"
    assert (event.client_id, event.entity) == (integration.client_id, integration.sys_id)
    assert (event.address, event.kid, event.algorithm) == ("127.0.0.1", "k1", "RS256")
    assert event.issuer == "https://ci.example.com"
    assert event.subject == "build-42"
    assert len(event.jti_digest) == 64


def test_a_refused_assertion_has_the_digest_that_it_would_have_when_accepted(
    desk: TokenDesk, integration: Integration
) -> None:
    for aud in ("https://other.example.com", "https://change.example.com"):
        desk.exchange(integration, assertion=desk.assertion(aud=aud, jti="seen"))
    desk.exchange(integration, assertion=desk.assertion(jti=["no", "text"], sub=7))
    desk.exchange(integration, assertion=desk.assertion(jti="half \ud83d"))

    refused, accepted, odd, half = desk.events()
    assert (refused.is_accepted, accepted.is_accepted) == (False, True)
    assert refused.jti_digest == accepted.jti_digest
    assert (odd.is_accepted, odd.subject, len(odd.jti_digest)) == (False, None, 64)
    assert len(half.jti_digest) == 64


def test_an_accepted_exchange_leaves_an_event_with_its_subject(desk: TokenDesk, integration: Integration) -> None:
    desk.token(integration)

    event = desk.last_event()
    assert (event.is_accepted, event.reason, event.subject) == (True, None, "build-42")
    assert len(event.jti_digest) == 64


def test_an_event_holds_nothing_that_cannot_be_shown(desk: TokenDesk, integration: Integration) -> None:
    desk.exchange(integration, client_id="evil\0\u202e\x1b[31m")
    desk.exchange(integration, assertion=desk.assertion(header(kid="evil\u202e")))

    events = desk.events()
    assert len(events) == 2
    for event in events:
        assert event.client_id.isprintable()
        assert json.dumps(event.rules, ensure_ascii=False).isprintable()


def test_no_secret_token_or_assertion_is_kept_logged_or_echoed(
    desk: TokenDesk, integration: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = desk.assertion()
    answers, hidden = [], [integration.secret, "wr0ngSecret", *good.split("."), desk.token(integration, assertion=good)]
    for number, (_, _, _, changes) in enumerate(REFUSALS):
        desk.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"  # the limit of failures is by address
        form = changes(desk)
        hidden += [part for part in str(form.get("assertion", "")).split(".") if len(part) > 40]
        answers.append(desk.exchange(integration, **form))
    answers.append(desk.exchange(integration, client_secret="wr0ngSecret"))
    answers.append(desk.exchange(integration, assertion=good))
    assert len(desk.events()) == len(REFUSALS) + 3

    told = "".join(
        [
            *(f"{answer.headers}{answer.get_data(as_text=True)}" for answer in answers),
            *(str(vars(event)) for event in desk.events()),
            *(f"{record.getMessage()}{record.args}{record.exc_text}" for record in caplog.records),
        ]
    )
    assert not [secret for secret in hidden if secret in told]


def test_an_unavailable_database_is_a_server_error(desk: TokenDesk, integration: Integration) -> None:
    with desk.app.app_context():
        engine = db.engine

    def fail(*_arguments: Any) -> None:
        raise OperationalError("INSERT", {"token_hash": "secret"}, Exception("disk I/O error"))

    sqlalchemy_event.listen(engine, "commit", fail)
    answer = desk.exchange(integration)
    sqlalchemy_event.remove(engine, "commit", fail)

    assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert desk.exchange(integration).status_code == 200


def test_an_assertion_signed_by_an_unknown_key_is_refused_whatever_its_claims(
    desk: TokenDesk, integration: Integration
) -> None:
    stolen = desk.assertion().split(".")
    forged = forge(header(), "{}", key=rsa_key("foreign")).split(".")

    assert desk.exchange(integration, assertion=".".join([*stolen[:2], forged[2]])).status_code == 400


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
def test_an_unexpected_fault_is_answered_in_the_shape_of_the_audience(
    desk: TokenDesk, integration: Integration, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.app.testing = False
    monkeypatch.setattr("changegate.api.oauth.exchange_assertion", lambda *_: 1 / 0)

    answer = desk.exchange(integration, path)

    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    assert "ZeroDivision" not in answer.get_data(as_text=True)
