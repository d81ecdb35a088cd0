"""Failures are counted by address and name, in memory and in a Redis; guesses wait longer each time."""

import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from limits.errors import StorageError
from limits.strategies import MovingWindowRateLimiter

from changegate import create_app, failure_limit, recent_failures
from changegate.errors import RateLimited
from changegate.extensions import limiter
from changegate.failure_limit import AWAY_SECONDS, FAILURES_PER_MINUTE, GUESSES_PER_MINUTE, Counters
from changegate.recent_failures import RecentFailures
from tests.support.faulty_route import faulty_route
from tests.support.redis_store import redis_url, settings
from tests.test_recent_failures import Time

__all__ = ["redis_url", "settings"]
ADDRESS, ELSEWHERE = "192.0.2.1", "192.0.2.2"
LONGEST_WAIT = 16 * 60


@pytest.fixture
def at_work(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def clock() -> Iterator[Time]:
    """A clock that moves counters in memory; a store of its own has its own clock."""
    clock = Time()
    with mock.patch.object(recent_failures, "time", clock), mock.patch.object(failure_limit, "time", clock):
        yield clock


def guess(name: str = "ann", address: str = ADDRESS, times: int = 1) -> None:
    """Guess wrong, as often as there is room to."""
    for _ in range(times):
        limiter.count_guess(limiter.require_room_to_guess(address, name))


def wait_after(name: str = "ann", address: str = ADDRESS) -> int:
    """Return how many seconds a guess has to wait, 0 for none."""
    try:
        limiter.require_room_to_guess(address, name)
    except RateLimited as refused:
        return refused.retry_after
    return 0


def test_guesses_at_a_name_end_at_an_address_and_nowhere_else(at_work: Flask) -> None:
    guess(times=FAILURES_PER_MINUTE.amount)
    assert 55 <= wait_after() <= 60
    assert wait_after("ANN") > 0
    assert wait_after("bob") == wait_after(address=ELSEWHERE) == 0


def test_guesses_at_many_names_end_for_every_name_of_the_address(at_work: Flask) -> None:
    for number in range(GUESSES_PER_MINUTE.amount):
        guess(f"made.up{number}")
    assert 55 <= wait_after("ann") <= 60
    assert wait_after("ann", ELSEWHERE) == 0


def test_a_wrong_guess_that_was_under_way_makes_no_wait_longer(at_work: Flask) -> None:
    under_way = [limiter.require_room_to_guess(ADDRESS, "ann") for _ in range(5)]
    guess(times=FAILURES_PER_MINUTE.amount)
    for late in under_way:
        limiter.count_guess(late)
    assert 55 <= wait_after() <= 60


def test_a_name_that_is_written_like_a_key_is_counted_apart(at_work: Flask) -> None:
    guess("guesses", times=FAILURES_PER_MINUTE.amount)
    assert wait_after("guesses") > 0
    assert wait_after("ann") == 0


def test_long_names_take_no_more_room_than_short_ones(at_work: Flask) -> None:
    for number in range(FAILURES_PER_MINUTE.amount):
        guess(f"{'x' * 10_000}{number}")
    assert wait_after("x" * 10_000) > 0


def test_counts_failures_by_address_and_client(at_work: Flask) -> None:
    for _ in range(20):
        limiter.require_room_to_fail("192.0.2.1", "ann")
        limiter.count("192.0.2.1", "ann")
    with pytest.raises(RateLimited) as refused:
        limiter.require_room_to_fail("192.0.2.1", "ann")
    assert 1 <= refused.value.retry_after <= 60
    limiter.require_room_to_fail("192.0.2.1", "bob")
    limiter.require_room_to_fail("192.0.2.2", "ann")


def fail(address: str, times: int) -> None:
    for _ in range(times):
        limiter.require_room_to_fail(address, "ann")
        limiter.count(address, "ann")


@pytest.mark.parametrize(
    ("used", "next_one"),
    [
        ("2001:db8:0:7::1", "2001:db8:0:7:ffff:ffff:ffff:ffff"),
        ("2001:db8:0:7::1", "2001:0DB8:0000:0007:0:0:0:2"),
        ("fe80::1%eth0", "fe80::2"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:192.0.2.1", "::FFFF:c000:201"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_has_as_many_tries_as_one_address(at_work: Flask, used: str, next_one: str) -> None:
    fail(used, 20)
    with pytest.raises(RateLimited):
        limiter.require_room_to_fail(next_one, "ann")


@pytest.mark.parametrize(
    ("used", "other"),
    [
        ("2001:db8:0:7::1", "2001:db8:0:8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("192.0.2.1", "192.0.2.2"),
        ("not:an:address", "not:another"),
        ("", "unknown"),
    ],
)
def test_other_networks_are_not_delayed(at_work: Flask, used: str, other: str) -> None:
    fail(used, 20)
    limiter.require_room_to_fail(other, "ann")


def test_a_network_makes_no_more_guesses_than_one_address(at_work: Flask) -> None:
    for number in range(GUESSES_PER_MINUTE.amount):
        guess(f"nobody{number}", f"2001:db8::{number + 1:x}")
    assert wait_after("ann", "2001:db8::ffff") > 0


def test_each_worker_counts_alone_while_the_shared_store_is_down(tmp_path: Path) -> None:
    app = create_app(instance_path=tmp_path, overrides={"ratelimit_storage_url": "redis://:hidden@127.0.0.1:1"})
    with app.app_context():
        for _ in range(20):
            limiter.require_room_to_fail("192.0.2.1", "ann")
            limiter.count("192.0.2.1", "ann")
        with pytest.raises(RateLimited):
            limiter.require_room_to_fail("192.0.2.1", "ann")
        guess("bob", times=FAILURES_PER_MINUTE.amount)
        assert wait_after("bob") > 0


def test_a_frozen_store_delays_one_question_and_is_used_again_later(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_route(int(redis_url.rpartition(":")[2].partition("/")[0])) as route:
        url = f"redis://127.0.0.1:{route.port}/0"
        app = create_app(instance_path=tmp_path, overrides={"ratelimit_storage_url": url})
        with app.app_context():
            limiter.require_room_to_fail("192.0.2.7", "ann")
            route.is_passing = False
            limiter.count("192.0.2.7", "ann")
            connections = route.accepted
            for _ in range(FAILURES_PER_MINUTE.amount):
                limiter.count("192.0.2.7", "ann")
            assert route.accepted == connections
            with pytest.raises(RateLimited):
                limiter.require_room_to_fail("192.0.2.7", "ann")
            route.is_passing = True
            route.reset_all()
            later = time.monotonic() + 2 * AWAY_SECONDS
            monkeypatch.setattr(failure_limit, "monotonic", lambda: later)
            limiter.require_room_to_fail("192.0.2.7", "ann")


def test_one_request_asks_whether_the_store_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, own = RecentFailures(), RecentFailures()
    counters = Counters(shared, own)
    asked: list[object] = []

    def fail(limit: MovingWindowRateLimiter) -> int:
        asked.append(limit.storage)
        if limit.storage is shared:
            raise StorageError(ConnectionError())
        return 0

    def succeed(limit: MovingWindowRateLimiter) -> int:
        asked.append(limit.storage)
        if limit.storage is shared and len(asked) == 1:
            # As another request does while this one waits for the answer.
            counters.ask(succeed)
        return 0

    counters.ask(fail)
    assert asked == [shared, own]
    later = time.monotonic() + 2 * AWAY_SECONDS
    monkeypatch.setattr(failure_limit, "monotonic", lambda: later)
    asked.clear()
    counters.ask(succeed)
    counters.ask(succeed)
    assert asked == [shared, own, shared]


def test_counts_nothing_when_disabled(tmp_path: Path) -> None:
    app = create_app(instance_path=tmp_path, overrides={"ratelimit_enabled": "0"})
    with app.app_context():
        for _ in range(100):
            limiter.count("192.0.2.1", "ann")
        limiter.require_room_to_fail("192.0.2.1", "ann")


def test_servers_that_share_a_store_count_together(tmp_path: Path, redis_url: str) -> None:
    one, other = (
        create_app(instance_path=tmp_path / name, overrides={"ratelimit_storage_url": redis_url})
        for name in ("one", "other")
    )
    with one.app_context():
        guess("shared", times=FAILURES_PER_MINUTE.amount)
    with other.app_context():
        assert 55 <= wait_after("shared") <= 60


class TestWaiting:
    """Each time that a limit is reached within two hours doubles the wait."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {}

    def test_doubles_up_to_a_bound_and_is_over_when_it_says_so(self, at_work: Flask, clock: Time) -> None:
        waits = []
        for _ in range(20):
            guess(times=FAILURES_PER_MINUTE.amount)
            waits.append(wait_after())
            clock.at += waits[-1] - 1
            assert wait_after() == 1
            clock.at += 1.001
            assert wait_after() == 0
        assert waits == [60, 120, 240, 480, *[LONGEST_WAIT] * 16]

    def test_guesses_meanwhile_make_it_no_longer(self, at_work: Flask, clock: Time) -> None:
        guess(times=FAILURES_PER_MINUTE.amount)
        for _ in range(50):
            assert wait_after() > 0
        clock.at += 60.001
        assert wait_after() == 0

    def test_begins_again_after_two_hours_without_guesses(self, at_work: Flask, clock: Time) -> None:
        for expected in (60, 120, 60):
            guess(times=FAILURES_PER_MINUTE.amount)
            assert wait_after() == expected
            clock.at += 120.001 if expected == 60 else 7201

    def test_an_address_waits_as_a_name_does(self, at_work: Flask, clock: Time) -> None:
        for expected in (60, 120):
            for number in range(GUESSES_PER_MINUTE.amount):
                guess(f"made.up{number}")
            assert wait_after("ann") == expected
            clock.at += expected + 0.001
