"""The ratios of the speeds of cases, with their targets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.load import BUSY

MILLION = "-1m"


@dataclass(frozen=True)
class Ratio:
    """The speed of a case divided by that of another; without a target, it is only reported.

    With `when_busy`, the target applies only to the connections that keep a server busy.
    """

    case: str
    floor: str
    target: float | None = None
    when_busy: bool = False

    @property
    def name(self) -> str:
        """Return the name in the report."""
        return f"{self.case} / {self.floor}"

    def over(self, connections: int) -> "Ratio":
        """Return the ratio with its target for so many connections."""
        return replace(self, target=None) if self.when_busy and connections < BUSY else self

    def verdict(self, value: float) -> str:
        """Return `reached` or `below`, or `reported` without a target."""
        if self.target is None:
            return "reported"
        return "reached" if value >= self.target else "below"


RATIOS = (
    Ratio("d-rs256", "b", 0.35),
    Ratio("d-rs256", "b", 0.40),
    Ratio("d-es256", "b", 0.35),
    Ratio("d-rs256", "peer", 2.5, when_busy=True),
    Ratio("d-rs256", "peer-driver"),
    Ratio("d-report", "d-rs256"),
    Ratio("d-rotation", "d-rs256"),
    Ratio("d-down", "d-rs256"),
    Ratio("d-flood", "d-calm", 0.50),
    Ratio("e", "b", 0.35),
    Ratio("e", "b-unsigned", 0.40),
    Ratio("f", "c", 0.30),
    Ratio("f", "c", 0.40),
    Ratio("h", "g", 0.25),
    Ratio("k-opaque", "f"),
    Ratio("k-jwt", "k-opaque"),
    Ratio("l-opaque", "k-opaque"),
    Ratio("l-jwt", "l-opaque"),
    Ratio("m-scoped", "m-unscoped", 1 / 1.25),
    Ratio("n-own-1", "n-one", 1 / 1.5),
    Ratio("n-own-20", "n-one"),
    Ratio(f"e{MILLION}", "e", 0.50),
    Ratio(f"f{MILLION}", "f", 0.50),
    Ratio(f"h{MILLION}", "h", 0.50),
    Ratio(f"i{MILLION}", "i"),
)


def ratios_of(rates: Mapping[str, float], connections: int) -> list[tuple[Ratio, float]]:
    """Return every ratio whose two cases were measured over so many connections."""
    return [
        (ratio.over(connections), rates[ratio.case] / rates[ratio.floor])
        for ratio in RATIOS
        if ratio.case in rates and ratio.floor in rates
    ]
