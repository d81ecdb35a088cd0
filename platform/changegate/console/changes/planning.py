"""The planned time of a form before it is saved: what speaks against it, and the next free times of the same length."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from changegate.console.local_times import format_moment, format_time, local, parse_local
from changegate.console.records.pages import record_url
from changegate.console.records.record_form import RecordForm, changed_texts
from changegate.console.records.reference_choices import take_refusal
from changegate.errors import RequestUnreadable
from changegate.extensions import now
from changegate.services.access.caller import Caller
from changegate.services.conflicts.slots import SLOT_WINDOW, Obstacle, find_obstacles
from changegate.services.schedules.spans import DAY, Interval
from changegate.services.tables.display.display_names import Names, find_names
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.inputs import changed_values

START, END = "start_date", "end_date"
# What the form showed, so that a moved start moves the end as well.
SHOWN_START, SHOWN_END = "shown-start_date", "shown-end_date"
# The button of a free time; its value has both instants.
SLOT = "slot"
MOST_SLOTS, MOST_OBSTACLES, MOST_DAYS = 5, 10, 30
QUARTER = timedelta(minutes=15)
NO_WINDOW = "Enter a planned start, and a planned end after it."


@dataclass(frozen=True, slots=True)
class ShownObstacle:
    """An obstacle in words: its times, its kind, and the change or schedule that it comes from."""

    times: str
    kind: str
    name: str
    url: str | None


@dataclass(frozen=True, slots=True)
class FreeTime:
    """A free time: what its button sends, and its local times."""

    value: str
    times: str


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What speaks against the planned time of a form, how many further obstacles there are, and free times."""

    obstacles: Sequence[ShownObstacle]
    more: int
    slots: Sequence[FreeTime]
    days: int = SLOT_WINDOW.days


def take_slot(form: RecordForm, text: str) -> None:
    """Enter a free time into a form; a value that is not two instants is ignored."""
    instants = [parse_local(each) for each in text.split("/")]
    if len(instants) == 2 and all(instants):
        form.values |= {name: _text(at) for name, at in zip((START, END), instants, strict=True) if at}


def keep_duration(form: RecordForm, sent: Mapping[str, str]) -> None:
    """Move the end of a form if only its start was moved since the form was shown."""
    before = [parse_local(sent.get(name, "")) for name in (SHOWN_START, SHOWN_END)]
    start = parse_local(form.values.get(START, ""))
    is_moved = sent.get(START) != sent.get(SHOWN_START) and sent.get(END) == sent.get(SHOWN_END)
    if start and before[0] and before[1] and is_moved:
        # An end beyond the calendar is left to the person.
        with suppress(OverflowError):
            form.values[END] = _text(start + (before[1] - before[0]))


def check_order(form: RecordForm, texts: Mapping[str, str]) -> bool:
    """Return whether the planned end is after the planned start, as far as `texts` change them; an error is put at it.

    A change that already has them in another order, which the APIs accept, can still be edited.
    """
    start, end = (parse_local(form.values.get(name, "")) for name in (START, END))
    is_reversed = bool(start and end and start >= end and {START, END} & texts.keys())
    if is_reversed:
        form.errors[END] = [NO_WINDOW]
    return not is_reversed


def check_plan(
    table: Table, caller: Caller, form: RecordForm, stored: Mapping[str, Any], before: Mapping[str, str]
) -> PlanCheck | None:
    """Return what speaks against the planned time of a form; errors are put at its fields, and the answer is None.

    `stored` has the values of the change, and `before` their texts in the form; both are empty for a new one.
    """
    change = {**dict.fromkeys(table.columns), "sys_id": "", "active": True, "type": "normal", **stored}
    texts = changed_texts(form, before)
    try:
        change |= changed_values(table, caller, texts, {}, by_display=True)
    except RequestUnreadable as problem:
        take_refusal(form, problem, table, caller, before)
        return None
    start, end = change[START], change[END]
    if not (start and end and start < end):
        form.errors[START if not start else END] = [NO_WINDOW]
        return None
    in_window = find_obstacles(change, start, end).ordered
    shown = in_window[:MOST_OBSTACLES]
    slots = _free_times(change, start, end - start) if in_window else ()
    return PlanCheck([*_shown(shown, caller)], len(in_window) - len(shown), [*slots])


def _free_times(change: Mapping[str, Any], start: datetime, duration: timedelta) -> Iterator[FreeTime]:
    """Yield the first times: the beginnings of free intervals, and the planned time of day on the following days."""
    spans = find_obstacles(change, max(start, _next_quarter(now()))).free_spans(duration)
    begins = {first for first, _ in spans} | {start + days * DAY for days in range(1, MOST_DAYS + 1)}
    is_free = (at for at in sorted(begins) if any(first <= at and at + duration <= last for first, last in spans))
    for begin in islice(is_free, MOST_SLOTS):
        yield FreeTime(f"{begin.isoformat()}/{(begin + duration).isoformat()}", _times((begin, begin + duration)))


def _next_quarter(at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + -(-(at - midnight) // QUARTER) * QUARTER


def _shown(obstacles: Sequence[Obstacle], caller: Caller) -> Iterator[ShownObstacle]:
    changes = {each.change for each in obstacles if each.change}
    schedules = {each.schedule for each in obstacles if each.schedule}
    names: Names = find_names({"change_request": changes, "cmn_schedule": schedules}, caller)
    kinds = get_table("conflict").entries["type"].choices or {}
    for each in obstacles:
        of_table, sys_id = ("change_request", each.change) if each.change else ("cmn_schedule", each.schedule)
        name = names.get(of_table, {}).get(sys_id or "")
        url = record_url(of_table, sys_id) if name and sys_id else None
        yield ShownObstacle(_times((each.start, each.end)), kinds.get(each.type, each.type), name or "", url)


def _times(interval: Interval) -> str:
    start, end = interval
    is_one_day = local(start).date() == local(end).date()
    return f"{local(start):%a} {format_moment(start)} to {format_time(end) if is_one_day else format_moment(end)}"


def _text(at: datetime) -> str:
    return f"{local(at):%Y-%m-%d %H:%M:%S}"
