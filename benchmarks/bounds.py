"""Limits on measured numbers, such as the latency of the slowest requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load import BUSY, Measurement

# The slowest hundredth of warm exchanges may take this many times as long as the median.
TAIL = 10.0
TAIL_CASES = ("d-rs256", "d-es256")


@dataclass(frozen=True)
class Bound:
    """A measured number, which may be at most `limit`; without a limit, it is only reported."""

    name: str
    measured: float
    limit: float | None = None

    @property
    def verdict(self) -> str:
        """Return `kept` or `exceeded`, or `reported` without a limit."""
        if self.limit is None:
            return "reported"
        return "kept" if self.measured <= self.limit else "exceeded"


def tail_bounds(results: Mapping[tuple[str, int], Measurement]) -> list[Bound]:
    """Return the tail latency of each case of a warm exchange that was measured."""
    measured = {name: results[name, BUSY] for name in TAIL_CASES if (name, BUSY) in results}
    return [
        Bound(f"{name}: p99 / p50, {BUSY} connections", found.p99 / found.p50, TAIL) for name, found in measured.items()
    ]
