"""The state of the calendar, which is its URL: a month or a week, around a day, of some changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self

from changegate.console.local_times import time_zone
from changegate.extensions import now
from changegate.printable import typed
from changegate.services.schedules.spans import DAY, Interval, to_utc
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order
from changegate.services.tables.values import INSTANT_FORMAT

MONTH, WEEK = "month", "week"
# The fields by which the calendar is filtered, with their labels.
FILTERS: Mapping[str, str] = {"assignment_group": "Group", "cmdb_ci": "CI", "business_service": "Service"}
LONGEST_FILTER = 100
FIRST_DAY, LAST_DAY = date(1975, 1, 1), date(2200, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarState:
    """A month or week, a day in it, and the filters by field: a name or sys_id each."""

    view: str
    day: date
    filters: Mapping[str, str]

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> Self:
        """Read the query string; anything invalid is ignored."""
        filters = {name: typed(arguments.get(name, ""))[:LONGEST_FILTER] for name in FILTERS}
        return cls(
            view=WEEK if arguments.get("view") == WEEK else MONTH,
            day=_day(arguments.get("day", "")),
            filters={name: text for name, text in filters.items() if text},
        )

    @property
    def days(self) -> list[date]:
        """Return the days that are shown: whole weeks, from Monday on."""
        first = self.day.replace(day=1) if self.view == MONTH else self.day
        start = first - first.weekday() * DAY
        weeks = 1 if self.view == WEEK else -(-((_next_month(first) - start).days) // 7)
        return [start + at * DAY for at in range(7 * weeks)]

    @property
    def interval(self) -> Interval:
        """Return the shown time in UTC, in the time zone of the user."""
        days = self.days
        midnights = (datetime.combine(each, datetime.min.time()) for each in (days[0], days[-1] + DAY))
        start, end = (to_utc(each, time_zone()) for each in midnights)
        return start, end

    @property
    def title(self) -> str:
        """Return what is shown in words."""
        if self.view == MONTH:
            return f"{self.day:%B %Y}"
        return f"{self.days[0]:%d %B} to {self.days[-1]:%d %B %Y}"

    def moved(self, by: int) -> Self:
        """Return the calendar of the following (1) or preceding (-1) month or week."""
        if self.view == WEEK:
            day = self.day + 7 * by * DAY
        else:
            first = self.day.replace(day=1)
            day = _next_month(first) if by > 0 else (first - DAY).replace(day=1)
        return replace(self, day=min(max(day, FIRST_DAY), LAST_DAY))

    def seen_as(self, view: str) -> Self:
        """Return the calendar with the other view of the same day."""
        return replace(self, view=view)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string."""
        return {"view": self.view, "day": self.day.isoformat(), **self.filters}

    @property
    def filter_query(self) -> EncodedQuery:
        """Return the query of the filters alone: what feeds contain."""
        return EncodedQuery((tuple((Condition(name, "=", text),) for name, text in self.filters.items()),))


def query_of(base: EncodedQuery, interval: Interval) -> EncodedQuery:
    """Return the query for changes of `base` that are planned in an interval and not canceled."""
    start, end = (each.strftime(INSTANT_FORMAT) for each in interval)
    window = (Condition("start_date", "<", end), Condition("end_date", ">", start), Condition("state", "!=", "4"))
    groups = tuple((*group, *((each,) for each in window)) for group in base.alternatives or ((),))
    return EncodedQuery(groups, (Order("start_date"),))


def _next_month(first: date) -> date:
    return (first + 31 * DAY).replace(day=1)


def _day(text: str) -> date:
    try:
        return min(max(date.fromisoformat(text), FIRST_DAY), LAST_DAY)
    except ValueError:
        return now().astimezone(time_zone()).date()
