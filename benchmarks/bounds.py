"""What may not be exceeded: how long the slowest wait, and how often a provider is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load import BUSY, Measurement

# The slowest hundredth of warm exchanges may take so many times as long as the middle one.
TAIL = 10.0
TAIL_CASES = ("d-rs256", "d-es256")


@dataclass(frozen=True)
class Bound:
    """A measured number that is good while it is at most `limit`; without a limit it is only reported."""

    name: str
    measured: float
    limit: float | None = None

    @property
    def verdict(self) -> str:
        """Return `kept` or `exceeded`, or `reported` where there is no limit."""
        if self.limit is None:
            return "reported"
        return "kept" if self.measured <= self.limit else "exceeded"


def tail_bounds(results: Mapping[tuple[str, int], Measurement]) -> list[Bound]:
    """Return the tail of each case of a warm exchange that was measured."""
    measured = {name: results[name, BUSY] for name in TAIL_CASES if (name, BUSY) in results}
    return [
        Bound(f"{name}: p99 / p50, {BUSY} connections", found.p99 / found.p50, TAIL) for name, found in measured.items()
    ]
