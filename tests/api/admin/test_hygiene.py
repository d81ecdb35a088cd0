"""Findings and overview over HTTP, for administrators who script."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import OAuthEntity
from tests.conftest import basic
from tests.support.token_desk import Integration, TokenDesk

FINDINGS, OVERVIEW = "/api/now/oauth/findings", "/api/now/oauth/overview"


def result(client: FlaskClient, path: str, headers: dict[str, str]) -> dict[str, Any]:
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.content_type) == (200, "application/json;charset=UTF-8")
    found: dict[str, Any] = answer.get_json()["result"]
    return found


def test_a_fresh_instance_has_nothing_to_tidy_up(client: FlaskClient, admin: dict[str, str]) -> None:
    assert result(client, FINDINGS, admin) == {
        "score": 100,
        "counts": {"high": 0, "medium": 0, "low": 0},
        "findings": [],
    }


def test_findings_come_with_their_remedy(
    desk: TokenDesk, integration: Integration, client: FlaskClient, admin: dict[str, str]
) -> None:
    desk.set(integration, clock_skew_seconds=300)
    found = result(client, FINDINGS, admin)
    assert found["counts"] == {"high": 0, "medium": 0, "low": 2}
    # The integration has 90 and the account it runs as 100.
    assert found["score"] == 92
    assert [one["code"] for one in found["findings"]] == ["wide_clock_skew", "owner_missing"]
    assert found["findings"][0] == {
        "code": "wide_clock_skew",
        "severity": "low",
        "subject_type": "integration",
        "subject": integration.client_id,
        "name": "Pipeline",
        "sentence": "Assertions are accepted up to 300 seconds outside their validity period.",
        "remedy": "Synchronize the clocks, and set the skew to 120 or less.",
        "target": f"integrations/{integration.client_id}#clock_skew_seconds",
    }


def test_a_shared_issuer_without_a_pin_is_the_worst(
    desk: TokenDesk, integration: Integration, client: FlaskClient, admin: dict[str, str]
) -> None:
    desk.set(integration, issuer="https://token.actions.githubusercontent.com")
    first = result(client, FINDINGS, admin)["findings"][0]
    assert (first["code"], first["severity"]) == ("weak_binding", "high")
    assert "repository_id" in first["sentence"]


def test_the_overview_shows_counts_and_their_limits(
    desk: TokenDesk, integration: Integration, client: FlaskClient, admin: dict[str, str]
) -> None:
    desk.call(desk.token(integration))
    desk.exchange(integration, assertion=desk.assertion(iss="https://other.example.com"))
    found = result(client, OVERVIEW, admin)
    [identity] = found["identities"]
    assert (identity["user_name"], identity["roles"], identity["privileges"]) == ("release.bot", ["itil"], [])
    assert identity["integrations"] == [{"client_id": integration.client_id, "name": "Pipeline"}]
    assert identity["last_call_at"].endswith("+00:00")
    numbers = ("integrations", "active_integrations", "machine_accounts", "privileged_machine_accounts", "tokens")
    assert [found[name] for name in numbers] == [1, 1, 1, 0, 1]
    methods = {(one["method"], one["client_authentication"]): one for one in found["authentication_methods"]}
    assert methods[("jwt_bearer", "secret")] == {
        "method": "jwt_bearer",
        "client_authentication": "secret",
        "active_integrations": 1,
        "tokens": 1,
    }
    assert [*methods] == [
        *(("jwt_bearer", "secret"), ("jwt_bearer", "private_key_jwt"), ("jwt_bearer", "public")),
        *(("client_credentials", "secret"), ("password", "secret"), ("refresh_token", "secret"), ("id_token", None)),
    ]
    assert sum(one["tokens"] for one in methods.values()) == 1
    assert found["tokens_by_algorithm"] == {"RS256": 1}
    assert found["not_recorded"] == ["unique_api_calls", "basic_authentication"]
    assert (len(found["hours"]["periods"]), len(found["days"]["periods"])) == (24, 30)
    assert sum(period["accepted"] for period in found["days"]["periods"]) == 1
    assert found["days"]["reasons"] == [{"reason": "iss_mismatch", "exchanges": 1}]
    assert found["score"] == result(client, FINDINGS, admin)["score"]


@pytest.mark.parametrize("path", [FINDINGS, OVERVIEW])
def test_only_administrators_of_integrations_may_ask(
    desk: TokenDesk, client: FlaskClient, add_user: Callable[..., str], path: str
) -> None:
    integration = desk.register(scopes=["useraccount"], run_as="admin")
    assert client.get(path).status_code == 401
    assert desk.call(desk.token(integration), "GET", path).status_code == 403
    add_user("itil", "itil")
    refused = client.get(path, headers=basic("itil", "itil itil itil"))
    assert (refused.status_code, refused.get_json()["error"]["message"]) == (403, "Operation Failed")
    for role in ("oauth_admin", "mi_admin"):
        add_user(role, role)
        assert client.get(path, headers=basic(role, "itil itil itil")).status_code == 200


def test_never_shows_a_secret(
    desk: TokenDesk, integration: Integration, client: FlaskClient, admin: dict[str, str]
) -> None:
    token = desk.token(integration)
    with desk.app.app_context():
        [entity] = db.session.query(OAuthEntity)
        hidden = {token, entity.client_secret_hash, str(integration.secret)}
    for path in (FINDINGS, OVERVIEW):
        text = client.get(path, headers=admin).text
        assert not [secret for secret in hidden if secret in text]
