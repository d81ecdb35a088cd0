"""Tokens of real providers, sent straight to an API: nanoidp's for a client, oidc-provider-mock's for a person."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.identity_providers.processes import PIPELINE, Provider, running_nanoidp, running_oidc_provider_mock
from tests.support.live_desk import AUDIENCE, CHANGES, INTEGRATIONS, TIMEOUT_SECONDS, administer
from tests.support.servers import Running

CLIENT_ID = "change-desk"


@pytest.fixture(scope="module")
def nanoidp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_nanoidp(tmp_path_factory.mktemp("nanoidp")) as running:
        yield running


def enrol(server: Running, provider: Provider, **fields: Any) -> str:
    """Register an ID token integration; answers its path in the admin API."""
    named = {"type": "id_token", "name": f"Straight {secrets.token_hex(4)}", "provider_name": "Example"}
    trusted = {"issuer": provider.issuer, "jwks_url": provider.jwks_url, "audiences": [AUDIENCE], "run_as": "admin"}
    made = administer(server, "POST", INTEGRATIONS, **(named | trusted | fields))
    return f"{INTEGRATIONS}/{made['client_id']}"


def create(server: Running, token: str) -> requests.Response:
    bearer, change = {"Authorization": f"Bearer {token}"}, {"short_description": "Deploy"}
    return requests.post(server.url + CHANGES, json=change, headers=bearer, timeout=TIMEOUT_SECONDS)


def test_nanoidps_token_creates_changes_until_its_integration_is_gone(server: Running, nanoidp: Provider) -> None:
    path = enrol(server, nanoidp)
    token = nanoidp.client_credentials()
    created = [create(server, token) for _ in range(2)]

    assert [answer.status_code for answer in created] == [201, 201]
    record = created[0].json()["result"]
    assert (record["oauth_issuer"], record["oauth_subject"]) == (nanoidp.issuer, PIPELINE)

    administer(server, "DELETE", path)
    assert create(server, token).status_code == 401


def test_nanoidps_token_is_good_for_one_call_where_that_is_wanted(server: Running, nanoidp: Provider) -> None:
    audience = "https://once.example.com"
    enrol(server, nanoidp, audiences=[audience], replay_policy="jti-required-once")
    tokens = [nanoidp.client_credentials(resource=audience) for _ in range(2)]

    assert [create(server, token).status_code for token in (*tokens, *tokens)] == [201, 201, 401, 401]


def test_a_rotation_at_nanoidp_is_followed(server: Running, nanoidp: Provider) -> None:
    audience = "https://rotated.example.com"
    enrol(server, nanoidp, audiences=[audience])
    before = nanoidp.client_credentials(resource=audience)
    assert create(server, before).status_code == 201

    nanoidp.tell("/api/keys/rotate")

    assert create(server, nanoidp.client_credentials(resource=audience)).status_code == 201
    assert create(server, before).status_code == 201, "its key is still published"


def test_a_persons_id_token_acts_as_that_person(server: Running) -> None:
    made = server.changegate("user", "create", "pat.person", "--role", "itil")
    assert made.returncode == 0, made.stderr
    with running_oidc_provider_mock() as provider:
        choices = {"audiences": [CLIENT_ID], "allow_missing_kid": True, "run_as": None, "user_field": "user_name"}
        enrol(server, provider, **choices)

        created = create(server, provider.sign_in("pat.person", CLIENT_ID))
        assert (created.status_code, created.json()["result"]["sys_created_by"]) == (201, "pat.person")
        assert create(server, provider.sign_in("somebody.else", CLIENT_ID)).status_code == 401
