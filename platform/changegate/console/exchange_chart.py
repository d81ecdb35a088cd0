"""Exchanges over time as a chart: bars in a box of 100 units of height and 10 of width for each period.

The page draws them as SVG, stretched to the width there is; numbers and words stand beside it, as text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from changegate.services.hygiene.history import History, Period

HEIGHT, WIDTH, GAP = 100.0, 10.0, 1.6
# What is there at all can be seen, beside whatever number.
LEAST_HEIGHT = 1.5
# Each can be halved: one line of the grid is at half of the top.
TOPS = (2, 4, 6, 8, 10, 12, 14, 16, 18)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a bar; `kind` is accepted, would-refuse or refused."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One period: where it stands, its parts from the bottom up, and what it says."""

    x: float
    width: float
    blocks: tuple[Block, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, what the axes say (`top` and half of it; first, middle and last period), and all of it in a sentence."""

    bars: list[Bar]
    width: float
    top: int
    labels: tuple[str, str, str]
    summary: str
    is_empty: bool


def chart_of(history: History, shows: str, unit: str) -> Chart:
    """Return the chart of a history; `shows` is how a period's start is written, `unit` what one is called."""
    periods = history.periods
    highest = max(_total(period) for period in periods)
    top = _top(highest)
    names = [period.starts_at.strftime(shows) for period in periods]
    bars = [
        Bar(place * WIDTH + GAP / 2, WIDTH - GAP, tuple(_blocks(period, top)), f"{name}: {_says(period)}")
        for place, (period, name) in enumerate(zip(periods, names, strict=True))
    ]
    labels = (names[0], names[len(names) // 2], names[-1])
    return Chart(bars, len(periods) * WIDTH, top, labels, _summary(periods, names, unit), highest == 0)


def _blocks(period: Period, top: int) -> Iterator[Block]:
    parts = {
        "accepted": period.accepted - period.would_refuse,
        "would-refuse": period.would_refuse,
        "refused": period.refused,
    }
    floor = HEIGHT
    for kind, number in parts.items():
        if number:
            height = max(LEAST_HEIGHT, number * HEIGHT / top)
            floor = max(0.0, floor - height)
            yield Block(kind, round(floor, 2), round(height, 2))


def _top(highest: int) -> int:
    """Return the least of 2, 4… 18, 20, 40… 180, 200, 400… that nothing is above."""
    scale = 1
    while True:
        for step in TOPS:
            if step * scale >= highest:
                return step * scale
        scale *= 10


def _total(period: Period) -> int:
    return period.accepted + period.refused


def _says(period: Period) -> str:
    reported = f", {period.would_refuse} of them despite a failed report-only condition" if period.would_refuse else ""
    return f"{period.accepted} accepted{reported}, {period.refused} refused"


def _summary(periods: Sequence[Period], names: Sequence[str], unit: str) -> str:
    accepted, refused = sum(period.accepted for period in periods), sum(period.refused for period in periods)
    span = f"the last {len(periods)} {unit}s"
    if not accepted and not refused:
        return f"No exchanges in {span}."
    busiest = max(range(len(periods)), key=lambda place: _total(periods[place]))
    most = f"the busiest {unit} is {names[busiest]} with {_total(periods[busiest])}"
    return f"In {span}: {accepted} accepted, {refused} refused; {most}."
