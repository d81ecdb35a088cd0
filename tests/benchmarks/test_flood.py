"""A flood that sends nothing, or that is accepted, is reported as an error."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from benchmarks.errors import BenchFailed
from benchmarks.flood import Flood, FloodRun
from benchmarks.product import Instance
from benchmarks.provider import Provider, serving_keys
from benchmarks.signing import Signer

from tests.support.servers import wait_until

# Stands in for the load generator, which need not be installed: reports when it is interrupted, as that does.
GENERATOR = """
import os, pathlib, sys, time
ready, lasts, *facts = sys.argv[1:]
try:
    pathlib.Path(ready).write_text(str(os.getpid()))
    time.sleep(float(lasts))
except KeyboardInterrupt:
    pass
for fact in facts:
    print("## " + fact.replace("=", "\\t"))
"""
COUNTED = {"accepted": 0, "refused": 900, "held_up": 100, "failed": 0}


@dataclass
class StagedFlood(Flood):
    """A flood by a generator that lasts as long, and reports what, it is told to."""

    facts: tuple[str, ...] = ()
    lasts: float = 20.0

    @property
    def ready(self) -> Path:
        return self.folder / "ready"

    def command(self, connections: int, seconds: int) -> list[str]:
        return [sys.executable, "-c", GENERATOR, str(self.ready), str(self.lasts), *self.facts]

    def wait(self) -> int:
        """Wait until the generator works, and return its process."""
        wait_until(lambda: self.ready.exists() and self.ready.read_text())
        return int(self.ready.read_text())


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving_keys(lambda: b"{}") as provider:
        yield provider


@pytest.fixture
def flood(provider: Provider, tmp_path: Path) -> StagedFlood:
    return StagedFlood(tmp_path, "", Instance({}, "", "flooded", "secret"), Signer(), provider, 1, facts=report())


def report(**changes: int) -> tuple[str, ...]:
    counted = COUNTED | changes
    return ("duration=2000000", "complaint=", *(f"{name}={number}" for name, number in counted.items()))


def test_a_flood_is_counted_with_the_fetches_it_caused(flood: StagedFlood) -> None:
    flood.provider.fetched_at.append(1.0)
    with flood.beside(16, 2):
        flood.wait()
        flood.provider.fetched_at += [2.0, 3.5]
    assert flood.runs == [FloodRun(900, 100, 2.0)]
    assert flood.fetched_at == [2.0, 3.5]
    shown = {bound.name: (bound.measured, bound.verdict) for bound in flood.bounds()}
    assert shown["d-flood: fetches within a cooldown (1 s)"] == (1, "kept")
    assert shown["d-flood: flooding assertions refused per second"] == (450.0, "reported")


def test_two_fetches_in_a_cooldown_are_reported(flood: StagedFlood) -> None:
    with flood.beside(16, 2):
        flood.wait()
        flood.provider.fetched_at += [2.0, 2.5]
    assert flood.bounds()[0].verdict == "exceeded"


def test_a_flood_that_reached_no_key_set_is_no_measurement(flood: StagedFlood) -> None:
    with flood.beside(16, 2):
        flood.wait()
    with pytest.raises(BenchFailed, match="made the server ask"):
        flood.bounds()


@pytest.mark.parametrize("changes", [{"accepted": 1}, {"failed": 1}, {"refused": 0}], ids=str)
def test_a_flood_that_was_not_refused_ends_the_benchmark(flood: StagedFlood, changes: dict[str, int]) -> None:
    flood.facts = report(**changes)
    with pytest.raises(BenchFailed, match="The flood: accepted="), flood.beside(16, 2):
        flood.wait()


def test_a_flood_that_ends_before_the_valid_load_is_an_error(flood: StagedFlood) -> None:
    flood.lasts = 0.0
    with pytest.raises(BenchFailed, match="ended before the valid load did"), flood.beside(16, 2):
        os.waitid(os.P_PID, flood.wait(), os.WEXITED | os.WNOWAIT)


def test_a_flood_ends_when_the_valid_load_fails(flood: StagedFlood) -> None:
    with pytest.raises(ValueError, match="valid load"), flood.beside(16, 2):
        flood.wait()
        raise ValueError("valid load")
    assert flood.runs == []


def test_no_two_assertions_of_a_flood_are_the_same(flood: StagedFlood) -> None:
    forms = [line.partition("\t")[2] for line in flood.lines()]
    assert len(set(forms)) == len(forms) > 1000


def test_a_provider_that_has_ended_is_not_there(provider: Provider) -> None:
    assert requests.get(provider.jwks_url, timeout=60).content == b"{}"
    provider.end()
    with pytest.raises(requests.ConnectionError):
        requests.get(provider.jwks_url, timeout=60)
    assert len(provider.fetched_at) == 1
