"""Limits, and the number of fetches within a time."""

import pytest
from benchmarks.bounds import TAIL, Bound, tail_bounds
from benchmarks.flood import most_within
from benchmarks.load import Measurement


def test_a_number_at_its_limit_is_kept() -> None:
    assert Bound("fetches", 1, 1).verdict == "kept"


def test_a_number_above_its_limit_is_exceeded() -> None:
    assert Bound("fetches", 2, 1).verdict == "exceeded"


def test_a_number_without_a_limit_is_reported() -> None:
    assert Bound("fetches", 2).verdict == "reported"


@pytest.mark.parametrize(("p99", "verdict"), [(10 * TAIL, "kept"), (10 * TAIL + 1, "exceeded")])
def test_the_tail_of_a_warm_exchange_is_compared_at_sixteen_connections(p99: float, verdict: str) -> None:
    results = {
        ("d-rs256", 1): Measurement(1000.0, p50=1.0, p99=1000.0, requests=10),
        ("d-rs256", 16): Measurement(1000.0, p50=10.0, p99=p99, requests=10),
        ("f", 16): Measurement(1000.0, p50=1.0, p99=1000.0, requests=10),
    }
    [bound] = tail_bounds(results)
    assert bound.name == "d-rs256: p99 / p50, 16 connections"
    assert bound.verdict == verdict


@pytest.mark.parametrize(
    ("instants", "most"),
    [([1.0], 1), ([1.0, 2.0, 3.0], 1), ([1.0, 1.2, 3.0], 2), ([1.0, 5.0, 5.1, 5.2], 3)],
)
def test_fetches_are_counted_within_any_second(instants: list[float], most: int) -> None:
    assert most_within(instants, 1.0) == most
