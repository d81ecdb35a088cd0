"""The numbers of the dashboard, of the records that the user may see."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from changegate.console.dashboard.charts import CLOSED_RECENTLY, SUCCESSFUL, ChartDefinition
from changegate.console.records.pages import list_url
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, Stats, aggregate_records
from changegate.services.tables.reading.records import count_records, read_page
from changegate.services.tables.registry import get_table

MOST_BARS = 8
# Of this many changes, the latest, the lead time is computed.
MOST_LEAD_TIMES = 1000
NO_VALUE = "No value"


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


def bars_of(chart: ChartDefinition, caller: Caller) -> list[ChartBar]:
    """Return the bars of a chart; of ranked ones, the first `MOST_BARS`."""
    groups = _groups_of(chart, chart.query, caller)
    longest = max((count for _, _, count in groups), default=1)
    shown = groups[:MOST_BARS] if chart.is_ranked else groups
    return [
        ChartBar(label, value, count, round(100 * count / longest, 1), _url(chart, value, chart.query))
        for label, value, count in shown
    ]


def _groups_of(chart: ChartDefinition, query: str, caller: Caller) -> list[tuple[str, str, int]]:
    """Return label, value, and count of the groups of a chart's field among the records of a query."""
    order = (("count", "DESC"),) if chart.is_ranked else ((chart.field,),)
    aggregation = Aggregation(counts=True, group_by=(chart.field,), order_by=order, display_value=DisplayValue.ALL)
    found = aggregate_records(get_table(chart.table), caller, parse_encoded_query(query), aggregation)
    return [_group(each) for each in (found if isinstance(found, list) else [])]


def _group(stats: Stats) -> tuple[str, str, int]:
    [field] = stats["groupby_fields"]
    return str(field["display_value"] or field["value"] or NO_VALUE), str(field["value"]), int(stats["stats"]["count"])


def _url(chart: ChartDefinition, value: str, query: str) -> str:
    condition = f"{chart.field}={value.replace('^', '^^')}" if value else f"{chart.field}ISEMPTY"
    return list_url(chart.table, sysparm_query=f"{query}^{condition}")


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


def numbers_of(numbers: Sequence[tuple[str, str]], caller: Caller) -> Iterator[tuple[str, int, str]]:
    """Yield label, count, and list of single numbers."""
    for label, query in numbers:
        count = count_records(get_table("change_request"), caller, parse_encoded_query(query))
        yield label, count, list_url("change_request", sysparm_query=query)


def success_rate(outcomes: Sequence[ChartBar]) -> SuccessRate | None:
    """Return how many of the recently closed changes were successful, by the bars of their outcomes, or None."""
    closed = sum(bar.count for bar in outcomes)
    successful = sum(bar.count for bar in outcomes if bar.value == SUCCESSFUL)
    url = list_url("change_request", sysparm_query=f"{CLOSED_RECENTLY}^ORDERBYclose_code")
    return SuccessRate(closed, successful, url) if closed else None


def success_rates(chart: ChartDefinition, caller: Caller) -> Mapping[str, SuccessRate]:
    """Return the rates of the recently closed changes by the values of a chart of changes."""
    closed = f"{chart.query}^{CLOSED_RECENTLY}"
    successful = {value: count for _, value, count in _groups_of(chart, f"{closed}^close_code={SUCCESSFUL}", caller)}
    return {
        value: SuccessRate(count, successful.get(value, 0), _url(chart, value, closed))
        for _, value, count in _groups_of(chart, closed, caller)
    }


def lead_time(caller: Caller) -> LeadTime | None:
    """Return the lead time of recently closed changes, or None without any."""
    query = f"{CLOSED_RECENTLY}^ORDERBYDESCclosed_at"
    changes, shape = get_table("change_request"), Shape("", fields=("sys_created_on", "closed_at"))
    page = read_page(changes, caller, parse_encoded_query(query), shape, limit=MOST_LEAD_TIMES, offset=0)
    times = sorted(
        (datetime.fromisoformat(each["closed_at"]) - datetime.fromisoformat(each["sys_created_on"])).total_seconds()
        for each in page.records
    )
    if not times:
        return None
    ninetieth = times[min(len(times) - 1, len(times) * 9 // 10)]
    url = list_url("change_request", sysparm_query=query)
    return LeadTime(timedelta(seconds=median(times)), timedelta(seconds=ninetieth), url)
