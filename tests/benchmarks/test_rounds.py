"""A run that uses up its requests is repeated with more of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks import rounds
from benchmarks.cases import Case
from benchmarks.errors import BenchFailed, FeedDry, NothingAnswered
from benchmarks.load import Measurement, Traffic, _read

CLEAN = {"requests": 10, "duration": 1_000_000, "p50": 1000, "p99": 2000}
TROUBLES = dict.fromkeys(("connect", "read", "write", "timeout", "not_2xx", "dry", "complaint"), 0)


def output(**facts: int) -> str:
    return "\n".join(f"## {name}\t{value}" for name, value in (CLEAN | TROUBLES | facts).items())


def test_an_exhausted_feed_is_distinguished_from_a_refusal() -> None:
    with pytest.raises(FeedDry) as caught:
        _read(output(dry=1, not_2xx=4), "POST /oauth_token.do")
    assert caught.value.used == 9


def test_a_refusal_ends_the_benchmark() -> None:
    with pytest.raises(BenchFailed, match="not_2xx=4 in 10 answers"):
        _read(output(not_2xx=4), "POST /oauth_token.do")


def test_microseconds_become_milliseconds_and_a_rate() -> None:
    assert _read(output(), "GET /") == Measurement(10.0, 1.0, 2.0, 10)


def test_a_run_that_ran_dry_is_done_again_with_twice_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[int] = []

    def traffic(needed: int) -> Traffic:
        prepared.append(needed)
        return Traffic(method="POST", feed=Path(str(needed)), once=True)

    def drive(_base_url: str, traffic: Traffic, _connections: int, _seconds: int) -> Measurement:
        if (lines := int(traffic.feed.name)) < 1500:
            raise FeedDry("POST /", lines)
        return Measurement(1500.0, 1.0, 2.0, 1500)

    monkeypatch.setattr(rounds, "drive", drive)
    found = rounds.measure([Case("d", "once only", "", traffic)], runs=1, seconds=1, tell=lambda said: None)
    assert {measured.rate for measured in found.values()} == {1500.0}
    assert max(prepared) == 1500 * rounds.MARGIN + rounds.SPARE
    assert prepared[:4] == [200, 400, 800, 1600]


def test_a_case_too_slow_for_the_run_is_given_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def drive(_base_url: str, _traffic: Traffic, _connections: int, seconds: int) -> Measurement:
        if seconds < 4:
            raise NothingAnswered("GET /")
        return Measurement(0.25, 4000.0, 4000.0, 1)

    monkeypatch.setattr(rounds, "drive", drive)
    slow = Case("h", "slow", "", lambda _: Traffic(method="GET", feed=Path()))
    found = rounds.measure([slow], runs=1, seconds=1, tell=lambda said: None)
    assert {measured.rate for measured in found.values()} == {0.25}


def test_a_case_that_never_answers_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def drive(_base_url: str, _traffic: Traffic, _connections: int, _seconds: int) -> Measurement:
        raise NothingAnswered("GET /")

    monkeypatch.setattr(rounds, "drive", drive)
    dead = Case("h", "dead", "", lambda _: Traffic(method="GET", feed=Path()))
    with pytest.raises(NothingAnswered):
        rounds.measure([dead], runs=1, seconds=1, tell=lambda said: None)


def test_a_run_without_an_answer_is_no_measurement() -> None:
    with pytest.raises(NothingAnswered):
        _read(output(requests=0), "GET /")


def test_other_work_during_a_case_lasts_as_long_as_each_of_its_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    @contextmanager
    def beside(connections: int, seconds: int) -> Iterator[None]:
        seen.append(f"begin {connections} {seconds}")
        yield
        seen.append("end")

    def drive(_base_url: str, _traffic: Traffic, _connections: int, _seconds: int) -> Measurement:
        seen.append("run")
        return Measurement(1000.0, 1.0, 2.0, 1000)

    monkeypatch.setattr(rounds, "drive", drive)
    case = Case("d-flood", "flooded", "", lambda _: Traffic(method="GET", feed=Path()), beside)
    rounds.measure([case], runs=1, seconds=2, tell=lambda said: None)
    assert seen == [
        *("begin 1 1", "run", "end", "begin 16 1", "run", "end"),
        *("begin 1 2", "run", "end", "begin 16 2", "run", "end"),
    ]
