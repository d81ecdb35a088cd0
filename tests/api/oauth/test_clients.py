"""Client authentication as real clients do it (docs/reference/token-endpoint.md#client-authentication)."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from sqlalchemy import delete
from werkzeug.test import TestResponse

from changegate.database import commit
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.integrations.integrations import get_integration, rotate_secret
from changegate.services.oauth.secrets import hash_client_secret
from tests.conftest import Clock
from tests.support.token_desk import (
    RFC_PATH,
    SERVICENOW_PATH,
    Integration,
    TokenDesk,
    basic_header,
)

AWKWARD = "a+b%2B&c= d:é"


def _with_basic(desk: TokenDesk, headers: dict[str, str], path: str = RFC_PATH, **form: Any) -> TestResponse:
    body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": desk.assertion()} | form
    return desk.send(urlencode(body), path, headers=headers)


def _basic(integration: Integration) -> dict[str, str]:
    return basic_header(integration.client_id, integration.secret or "")


@pytest.fixture
def public(desk: TokenDesk) -> Integration:
    return desk.register("Public", public_client=True, issuer="https://public.example.com")


def test_accepts_basic_without_credentials_in_the_body(desk: TokenDesk, integration: Integration) -> None:
    assert _with_basic(desk, _basic(integration)).status_code == 200


def test_accepts_the_same_credentials_twice(desk: TokenDesk, integration: Integration) -> None:
    assert _with_basic(desk, _basic(integration), **integration.credentials).status_code == 200
    assert _with_basic(desk, _basic(integration), client_id=integration.client_id).status_code == 200


@pytest.mark.parametrize(
    "in_body", [{"client_id": "other"}, {"client_secret": "other"}, {"client_id": "other", "client_secret": "other"}]
)
def test_refuses_two_different_clients_at_once(
    desk: TokenDesk, integration: Integration, in_body: dict[str, str]
) -> None:
    answer = _with_basic(desk, _basic(integration), **in_body)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic !!!", "Basic Og==", "Basic /w==", "Bearer abc", "Digest a=b", "Negotiate x"],
)
def test_refuses_an_authorization_header_that_is_not_readable_as_basic(
    desk: TokenDesk, integration: Integration, header: str
) -> None:
    answer = _with_basic(desk, {"Authorization": header}, **integration.credentials)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("BASIC realm=")


@pytest.mark.parametrize("sent", [AWKWARD, quote_plus(AWKWARD)], ids=["raw", "form-encoded"])
def test_accepts_a_basic_secret_raw_and_form_encoded(desk: TokenDesk, integration: Integration, sent: str) -> None:
    desk.set(integration, client_secret_hash=hash_client_secret(AWKWARD))

    assert _with_basic(desk, basic_header(integration.client_id, sent)).status_code == 200


def test_a_public_client_needs_no_secret(desk: TokenDesk, public: Integration) -> None:
    answer = desk.exchange(public, assertion=desk.assertion(iss="https://public.example.com"))

    assert answer.status_code == 200


def test_a_public_client_may_send_basic_with_an_empty_secret(desk: TokenDesk, public: Integration) -> None:
    assertion = desk.assertion(iss="https://public.example.com")

    assert _with_basic(desk, basic_header(public.client_id, ""), assertion=assertion).status_code == 200


def test_a_public_client_is_found_by_the_issuer_of_its_assertion(desk: TokenDesk, public: Integration) -> None:
    answer = desk.exchange(public, client_id=..., assertion=desk.assertion(iss="https://public.example.com"))

    assert answer.status_code == 200
    assert desk.last_event().client_id == public.client_id


@pytest.mark.parametrize("claim", ["aud", "iss"])
def test_a_public_client_is_found_by_its_client_id_in_the_assertion(desk: TokenDesk, claim: str) -> None:
    public = desk.register("Public", public_client=True, issuer="https://placeholder.example.com")
    desk.set(public, issuer=public.client_id, audiences=[public.client_id])
    claims = {"iss": public.client_id, "aud": public.client_id}

    assert desk.exchange(public, client_id=..., assertion=desk.assertion(**claims)).status_code == 200
    refused = desk.exchange(public, client_id=..., assertion=desk.assertion(**{claim: public.client_id}))
    assert refused.get_json()["error"] == "invalid_grant"


def test_a_client_without_id_is_unknown_when_two_public_ones_have_its_issuer(
    desk: TokenDesk, public: Integration
) -> None:
    desk.register("Another", public_client=True, issuer="https://public.example.com")

    answer = desk.exchange(public, client_id=..., assertion=desk.assertion(iss="https://public.example.com"))

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_a_client_with_a_secret_is_never_found_by_its_assertion(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, client_id=..., client_secret=...)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert desk.exchange(integration, client_id=...).status_code == 401


def test_a_public_client_with_a_secret_is_refused(desk: TokenDesk, public: Integration) -> None:
    assert desk.exchange(public, client_secret="anything").status_code == 401


@pytest.mark.parametrize("assertion", ["", "a.b.c", "....", "{}", "\0"])
def test_no_assertion_of_a_client_without_id_is_a_fault(
    desk: TokenDesk, integration: Integration, assertion: str
) -> None:
    answer = desk.exchange(integration, client_id=..., client_secret=..., assertion=assertion)

    assert answer.status_code in {400, 401}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_accepts_the_assertion_in_the_header_that_pysnc_sends(
    desk: TokenDesk, integration: Integration, scheme: str
) -> None:
    body = urlencode(desk.form(integration, assertion=...))
    header = {"Authentication": f"{scheme} {desk.assertion()}"}

    assert desk.send(body, SERVICENOW_PATH, headers=header).status_code == 200


def test_the_header_of_pysnc_needs_a_client_with_a_secret(
    desk: TokenDesk, integration: Integration, public: Integration
) -> None:
    header = {"Authentication": f"Bearer {desk.assertion(iss='https://public.example.com')}"}
    for form in (desk.form(public, assertion=...), desk.form(public, assertion=..., client_id=...)):
        assert desk.send(urlencode(form), headers=header).status_code in {400, 401}
    wrong = desk.form(integration, assertion=..., client_secret="wrong")
    assert desk.send(urlencode(wrong), headers={"Authentication": f"Bearer {desk.assertion()}"}).status_code == 401


def test_the_body_goes_before_the_header_of_pysnc(desk: TokenDesk, integration: Integration) -> None:
    header = {"Authentication": "Bearer nonsense"}

    assert desk.send(urlencode(desk.form(integration)), headers=header).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer  ", "Basic abc", "", "nonsense"])
def test_other_values_of_that_header_are_not_assertions(desk: TokenDesk, integration: Integration, header: str) -> None:
    body = urlencode(desk.form(integration, assertion=...))

    assert desk.send(body, headers={"Authentication": header}).get_json()["error"] == "invalid_request"
    assert desk.last_event().reason == "assertion_missing"


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
def test_unknown_inactive_and_unproven_clients_get_one_answer(desk: TokenDesk, path: str) -> None:
    integration = desk.register()
    asleep = desk.register("Asleep", active=False)
    answers = [
        desk.exchange(integration, path, client_id="0" * 32),
        desk.exchange(integration, path, client_secret="wrong"),
        desk.exchange(integration, path, client_secret=...),
        desk.exchange(asleep, path),
    ]

    assert [event.reason for event in desk.events()] == [
        "client_unknown",
        "client_secret_bad",
        "client_secret_bad",
        "client_inactive",
    ]
    assert len({_without_correlation(answer) for answer in answers}) == 1


def _without_correlation(answer: TestResponse) -> str:
    correlation_id = answer.headers["X-Request-Id"]
    return f"{answer.status} {answer.headers} {answer.get_data(as_text=True)}".replace(correlation_id, "id")


def test_a_refusal_is_among_the_events_of_the_integration_that_was_named(desk: TokenDesk) -> None:
    integration, asleep = desk.register(), desk.register("Asleep", active=False)
    desk.exchange(integration, client_secret="wrong")
    desk.exchange(integration, client_secret=..., client_id="0" * 32)
    desk.exchange(asleep)
    desk.exchange(integration, grant_type="another", client_secret=...)
    desk.exchange(integration, client_id="x\0", client_secret="wrong")

    named = [event.entity for event in desk.events()]
    assert named == [integration.sys_id, None, asleep.sys_id, integration.sys_id, None]


def test_a_token_does_not_work_if_its_integration_is_deleted_before_the_commit(
    either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = either_desk.register()

    def deleted_meanwhile() -> None:
        with either_desk.app.app_context():
            db.session.execute(delete(OAuthEntity).where(OAuthEntity.sys_id == integration.sys_id))
            db.session.commit()
        commit()

    monkeypatch.setattr("changegate.services.oauth.jwt_bearer_grant.commit", deleted_meanwhile)
    assert either_desk.call(either_desk.token(integration)).status_code == 401


def test_a_wrong_secret_does_not_reveal_that_an_integration_is_inactive(desk: TokenDesk) -> None:
    asleep = desk.register("Asleep", active=False)
    desk.exchange(asleep, client_secret="wrong")

    assert desk.last_event().reason == "client_secret_bad"


@pytest.mark.parametrize("name", ["client_assertion", "client_assertion_type"])
def test_client_assertions_are_refused_and_not_ignored(desk: TokenDesk, integration: Integration, name: str) -> None:
    answer = desk.exchange(integration, **{name: "anything"})

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_a_rotated_secret_works_and_the_old_one_works_within_the_overlap(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        fresh = rotate_secret(entity, by="admin", overlap=timedelta(hours=1))
        db.session.commit()
    assert desk.exchange(integration, client_secret=fresh).status_code == 200
    assert desk.exchange(integration).status_code == 200
    clock.advance(hours=1, seconds=1)
    assert desk.exchange(integration).status_code == 401
    assert desk.exchange(integration, client_secret=fresh).status_code == 200


def test_a_secret_rotated_without_overlap_stops_at_once(desk: TokenDesk, integration: Integration) -> None:
    with desk.app.app_context():
        rotate_secret(get_integration(integration.client_id), by="admin")
        db.session.commit()

    assert desk.exchange(integration).status_code == 401


def test_an_integration_without_a_secret_admits_no_client(desk: TokenDesk, integration: Integration) -> None:
    desk.set(integration, client_secret_hash=None)

    assert desk.exchange(integration).status_code == 401
    assert desk.exchange(integration, client_secret="").status_code == 401
    assert desk.exchange(integration, client_secret=...).status_code == 401


def test_the_secret_is_nowhere_in_the_database(desk: TokenDesk, integration: Integration) -> None:
    with desk.app.app_context():
        row = db.session.get(OAuthEntity, integration.sys_id)
        assert integration.secret not in str({name: getattr(row, name) for name in row.__table__.columns.keys()})
        assert row.client_secret_hint == integration.secret[-4:]
