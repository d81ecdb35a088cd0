"""The figures of the dashboard as the page shows them, each with the list that it counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from changegate.console.records.pages import list_url
from changegate.services.dashboard.charts import CHANGE_TABLE, CLOSED_RECENTLY, NUMBERS, SUCCESSFUL, ChartDefinition
from changegate.services.dashboard.figures import LATEST_CLOSED, ChartGroup, Closed, Figures


@dataclass(frozen=True, slots=True)
class ChartBar:
    """A group: its label, value, and count, the share of the longest bar in percent, and the list of its records."""

    label: str
    value: str
    count: int
    share: float
    url: str


@dataclass(frozen=True, slots=True)
class LeadTime:
    """The time from creation to closure: of half of the changes at most, and of nine in ten; and their list."""

    median: timedelta
    ninetieth: timedelta
    url: str


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """How many of the closed changes were successful, and the list of the closed ones."""

    closed: int
    successful: int
    url: str

    @property
    def percent(self) -> int:
        """Return the share of the successful changes, rounded down so that only complete success is 100%."""
        return 100 * self.successful // self.closed


def bars_of(chart: ChartDefinition, groups: Sequence[ChartGroup]) -> list[ChartBar]:
    """Return the bars of a chart."""
    longest = max((group.count for group in groups), default=1)
    return [
        ChartBar(
            group.label,
            group.value,
            group.count,
            round(100 * group.count / longest, 1),
            _url(chart, group.value, chart.query),
        )
        for group in groups
    ]


def _url(chart: ChartDefinition, value: str, query: str) -> str:
    condition = f"{chart.field}={value.replace('^', '^^')}" if value else f"{chart.field}ISEMPTY"
    return list_url(chart.table, sysparm_query=f"{query}^{condition}")


def numbers_of(figures: Figures) -> Iterator[tuple[str, int, str]]:
    """Yield label, count, and list of single numbers."""
    for label, query in NUMBERS.items():
        yield label, figures.numbers.get(label, 0), list_url(CHANGE_TABLE, sysparm_query=query)


def success_rate(outcomes: Sequence[ChartGroup]) -> SuccessRate | None:
    """Return how many of the recently closed changes were successful, by their outcomes, or None."""
    closed = sum(group.count for group in outcomes)
    successful = sum(group.count for group in outcomes if group.value == SUCCESSFUL)
    url = list_url(CHANGE_TABLE, sysparm_query=f"{CLOSED_RECENTLY}^ORDERBYclose_code")
    return SuccessRate(closed, successful, url) if closed else None


def success_rates(chart: ChartDefinition, closed: Mapping[str, Closed]) -> Mapping[str, SuccessRate]:
    """Return the rates of the closed changes of the bars of a chart, by their values."""
    query = f"{chart.query}^state=3"
    return {
        value: SuccessRate(each.closed, each.successful, _url(chart, value, query)) for value, each in closed.items()
    }


def lead_time(figures: Figures) -> LeadTime | None:
    """Return the lead time of recently closed changes, or None without any."""
    if not figures.lead_times:
        return None
    half, ninetieth = (timedelta(seconds=seconds) for seconds in figures.lead_times)
    return LeadTime(half, ninetieth, list_url(CHANGE_TABLE, sysparm_query=LATEST_CLOSED))
