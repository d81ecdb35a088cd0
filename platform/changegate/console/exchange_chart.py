"""The chart of exchanges over time, in units: 100 high, and 10 wide for each period.

The page draws the bars as SVG, stretched to the available width, and the labels as HTML beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from changegate.services.hygiene.history import History, PeriodCounts

HEIGHT, WIDTH, GAP = 100.0, 10.0, 1.6
# The minimum height of a block, so that a small number stays visible beside a large one.
LEAST_HEIGHT = 1.5
# Even numbers: one line of the grid is at half of the top.
TOPS = (2, 4, 6, 8, 10, 12, 14, 16, 18)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a bar; `kind` is accepted, would-refuse, or refused."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A period: its position, its blocks from the bottom up, and its label."""

    x: float
    width: float
    blocks: tuple[Block, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, the labels of the axes (`top` and its half; first, middle, and last period), and a summary."""

    bars: list[Bar]
    width: float
    top: int
    labels: tuple[str, str, str]
    summary: str
    is_empty: bool


def chart_of(history: History, shows: str, unit: str) -> Chart:
    """Return the chart of a history; `shows` formats the start of a period, `unit` is the noun for a period."""
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


def _blocks(period: PeriodCounts, top: int) -> Iterator[Block]:
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
    """Return the smallest of 2, 4… 18, 20, 40… 180, 200, 400… that is not below the largest number."""
    scale = 1
    while True:
        for step in TOPS:
            if step * scale >= highest:
                return step * scale
        scale *= 10


def _total(period: PeriodCounts) -> int:
    return period.accepted + period.refused


def _says(period: PeriodCounts) -> str:
    reported = f", {period.would_refuse} of them despite a failed report-only condition" if period.would_refuse else ""
    return f"{period.accepted} accepted{reported}, {period.refused} refused"


def _summary(periods: Sequence[PeriodCounts], names: Sequence[str], unit: str) -> str:
    accepted, refused = sum(period.accepted for period in periods), sum(period.refused for period in periods)
    span = f"the last {len(periods)} {unit}s"
    if not accepted and not refused:
        return f"No exchanges in {span}."
    busiest = max(range(len(periods)), key=lambda place: _total(periods[place]))
    most = f"the busiest {unit} is {names[busiest]} with {_total(periods[busiest])}"
    return f"In {span}: {accepted} accepted, {refused} refused; {most}."
