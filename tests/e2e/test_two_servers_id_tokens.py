"""ID tokens at two server processes on one database: used once is used everywhere, and what ends ends at once."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from tests.support.live_desk import CHANGES, INTEGRATIONS, TIMEOUT_SECONDS, LiveDesk, administer, repeated
from tests.support.servers import Running

THREADS = 20
Servers = tuple[Running, Running]


def enrol(servers: Servers, idp_url: str, **fields: Any) -> tuple[str, str]:
    """Register an ID token integration; answers its client id and a token for it."""
    audience = f"api://{uuid.uuid4()}"
    usual = {"type": "id_token", "name": audience, "provider_name": "Demo", "issuer": idp_url, "audiences": [audience]}
    acts = {"run_as": "admin", "jwks_url": f"{idp_url}/.well-known/jwks.json"}
    made = administer(servers[0], "POST", INTEGRATIONS, **usual, **acts, **fields)
    signer = LiveDesk(servers[0].url, idp_url, {})
    token = signer.sign(aud=audience)
    signer.close()
    return str(made["client_id"]), token


def call(servers: Servers, token: str, number: int) -> int:
    bearer, change = {"Authorization": f"Bearer {token}"}, {"short_description": "Deploy"}
    url = servers[number % 2].url + CHANGES
    return repeated(lambda: requests.post(url, json=change, headers=bearer, timeout=TIMEOUT_SECONDS)).status_code


def call_at_once(servers: Servers, token: str) -> Counter[int]:
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(partial(call, servers, token), range(THREADS)))


@pytest.mark.parametrize("policy", ["jti-required-once", "once-if-present"])
def test_with_jti_verification_one_of_many_calls_is_served(servers: Servers, idp_url: str, policy: str) -> None:
    _, token = enrol(servers, idp_url, replay_policy=policy)

    assert call_at_once(servers, token) == {201: 1, 401: THREADS - 1}


def test_a_token_that_all_calls_may_use_ends_at_once_with_its_integration(servers: Servers, idp_url: str) -> None:
    client_id, token = enrol(servers, idp_url)
    assert call_at_once(servers, token) == {201: THREADS}
    # Both processes have verified it by now, and remember it.
    assert [call(servers, token, number) for number in range(2)] == [201, 201]

    administer(servers[0], "POST", f"{INTEGRATIONS}/{client_id}/disable")

    assert [call(servers, token, number) for number in range(2)] == [401, 401]
