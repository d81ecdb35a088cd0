"""The order of things: warm up, prepare every run's traffic, then measure in interleaved rounds."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import ceil
from statistics import median

from benchmarks.cases import Case
from benchmarks.errors import FeedDry, NothingAnswered
from benchmarks.load import CONNECTIONS, Measurement, Traffic, drive
from benchmarks.ratios import RATIOS

WARM_UP_SECONDS = 1
LONGEST_SECONDS = 10
# How many more requests are prepared than the rate seen so far would use up, and a few on top.
MARGIN = 2
SPARE = 200
FLOORS = {ratio.case: ratio.floor for ratio in RATIOS}

Run = tuple[Case, int]
Results = Mapping[tuple[str, int], Measurement]


def measure(cases: Sequence[Case], runs: int, seconds: int, tell: Callable[[str], None]) -> Results:
    """Measure every case with every number of connections; return the median of its runs."""
    pairs: list[Run] = list(product(cases, CONNECTIONS))
    tell("warming up")
    rates: dict[tuple[str, int], float] = {}
    for pair in pairs:
        rates[_key(pair)] = _warm_up(pair, rates)
    tell("preparing requests")
    rounds = [
        [(pair, pair[0].traffic(_needed(rates[_key(pair)], seconds))) for pair in _rotate(pairs, n)]
        for n in range(runs)
    ]
    found: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
    for number, round_ in enumerate(rounds, 1):
        for pair, traffic in round_:
            case, connections = pair
            tell(f"round {number} of {runs}: {case.label}, {connections} connection(s)")
            found[_key(pair)].append(_drive_with_enough(case, traffic, connections, seconds))
    return {key: _median(measured) for key, measured in found.items()}


def _drive_with_enough(case: Case, traffic: Traffic, connections: int, seconds: int) -> Measurement:
    """Drive; once more with twice the feed should it run dry, and for longer should no answer come in time.

    A warm-up that met a busy moment foretells too little, and what is very slow is to be reported, too.
    """
    try:
        with case.beside(connections, seconds):
            return drive(case.base_url, traffic, connections, seconds)
    except FeedDry as problem:
        return _drive_with_enough(case, case.traffic(2 * problem.used), connections, seconds)
    except NothingAnswered:
        if seconds > LONGEST_SECONDS:
            raise
        return _drive_with_enough(case, traffic, connections, 4 * seconds)


def _key(run: Run) -> tuple[str, int]:
    case, connections = run
    return case.name, connections


def _rotate(runs: list[Run], by: int) -> list[Run]:
    # A neighbour's noise, or a disk that tires, must not always hit the same case.
    start = by * (len(runs) // 3 + 1) % max(len(runs), 1)
    return runs[start:] + runs[:start]


def _warm_up(run: Run, rates: Mapping[tuple[str, int], float]) -> float:
    case, connections = run
    # The floors come first in the list, and nothing is faster than its floor.
    rate = rates.get((FLOORS.get(case.name, ""), connections), 0.0)
    traffic = case.traffic(_needed(rate, WARM_UP_SECONDS))
    return _drive_with_enough(case, traffic, connections, WARM_UP_SECONDS).rate


def _needed(rate: float, seconds: int) -> int:
    return ceil(rate * seconds * MARGIN) + SPARE


def _median(runs: Sequence[Measurement]) -> Measurement:
    return Measurement(
        median(run.rate for run in runs),
        median(run.p50 for run in runs),
        median(run.p99 for run in runs),
        sum(run.requests for run in runs),
    )
