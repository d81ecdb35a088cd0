"""Failures in memory: counted exactly, forgotten in time, and within bounds whatever is made up."""

import threading
from collections.abc import Iterator
from unittest import mock

import pytest
from limits import RateLimitItemPerMinute
from limits.strategies import MovingWindowRateLimiter

from changegate import recent_failures
from changegate.recent_failures import RecentFailures

LIMIT = RateLimitItemPerMinute(3)


class Time:
    """A clock in place of the machine's; in seconds since 1970."""

    at = 1_800_000_000.0

    def time(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Iterator[Time]:
    clock = Time()
    with mock.patch.object(recent_failures, "time", clock):
        yield clock


@pytest.fixture
def store() -> RecentFailures:
    return RecentFailures()


@pytest.fixture
def counters(store: RecentFailures) -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(store)


def test_counts_up_to_the_limit_and_no_further(counters: MovingWindowRateLimiter, clock: Time) -> None:
    assert [counters.hit(LIMIT, "a") for _ in range(4)] == [True, True, True, False]
    assert not counters.test(LIMIT, "a")
    assert counters.test(LIMIT, "b")


def test_a_clock_that_is_set_back_locks_nobody_out(counters: MovingWindowRateLimiter, clock: Time) -> None:
    for _ in range(3):
        counters.hit(LIMIT, "a")
        counters.hit(LIMIT, "b")
    clock.at -= 3600
    assert counters.get_window_stats(LIMIT, "a").remaining == 3
    assert [counters.hit(LIMIT, "b") for _ in range(4)] == [True, True, True, False]


def test_the_window_moves(counters: MovingWindowRateLimiter, clock: Time) -> None:
    for _ in range(3):
        counters.hit(LIMIT, "a")
        clock.at += 10
    assert counters.get_window_stats(LIMIT, "a") == (clock.at + 30, 0)

    clock.at += 29
    assert not counters.test(LIMIT, "a")
    clock.at += 2
    assert counters.test(LIMIT, "a")
    assert counters.get_window_stats(LIMIT, "a").remaining == 1
    clock.at += 60
    assert counters.get_window_stats(LIMIT, "a") == (clock.at + 60, 3)


def test_several_at_once_count_as_several(counters: MovingWindowRateLimiter, clock: Time) -> None:
    assert counters.hit(LIMIT, "a", cost=2)
    assert not counters.hit(LIMIT, "a", cost=2)
    assert counters.hit(LIMIT, "a")


def test_windows_that_are_over_are_forgotten(
    counters: MovingWindowRateLimiter, store: RecentFailures, clock: Time
) -> None:
    for number in range(50):
        counters.hit(LIMIT, f"made up {number}")
    assert len(store) == 50

    clock.at += 61
    for _ in range(25):
        counters.hit(LIMIT, "a")

    assert len(store) == 1


def test_who_fails_again_and_again_is_not_forgotten_for_others(
    counters: MovingWindowRateLimiter, store: RecentFailures, clock: Time
) -> None:
    with mock.patch.object(recent_failures, "MOST_KEYS", 10):
        for number in range(100):
            counters.hit(RateLimitItemPerMinute(1000), "a")
            counters.hit(LIMIT, f"made up {number}")
    assert len(store) == 10
    assert store.get_moving_window(RateLimitItemPerMinute(1000).key_for("a"), 1000, 60)[1] == 100


def test_no_thread_goes_through_all_keys(counters: MovingWindowRateLimiter, store: RecentFailures) -> None:
    """limits' own store starts one for each hundredth of a second in which something was counted."""
    store.timer.join()
    with mock.patch.object(threading.Thread, "start", side_effect=AssertionError("a thread was started")):
        for number in range(100):
            counters.hit(LIMIT, f"made up {number}")


def test_clears_one_key_or_all(counters: MovingWindowRateLimiter, store: RecentFailures) -> None:
    for key in ("a", "a", "a", "b"):
        counters.hit(LIMIT, key)
    counters.clear(LIMIT, "a")
    assert counters.hit(LIMIT, "a")
    assert store.reset() == 2
    assert len(store) == 0


def test_threads_get_no_more_tries_between_them(counters: MovingWindowRateLimiter) -> None:
    limit, made = RateLimitItemPerMinute(50), []

    def work() -> None:
        made.extend(counters.hit(limit, "a") for _ in range(40))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 50
