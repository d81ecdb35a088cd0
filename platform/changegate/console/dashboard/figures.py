"""The numbers of the dashboard, of the records that the user may see."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from changegate.console.dashboard.charts import (
    CLOSED_RECENTLY,
    CREATED,
    CREATED_RECENTLY,
    ON_HOLD,
    SUCCESSFUL,
    ChartDefinition,
)
from changegate.console.records.pages import list_url
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, Stats, aggregate_records
from changegate.services.tables.reading.records import count_records, read_page
from changegate.services.tables.registry import get_table

_CHANGES = "change_request"
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


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """The number of records that have the same values of some fields; `members` has their values and labels."""

    members: Mapping[str, tuple[str, str]]
    count: int


def read_charts(charts: Iterable[ChartDefinition], caller: Caller) -> dict[str, list[ChartBar]]:
    """Return the bars of charts by their keys; of ranked charts, the first `MOST_BARS`.

    One statement reads the other charts of the same records.
    """
    together: dict[tuple[str, ...], list[ChartDefinition]] = {}
    for chart in charts:
        together.setdefault((chart.table, chart.query, *([chart.key] if chart.is_ranked else ())), []).append(chart)
    bars: dict[str, list[ChartBar]] = {}
    for first, *others in together.values():
        fields = tuple(chart.field for chart in (first, *others))
        groups = _read_groups(first.table, first.query, fields, caller, is_ranked=first.is_ranked)
        bars |= {chart.key: _bars_of(chart, groups) for chart in (first, *others)}
    return bars


def _read_groups(
    table: str, query: str, fields: tuple[str, ...], caller: Caller, *, is_ranked: bool = False
) -> list[FieldGroup]:
    """Return the groups of the records of a query; if they are ranked, the largest ones."""
    aggregation = Aggregation(
        counts=True,
        group_by=fields,
        order_by=(("count", "DESC"),) if is_ranked else (),
        display_value=DisplayValue.ALL,
        most=MOST_BARS if is_ranked else None,
    )
    found = aggregate_records(get_table(table), caller, parse_encoded_query(query), aggregation)
    return [_group(each) for each in (found if isinstance(found, list) else [])]


def _group(stats: Stats) -> FieldGroup:
    members = {
        each["field"]: (str(each["value"]), str(each["display_value"] or each["value"] or NO_VALUE))
        for each in stats["groupby_fields"]
    }
    return FieldGroup(members, int(stats["stats"]["count"]))


def _bars_of(chart: ChartDefinition, groups: Sequence[FieldGroup]) -> list[ChartBar]:
    labels = dict(group.members[chart.field] for group in groups if chart.field in group.members)
    counts = _counts_by(chart.field, groups)
    longest = max(counts.values(), default=1)
    return [
        ChartBar(labels[value], value, count, round(100 * count / longest, 1), _url(chart, value, chart.query))
        for value, count in (counts.items() if chart.is_ranked else sorted(counts.items(), key=_in_order))
    ]


def _counts_by(field: str, groups: Iterable[FieldGroup]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in groups:
        value, _ = group.members[field]
        counts[value] = counts.get(value, 0) + group.count
    return counts


def _in_order(counted: tuple[str, int]) -> tuple[int, str]:
    """Return by what the groups of a field are sorted: numbers by size, then texts."""
    value, _ = counted
    return (int(value), "") if value.removeprefix("-").isdecimal() else (0, value)


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


def numbers_of(caller: Caller) -> Iterator[tuple[str, int, str]]:
    """Yield label, count, and list of single numbers."""
    groups = _read_groups(_CHANGES, CREATED_RECENTLY, tuple(dict.fromkeys(each.field for each in CREATED)), caller)
    for each in CREATED:
        count = sum(group.count for group in groups if each.is_counted(group.members[each.field][0]))
        yield each.label, count, list_url(_CHANGES, sysparm_query=f"{CREATED_RECENTLY}^{each.field}{each.condition}")
    label, query = ON_HOLD
    yield (
        label,
        count_records(get_table(_CHANGES), caller, parse_encoded_query(query)),
        list_url(_CHANGES, sysparm_query=query),
    )


def success_rate(outcomes: Sequence[ChartBar]) -> SuccessRate | None:
    """Return how many of the recently closed changes were successful, by the bars of their outcomes, or None."""
    closed = sum(bar.count for bar in outcomes)
    successful = sum(bar.count for bar in outcomes if bar.value == SUCCESSFUL)
    url = list_url(_CHANGES, sysparm_query=f"{CLOSED_RECENTLY}^ORDERBYclose_code")
    return SuccessRate(closed, successful, url) if closed else None


def success_rates(chart: ChartDefinition, bars: Sequence[ChartBar], caller: Caller) -> Mapping[str, SuccessRate]:
    """Return the rates of the closed changes of the bars of a chart, by their values."""
    shown = "^OR".join(f"{chart.field}={bar.value.replace('^', '^^')}" for bar in bars)
    closed = f"{chart.query}^state=3"
    groups = _read_groups(chart.table, f"{closed}^{shown}", (chart.field, "close_code"), caller) if bars else []
    successful = [group for group in groups if group.members["close_code"][0] == SUCCESSFUL]
    counts = _counts_by(chart.field, successful)
    return {
        value: SuccessRate(count, counts.get(value, 0), _url(chart, value, closed))
        for value, count in _counts_by(chart.field, groups).items()
    }


def lead_time(caller: Caller) -> LeadTime | None:
    """Return the lead time of recently closed changes, or None without any."""
    query = f"{CLOSED_RECENTLY}^ORDERBYDESCclosed_at"
    changes, shape = get_table(_CHANGES), Shape("", fields=("sys_created_on", "closed_at"))
    page = read_page(changes, caller, parse_encoded_query(query), shape, limit=MOST_LEAD_TIMES, offset=0, counts=False)
    times = sorted(
        (datetime.fromisoformat(each["closed_at"]) - datetime.fromisoformat(each["sys_created_on"])).total_seconds()
        for each in page.records
    )
    if not times:
        return None
    ninetieth = times[min(len(times) - 1, len(times) * 9 // 10)]
    url = list_url(_CHANGES, sysparm_query=query)
    return LeadTime(timedelta(seconds=median(times)), timedelta(seconds=ninetieth), url)
