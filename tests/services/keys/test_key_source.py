from datetime import UTC, datetime, timedelta

import pytest

from changegate.services.keys.key_source import (
    CachedFacts,
    Freshness,
    KeySource,
    backoff,
    fresh_for,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://idp.example/keys"
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def source(*, minutes=60, url=URL, digest="d", fetched_at=NOW, fresh_until=NOW + HOUR, **facts):
    return KeySource("e1", URL, minutes, CachedFacts(url, digest, fetched_at, fresh_until, **facts))


@pytest.mark.parametrize(
    ("age", "freshness"),
    [
        (timedelta(0), Freshness.FRESH),
        (HOUR - SECOND, Freshness.FRESH),
        (HOUR, Freshness.REVALIDATE),
        (HOUR + 10 * MINUTE - SECOND, Freshness.REVALIDATE),
        (HOUR + 10 * MINUTE, Freshness.IF_ERROR),
        (25 * HOUR - SECOND, Freshness.IF_ERROR),
        (25 * HOUR, Freshness.EXPIRED),
        (-5 * SECOND, Freshness.FRESH),
        (-6 * SECOND, Freshness.EXPIRED),
        (-365 * 24 * HOUR, Freshness.EXPIRED),
    ],
)
def test_a_key_set_ages(age, freshness):
    assert source().freshness_at(NOW + age) is freshness


@pytest.mark.parametrize(
    ("allowed", "age", "freshness"),
    [
        (timedelta(0), HOUR - SECOND, Freshness.FRESH),
        (timedelta(0), HOUR, Freshness.EXPIRED),
        (5 * MINUTE, HOUR + 5 * MINUTE - SECOND, Freshness.REVALIDATE),
        (5 * MINUTE, HOUR + 5 * MINUTE, Freshness.EXPIRED),
        (2 * HOUR, 3 * HOUR - SECOND, Freshness.IF_ERROR),
        (2 * HOUR, 3 * HOUR, Freshness.EXPIRED),
    ],
)
def test_a_key_set_is_used_in_an_outage_for_as_long_as_is_set(allowed, age, freshness):
    assert source().freshness_at(NOW + age, allowed) is freshness
    assert source().is_settled(NOW + age, allowed) is (freshness is Freshness.FRESH)


@pytest.mark.parametrize(
    "nothing",
    [
        KeySource("e1", URL, 60),
        source(url=URL + "2"),
        source(digest=None),
        source(fetched_at=None),
        source(fresh_until=None),
    ],
    ids=["no row", "another URL's", "no document", "no instant", "no end"],
)
def test_a_missing_key_set_is_expired(nothing):
    assert nothing.freshness_at(NOW) is Freshness.EXPIRED
    assert not nothing.is_settled(NOW)


def test_a_shortened_lifespan_counts_at_once():
    assert source(minutes=5).freshness_at(NOW + 6 * MINUTE) is Freshness.REVALIDATE


def test_a_stale_set_is_used_during_a_fetch_and_after_a_recent_failure():
    stale = NOW + HOUR + MINUTE
    assert not source().is_settled(stale)
    assert source(fetch_lease_until=stale + SECOND).is_settled(stale)
    assert source(failed_at=stale - SECOND, failures=1).is_settled(stale)
    assert not source(failed_at=stale - 7 * SECOND, failures=1).is_settled(stale)
    assert not source(failed_at=stale - SECOND, failures=0).is_settled(stale)


def test_instants_in_the_future_are_ignored():
    assert not source(failed_at=NOW + 6 * SECOND, failures=9).is_backing_off(NOW)
    assert not CachedFacts(URL, fetch_lease_until=NOW + HOUR).is_leased(NOW)
    assert CachedFacts(URL, unknown_kid_fetch_at=NOW + 6 * SECOND).is_unknown_kid_fetch_due(MINUTE, NOW)


def test_a_clock_that_is_a_little_behind_respects_what_others_wrote():
    assert source(failed_at=NOW + SECOND, failures=1).is_backing_off(NOW)
    assert not source(failed_at=NOW + SECOND, failures=0).is_backing_off(NOW)
    assert CachedFacts(URL, fetch_lease_until=NOW + 11 * SECOND).is_leased(NOW)
    assert not CachedFacts(URL, unknown_kid_fetch_at=NOW + SECOND).is_unknown_kid_fetch_due(MINUTE, NOW)


@pytest.mark.parametrize(
    ("max_age", "expected"),
    [
        (None, HOUR),
        (timedelta(0), MINUTE),
        (59 * SECOND, MINUTE),
        (30 * MINUTE, 30 * MINUTE),
        (timedelta(days=365), HOUR),
    ],
)
def test_freshness_follows_the_response_headers_within_bounds(max_age, expected):
    assert fresh_for(max_age, HOUR) == expected


def test_a_lifespan_is_never_under_a_minute():
    assert KeySource("e1", URL, 0).lifespan == MINUTE


def test_backoff_doubles_from_5_seconds_to_5_minutes_give_or_take_a_fifth():
    assert backoff("e1", 0) == timedelta(0)
    for failures, seconds in enumerate([5, 10, 20, 40, 80, 160, 300, 300], 1):
        assert 0.8 * seconds <= backoff("e1", failures).total_seconds() <= min(1.2 * seconds, 300)
    assert backoff("e1", 10**9) <= 5 * MINUTE
    assert backoff("e1", 3) == backoff("e1", 3) != backoff("e2", 3)
