"""Two server processes on one database: an integration's quota holds for both together, and changes at once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.e2e.test_two_servers import THREADS, prepared_postgres, servers
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running

__all__ = ["prepared_postgres", "servers"]

QUOTA = 7


@pytest.fixture
def desk(servers: tuple[Running, Running], idp_url: str) -> Iterator[LiveDesk]:
    registered = LiveDesk.register(servers[0], idp_url, "Pipeline", "--creations-per-hour", str(QUOTA))
    yield registered
    registered.close()


def set_quota(server: Running, desk: LiveDesk, quota: int | None) -> None:
    url = f"{server.url}/api/now/oauth/integrations/{desk.client_id}"
    changed = requests.patch(url, json={"creations_per_hour": quota}, auth=("admin", ADMIN_PASSWORD), timeout=30)
    assert changed.status_code == 200, changed.text


def test_twenty_requests_to_both_create_what_the_quota_allows_and_a_new_one_counts_at_once(
    servers: tuple[Running, Running], desk: LiveDesk
) -> None:
    token = desk.token()

    def create(number: int) -> int:
        sender = LiveDesk(servers[number % 2].url, desk.idp_url, desk.credentials)
        status = sender.call(token).status_code
        sender.close()
        return status

    with ThreadPoolExecutor(THREADS) as pool:
        assert Counter(pool.map(create, range(THREADS))) == {201: QUOTA, 429: THREADS - QUOTA}
    for quota, statuses in ((QUOTA + 2, [201, 201, 429]), (1, [429, 429]), (None, [201, 201])):
        set_quota(servers[0], desk, quota)
        assert [create(at) for at in range(1, 1 + len(statuses))] == statuses
