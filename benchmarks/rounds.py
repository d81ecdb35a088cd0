"""The order of the runs: warm up, prepare all traffic, then measure in interleaved rounds."""

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
# The prepared requests: this many times those that the measured rate would use, and `SPARE` more.
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
    """Run a case; repeat it with twice the feed if it was used up, and for longer if there was no answer in time.

    A warm-up at a busy moment measures too low a rate, and very slow cases are reported, too.
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
    # Other work of the machine must not always affect the same case.
    start = by * (len(runs) // 3 + 1) % max(len(runs), 1)
    return runs[start:] + runs[:start]


def _warm_up(run: Run, rates: Mapping[tuple[str, int], float]) -> float:
    case, connections = run
    # The floors are first in the list, and no case is faster than its floor.
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
