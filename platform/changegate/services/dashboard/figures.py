"""The figures of the dashboard, of the records that a caller may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from changegate.services.access.caller import Caller
from changegate.services.dashboard.charts import (
    CHANGE_TABLE,
    CHARTS,
    CLOSED_RECENTLY,
    NUMBERS,
    PIPELINES,
    SUCCESSFUL,
    ChartDefinition,
)
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, Stats, group_records
from changegate.services.tables.reading.records import count_records, read_page
from changegate.services.tables.registry import get_table

MOST_BARS = 8
# Of this many changes, the latest, the lead time is computed.
MOST_LEAD_TIMES = 1000
NO_VALUE = "No value"
LATEST_CLOSED = f"{CLOSED_RECENTLY}^ORDERBYDESCclosed_at"


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """The number of records that have a value of a field, with the label of the value."""

    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Closed:
    """How many changes were closed, and how many of them were successful."""

    closed: int
    successful: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures, which JSON can contain.

    `charts` are by the keys of their definitions, `closed` by pipeline, `numbers` by their labels. `lead_times` are
    seconds from creation to closure: of half of the changes at most, and of nine in ten; empty without closed changes.
    """

    charts: Mapping[str, Sequence[ChartGroup]]
    closed: Mapping[str, Closed]
    numbers: Mapping[str, int]
    lead_times: Sequence[float]


def read_figures(caller: Caller) -> Figures:
    """Return the figures of the records that a caller may see."""
    charts = _read_charts(caller)
    changes = get_table(CHANGE_TABLE)
    numbers = {label: count_records(changes, caller, parse_encoded_query(query)) for label, query in NUMBERS.items()}
    return Figures(charts, _read_closed(PIPELINES, charts[PIPELINES.key], caller), numbers, _read_lead_times(caller))


def _read_charts(caller: Caller) -> dict[str, list[ChartGroup]]:
    """Return the groups of all charts by their keys; of ranked charts, the first `MOST_BARS`.

    One statement reads the other charts of the same records.
    """
    together: dict[tuple[str, ...], list[ChartDefinition]] = {}
    for chart in (*CHARTS, PIPELINES):
        together.setdefault((chart.table, chart.query, *([chart.key] if chart.is_ranked else ())), []).append(chart)
    found: dict[str, list[ChartGroup]] = {}
    for first, *others in together.values():
        fields = tuple(chart.field for chart in (first, *others))
        groups = _read_groups(first.table, first.query, fields, caller, is_ranked=first.is_ranked)
        found |= {chart.key: _groups_of(chart, groups) for chart in (first, *others)}
    return found


@dataclass(frozen=True, slots=True)
class _FieldGroup:
    """The number of records that have the same values of some fields; `members` has their values and labels."""

    members: Mapping[str, tuple[str, str]]
    count: int


def _read_groups(
    table: str, query: str, fields: tuple[str, ...], caller: Caller, *, is_ranked: bool = False
) -> list[_FieldGroup]:
    """Return the groups of the records of a query; if they are ranked, the largest ones."""
    aggregation = Aggregation(
        counts=True,
        group_by=fields,
        order_by=(("count", "DESC"),) if is_ranked else (),
        display_value=DisplayValue.ALL,
        most=MOST_BARS if is_ranked else None,
    )
    return [*map(_group, group_records(get_table(table), caller, parse_encoded_query(query), aggregation))]


def _group(stats: Stats) -> _FieldGroup:
    members = {
        each["field"]: (str(each["value"]), str(each["display_value"] or each["value"] or NO_VALUE))
        for each in stats["groupby_fields"]
    }
    return _FieldGroup(members, int(stats["stats"]["count"]))


def _groups_of(chart: ChartDefinition, groups: Sequence[_FieldGroup]) -> list[ChartGroup]:
    counts: dict[tuple[str, str], int] = {}
    for group in groups:
        shown = group.members[chart.field]
        counts[shown] = counts.get(shown, 0) + group.count
    found = [ChartGroup(*shown, count) for shown, count in counts.items()]
    return found if chart.is_ranked else sorted(found, key=_in_order)


def _in_order(group: ChartGroup) -> tuple[int, str]:
    """Return by what the groups of a field are sorted: numbers by size, then texts."""
    value = group.value
    return (int(value), "") if value.removeprefix("-").isdecimal() else (0, value)


def _read_closed(chart: ChartDefinition, groups: Sequence[ChartGroup], caller: Caller) -> dict[str, Closed]:
    """Return how many of the records of the groups of a chart are closed, by their values."""
    shown = "^OR".join(f"{chart.field}={each.value.replace('^', '^^')}" for each in groups)
    query = f"{chart.query}^state=3^{shown}"
    found: dict[str, Closed] = {}
    for group in _read_groups(chart.table, query, (chart.field, "close_code"), caller) if groups else ():
        value, _ = group.members[chart.field]
        before = found.get(value, Closed(0, 0))
        successful = group.count if group.members["close_code"][0] == SUCCESSFUL else 0
        found[value] = Closed(before.closed + group.count, before.successful + successful)
    return found


def _read_lead_times(caller: Caller) -> list[float]:
    changes, shape = get_table(CHANGE_TABLE), Shape("", fields=("sys_created_on", "closed_at"))
    query = parse_encoded_query(LATEST_CLOSED)
    page = read_page(changes, caller, query, shape, limit=MOST_LEAD_TIMES, offset=0, counts=False)
    times = sorted(
        (datetime.fromisoformat(each["closed_at"]) - datetime.fromisoformat(each["sys_created_on"])).total_seconds()
        for each in page.records
    )
    return [median(times), times[min(len(times) - 1, len(times) * 9 // 10)]] if times else []
