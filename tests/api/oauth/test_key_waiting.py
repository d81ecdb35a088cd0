"""Waiting for a provider's keys: without a thread where the server can do that, and never in the way of others."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from threading import BoundedSemaphore, Event

import pytest

from changegate.failure_limit import FAILURES_PER_MINUTE
from changegate.services.keys import jwks_fetch, key_store, single_flight
from tests.conftest import ADMIN_PASSWORD, Clock, basic
from tests.support import postponing
from tests.support.client_assertions import client_assertion, client_proof
from tests.support.forge import forge, header, jwk, key_set_document, rsa_key
from tests.support.id_token_desk import register_id_token
from tests.support.misbehaving_jwks import (
    LONGEST_HELD_SECONDS,
    MisbehavingJwks,
    after,
    misbehaving_jwks,
    once,
    reply,
)
from tests.support.postponing import PostponingServer, served
from tests.support.token_desk import AUDIENCE, ISSUER, Integration, TokenDesk

BOUND = FAILURES_PER_MINUTE.amount
KEYS = reply(key_set_document(jwk(rsa_key())))
CONNECTIONS = 8


@pytest.fixture
def server(either_desk: TokenDesk) -> PostponingServer:
    """Serve the instance with a server that can postpone requests."""
    return served(either_desk.app)


@contextmanager
def held_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MisbehavingJwks, Event]]:
    """Serve a provider that answers, with an error, once the event has happened; give both."""
    for module, name in (
        (jwks_fetch, "TOTAL_SECONDS"),
        (jwks_fetch, "READ_SECONDS"),
        (single_flight, "LONGEST_SECONDS"),
        (key_store, "LONGEST_SECONDS"),
        (key_store, "WAIT_SECONDS"),
        (postponing, "WAIT_SECONDS"),
    ):
        monkeypatch.setattr(module, name, LONGEST_HELD_SECONDS)
    is_over = Event()
    with misbehaving_jwks(once(is_over, reply(status=500))) as provider:
        try:
            yield provider, is_over
        finally:
            is_over.set()


def assert_others_are_served(desk: TokenDesk, other: Integration) -> None:
    assert desk.client.get("/healthz").status_code == 200
    desk.token(other)


def test_a_slow_provider_does_not_delay_other_requests(
    either_desk: TokenDesk, server: PostponingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = either_desk.register("Other")
    with held_provider(monkeypatch) as (provider, is_over), ThreadPoolExecutor(CONNECTIONS) as attackers:
        slow = either_desk.register("Slow", public_client=True, jwks_url=provider.url())
        waiting = [attackers.submit(either_desk.exchange, slow) for _ in range(CONNECTIONS)]
        while server.postponed < CONNECTIONS:
            time.sleep(0.01)
        for _ in range(5):
            assert_others_are_served(either_desk, other)
        assert not any(answer.done() for answer in waiting)
        is_over.set()
        answers = [answer.result() for answer in waiting]
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["Retry-After"] == "5" for answer in answers)
    assert provider.hits == 1
    assert server.postponed == CONNECTIONS + 1, "each was postponed once, as was the first exchange of the other"
    assert "status 500" in either_desk.events()[-1].detail


def test_without_such_a_server_two_threads_wait_and_no_more(
    either_desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = either_desk.register("Other")
    with held_provider(monkeypatch) as (provider, is_over), ThreadPoolExecutor(CONNECTIONS) as attackers:
        slow = either_desk.register("Slow", public_client=True, jwks_url=provider.url())
        threads = BoundedSemaphore(4)

        def attack() -> int:
            with threads:
                return either_desk.exchange(slow).status_code

        held = [attackers.submit(attack) for _ in range(CONNECTIONS)]
        refused = list(islice(as_completed(held), CONNECTIONS - single_flight.MOST_IN_PLACE))
        assert {attempt.result() for attempt in refused} == {503}
        for _ in range(3):
            with threads:
                assert_others_are_served(either_desk, other)
        waiting = set(held) - set(refused)
        assert not any(attempt.done() for attempt in waiting)
        is_over.set()
        assert {attempt.result() for attempt in waiting} == {503}


def test_searches_for_keys_occupy_no_thread(
    either_desk: TokenDesk, server: PostponingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = either_desk.register("Other")
    with held_provider(monkeypatch) as (provider, is_over), ThreadPoolExecutor(CONNECTIONS) as administrators:

        def register(number: int) -> int:
            fields = {"issuer": provider.url(path=f"/{number}"), "run_as": "release.bot"}
            path = "/api/now/oauth/integrations"
            return either_desk.client.post(path, json=fields, headers=basic("admin", ADMIN_PASSWORD)).status_code

        waiting = [administrators.submit(register, number) for number in range(CONNECTIONS)]
        while server.postponed < CONNECTIONS:
            time.sleep(0.01)
        for _ in range(5):
            assert_others_are_served(either_desk, other)
        assert not any(answer.done() for answer in waiting)
        is_over.set()
        assert {answer.result() for answer in waiting} == {400}


def test_a_fetched_key_set_serves_the_request_that_waited(either_desk: TokenDesk, server: PostponingServer) -> None:
    either_desk.jwks.answer = after(0.3, KEYS)
    integration = either_desk.register()
    with ThreadPoolExecutor(CONNECTIONS) as clients:
        answers = list(clients.map(lambda _: either_desk.exchange(integration), range(CONNECTIONS)))
    assert {answer.status_code for answer in answers} == {200}
    assert either_desk.jwks.hits == 1
    assert len(either_desk.events()) == CONNECTIONS, "a run that was postponed writes no event"


def signed_by(key: str, kid: str) -> str:
    at = int(time.time())
    claims = {"iss": ISSUER, "sub": "a", "aud": AUDIENCE, "iat": at, "exp": at + 60, "jti": str(uuid.uuid4())}
    return forge(header(kid=kid), claims, key=rsa_key(key))


def test_a_rotation_is_waited_for_without_a_thread(either_desk: TokenDesk, server: PostponingServer) -> None:
    integration = either_desk.register()
    either_desk.token(integration)
    either_desk.jwks.answer = reply(key_set_document(jwk(rsa_key("next"), "next")))
    assert either_desk.exchange(integration, assertion=signed_by("next", "next")).status_code == 200
    assert (either_desk.jwks.hits, server.postponed) == (2, 2)


def test_a_failed_fetch_is_explained_and_not_waited_for_again(either_desk: TokenDesk, server: PostponingServer) -> None:
    either_desk.jwks.answer = reply(status=500)
    integration = either_desk.register()
    assert either_desk.exchange(integration).status_code == 503
    assert (either_desk.jwks.hits, server.postponed) == (1, 1)
    assert "status 500" in either_desk.last_event().detail


def test_a_client_assertion_is_not_used_up_by_a_run_that_is_postponed(
    either_desk: TokenDesk, server: PostponingServer
) -> None:
    machine = either_desk.register("Machine", public_client=True)
    proof = client_proof(either_desk, machine)
    answer = either_desk.exchange(Integration(machine.sys_id, machine.client_id, None), **proof)
    assert answer.status_code == 200
    assert (either_desk.jwks.hits, server.postponed) == (1, 1)


def test_after_a_client_assertion_is_used_the_request_keeps_its_thread(
    either_desk: TokenDesk, server: PostponingServer
) -> None:
    machine = either_desk.register("Machine", public_client=True)
    either_desk.token(machine)
    proof = client_proof(either_desk, machine)
    answer = either_desk.exchange(machine, assertion=signed_by("made up", "made up"), **proof)
    assert (answer.status_code, either_desk.last_event().reason) == (400, "kid_unknown")
    assert (either_desk.jwks.hits, server.postponed) == (2, 1)


def test_an_id_token_is_waited_for_without_a_thread(either_desk: TokenDesk, server: PostponingServer) -> None:
    register_id_token(either_desk)
    assert either_desk.call(either_desk.assertion()).status_code == 201
    assert (either_desk.jwks.hits, server.postponed) == (1, 1)


def test_a_batch_waits_once_and_runs_its_parts_once(either_desk: TokenDesk, server: PostponingServer) -> None:
    register_id_token(either_desk)
    part = {"id": "1", "method": "POST", "url": "/api/now/table/change_request", "headers": [], "body": "e30="}
    batch = {"batch_request_id": "b", "rest_requests": [part, part | {"id": "2"}]}
    answer = either_desk.call(either_desk.assertion(), path="/api/now/v1/batch", json=batch)
    assert [done["status_code"] for done in answer.get_json()["serviced_requests"]] == [201, 201]
    assert (either_desk.jwks.hits, server.postponed) == (1, 1)


def exchange_all(desk: TokenDesk, integrations: list[Integration], key: str) -> set[str | None]:
    """Let each integration exchange an assertion by a key, and return the reasons of refusals."""
    reasons = set()
    for integration in integrations:
        answer = desk.exchange(integration, assertion=signed_by(key, key))
        reasons.add(None if answer.status_code == 200 else desk.last_event().reason)
    return reasons


@pytest.fixture
def many(desk: TokenDesk) -> list[Integration]:
    """Integrations whose keys have been fetched, more than an address may cause futile fetches of."""
    integrations = [desk.register(f"Pipeline {number}") for number in range(BOUND + 5)]
    for integration in integrations:
        desk.token(integration)
    return integrations


def test_futile_fetches_by_one_address_are_limited(desk: TokenDesk, many: list[Integration], clock: Clock) -> None:
    before = desk.jwks.hits
    assert exchange_all(desk, many, "made up") == {"kid_unknown"}
    assert desk.jwks.hits - before == BOUND
    clock.advance(minutes=2)
    assert exchange_all(desk, many, "made up") == {"kid_unknown"}
    assert desk.jwks.hits - before == BOUND, "the cooldown of each integration is over, and the address is bounded"


def test_each_kind_of_signature_counts_its_futile_fetches_for_an_address(
    desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[str | None] = []
    monkeypatch.setattr(key_store.FutileFetches, "may_fetch", lambda futile: addresses.append(futile._address))
    exchanging, signing = desk.register(), desk.register("Machine", public_client=True)
    register_id_token(desk)
    desk.token(exchanging)
    desk.token(signing)
    assert desk.call(desk.assertion()).status_code == 201
    assert desk.exchange(exchanging, assertion=signed_by("made up", "made up")).status_code == 400
    proof = client_proof(desk, signing, client_assertion(desk, signing, head=header(kid="made up")))
    assert desk.send({"token": "x", **proof}, "/oauth/introspect").status_code == 401
    assert desk.call(signed_by("made up", "made up")).status_code == 401
    assert addresses == ["127.0.0.1"] * 3


def test_a_rotation_is_free_for_clients_that_share_an_address(desk: TokenDesk, many: list[Integration]) -> None:
    desk.jwks.answer = reply(key_set_document(jwk(rsa_key("next"), "next")))
    assert exchange_all(desk, many, "next") == {None}


def test_the_number_of_requests_that_wait_for_one_key_set_is_limited(
    desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "MOST_POSTPONED", 2)
    server, is_over = served(desk.app), Event()
    desk.jwks.answer = once(is_over, KEYS)
    integration = desk.register()
    with ThreadPoolExecutor(2) as clients:
        waiting = [clients.submit(desk.exchange, integration) for _ in range(2)]
        while server.postponed < 2:
            time.sleep(0.01)
        refused = desk.exchange(integration)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert not any(answer.done() for answer in waiting)
        is_over.set()
        assert {answer.result().status_code for answer in waiting} == {200}


def test_administrators_fetch_without_a_thread(desk: TokenDesk) -> None:
    server = served(desk.app)
    path = f"/api/now/oauth/integrations/{desk.register().client_id}"
    headers = basic("admin", ADMIN_PASSWORD)
    for times in (1, 2):
        assert desk.client.post(f"{path}/refresh-keys", headers=headers).status_code == 200
        assert (desk.jwks.hits, server.postponed) == (times, times), "each call is one fetch"
    tried = desk.client.post(f"{path}/try", json={"assertion": desk.assertion()}, headers=headers)
    assert (tried.status_code, server.postponed) == (200, 2)


def test_a_refresh_that_fails_is_explained_after_one_fetch(desk: TokenDesk) -> None:
    server = served(desk.app)
    desk.jwks.answer = reply(status=500)
    path = f"/api/now/oauth/integrations/{desk.register().client_id}/refresh-keys"
    answer = desk.client.post(path, headers=basic("admin", ADMIN_PASSWORD))
    assert answer.status_code == 400
    assert "status 500" in answer.text
    assert (desk.jwks.hits, server.postponed) == (1, 1)


def test_a_refresh_takes_part_in_a_fetch_that_is_under_way(desk: TokenDesk) -> None:
    server = served(desk.app)
    desk.jwks.answer = after(0.5, KEYS)
    integration = desk.register()
    path = f"/api/now/oauth/integrations/{integration.client_id}/refresh-keys"
    with ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(desk.exchange, integration)
        while server.postponed < 1:
            time.sleep(0.01)
        assert desk.client.post(path, headers=basic("admin", ADMIN_PASSWORD)).status_code == 200
        assert waiting.result().status_code == 200
    assert desk.jwks.hits == 1
