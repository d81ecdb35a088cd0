"""A provider that withholds its key set, and eight connections that wait for it: all other requests are answered."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.conftest import NewInstance
from tests.support.forge import jwk, key_set_document, rsa_key
from tests.support.live_desk import JWT_BEARER, LiveDesk
from tests.support.misbehaving_jwks import LONGEST_HELD_SECONDS, Received, misbehaving_jwks, once, reply
from tests.support.servers import Running, running_changegate

CONNECTIONS = 8
ROUNDS = 5
# A key of another kid than the demo provider's: the provider is asked again for the kid of an assertion.
OTHER_KEYS = reply(key_set_document(jwk(rsa_key(), "other")))
LONG_WAITS = f"""
from changegate.services.keys import jwks_fetch, key_store, single_flight
jwks_fetch.TOTAL_SECONDS = jwks_fetch.READ_SECONDS = {LONGEST_HELD_SECONDS}
key_store.WAIT_SECONDS = key_store.LONGEST_SECONDS = single_flight.LONGEST_SECONDS = {LONGEST_HELD_SECONDS}
"""


@pytest.fixture(scope="module")
def server(new_instance: NewInstance) -> Iterator[Running]:
    """Serve the product, which lets requests wait for keys until the test lets the provider answer."""
    with running_changegate(new_instance(), patches=LONG_WAITS) as running:
        yield running


def test_a_slow_provider_delays_its_own_integration_only(server: Running, desk: LiveDesk, idp_url: str) -> None:
    desk.token()
    is_asked, may_answer = threading.Event(), threading.Event()
    with misbehaving_jwks(OTHER_KEYS) as provider:
        slow = LiveDesk.enrol(server, idp_url, jwks_url=provider.url(), public_client=True)
        hits_before = provider.hits

        def answer(connection: socket.socket, received: Received) -> None:
            is_asked.set()
            once(may_answer, OTHER_KEYS)(connection, received)

        provider.answer = answer
        form = {"grant_type": JWT_BEARER, "assertion": slow.sign(), "client_id": slow.client_id}

        def attack(_number: int) -> int:
            url = f"{server.url}/oauth/token"
            return requests.post(url, data=form, timeout=LONGEST_HELD_SECONDS).status_code

        with ThreadPoolExecutor(CONNECTIONS) as attackers:
            attacks = [attackers.submit(attack, number) for number in range(CONNECTIONS)]
            try:
                assert is_asked.wait(LONGEST_HELD_SECONDS)
                for _ in range(ROUNDS):
                    assert requests.get(f"{server.url}/healthz", timeout=LONGEST_HELD_SECONDS).ok
                    desk.token()
                assert not any(attempt.done() for attempt in attacks)
            finally:
                may_answer.set()
            assert {attempt.result() for attempt in attacks} == {400}
    assert provider.hits == hits_before + 1
