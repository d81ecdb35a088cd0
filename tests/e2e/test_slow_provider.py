"""A provider that drips its key set, and eight connections that wait for it: all other requests are answered."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.live_desk import LiveDesk
from tests.support.misbehaving_jwks import drip, misbehaving_jwks
from tests.support.servers import Running

CONNECTIONS = 8
LONGEST_DELAY_SECONDS = 2.0
DRIPS = drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" ")


def test_a_slow_provider_delays_its_own_integration_only(server: Running, desk: LiveDesk, idp_url: str) -> None:
    desk.token()
    over, statuses = threading.Event(), set()
    with misbehaving_jwks(DRIPS) as provider:
        slow = LiveDesk.enrol(server, idp_url, jwks_url=provider.url(), public_client=True)
        assertion = slow.sign()

        def attack(_number: int) -> None:
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
            while not over.is_set():
                form["client_id"] = slow.client_id
                statuses.add(requests.post(f"{server.url}/oauth/token", data=form, timeout=30).status_code)

        delays = []
        with ThreadPoolExecutor(CONNECTIONS) as attackers:
            attacks = [attackers.submit(attack, number) for number in range(CONNECTIONS)]
            until = time.monotonic() + 6
            while time.monotonic() < until:
                began = time.monotonic()
                assert requests.get(f"{server.url}/healthz", timeout=30).ok
                desk.token()
                delays.append(time.monotonic() - began)
            over.set()
            for attacker in attacks:
                attacker.result()
    assert statuses == {503}
    assert max(delays) < LONGEST_DELAY_SECONDS, sorted(delays)[-5:]
    assert provider.hits <= 2
