"""Values computed by `javascript:` calls of a fixed list, which are parsed as text and never executed.

See docs/reference/encoded-queries.md#calls.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from changegate.services.access.caller import Caller
from changegate.services.tables.queries.periods import PERIODS, bounds_of, end_of, shifted, start_of
from changegate.services.tables.values import INSTANT_FORMAT

PREFIX = "javascript:"
# No parentheses within the arguments: nested calls and expressions never match.
_CALL = re.compile(r"javascript:\s*gs\s*\.\s*(?P<name>[A-Za-z0-9]+)\s*\((?P<arguments>[^()]*)\)\s*;?\s*")
_ARGUMENT = re.compile(r"""\s*(?:"(?P<double>[^"']*)"|'(?P<single>[^"']*)'|(?P<number>-?[0-9]{1,7}))\s*""")
_AGO = re.compile("(?P<unit>minute|hour|day|month|quarter|year)sAgo(?P<edge>Start|End)?")
_BOUNDARY = re.compile("(?P<edge>beginningOf|endOf)(?P<period>[A-Z][A-Za-z0-9]*)")


class TermInvalid(Exception):
    """A term of a query is invalid for its field; the settings decide whether it is ignored."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The caller of a query and its time in their time zone, from which the calls are computed."""

    caller: Caller
    at: datetime

    @property
    def zone(self) -> ZoneInfo | None:
        """Return the time zone of the caller; None is UTC."""
        return self.caller.time_zone


def moment_of(caller: Caller, at: datetime) -> Moment:
    """Return the moment of a query that a caller makes at an instant."""
    zone = caller.time_zone
    return Moment(caller, at if zone is None else at.astimezone(zone))


def literal_text(text: str, moment: Moment, kind: str = "") -> str:
    """Return a value's text; a call of the list is replaced by its result for a field of `kind`.

    The result is UTC for a date-time field, and the caller's local time for dates and texts. Raises `TermInvalid` for
    every other text that begins with `PREFIX`.
    """
    if not text.startswith(PREFIX):
        return text
    name, arguments = read_call(text)
    try:
        if name in _MEANINGS and not arguments:
            return _MEANINGS[name](moment, kind)
        return _text_of(_instant(name, arguments, moment.at), kind)
    except (OverflowError, ValueError):
        raise TermInvalid(f"{text[:100]} is not a calendar date and time") from None


def read_call(text: str) -> tuple[str, list[str]]:
    """Return the name and the arguments of a call of `gs`. Raises `TermInvalid`."""
    match = _CALL.fullmatch(text)
    arguments = match["arguments"] if match else ""
    matches = [_ARGUMENT.fullmatch(item) for item in arguments.split(",")] if arguments.strip() else []
    if match is None or not all(matches):
        raise TermInvalid(f"{text[:100]} is not one of the calls that stand for a value")
    return match["name"], [argument[argument.lastgroup or 0] for argument in matches if argument]


def _text_of(instant: datetime, kind: str) -> str:
    return (instant.astimezone(UTC) if kind == "glide_date_time" else instant).strftime(INSTANT_FORMAT)


def _instant(name: str, arguments: list[str], at: datetime) -> datetime:
    for pattern, meaning in _PATTERNS:
        if match := pattern.fullmatch(name):
            return meaning(match, arguments, at)
    raise TermInvalid(f"gs.{name[:100]}() is not one of the calls that stand for a value")


def _boundary(match: re.Match[str], arguments: list[str], at: datetime) -> datetime:
    period = PERIODS.get(match["period"])
    if period is None or arguments:
        raise TermInvalid(f"{match['period'][:100]} is not a period")
    return bounds_of(period, at)[0 if match["edge"] == "beginningOf" else 1]


def _ago(match: re.Match[str], arguments: list[str], at: datetime) -> datetime:
    [count] = arguments
    then = shifted(match["unit"], at, -int(count))
    edges: Mapping[str | None, Callable[[str, datetime], datetime]] = {"Start": start_of, "End": end_of}
    return edges[match["edge"]](match["unit"], then) if match["edge"] else then


def _generated(_match: re.Match[str], arguments: list[str], at: datetime) -> datetime:
    """Parse a date and `start`, `end`, or a time of day, as two arguments or one."""
    if len(arguments) == 1:
        arguments = [*arguments[0].split(maxsplit=1), "start"][:2]
    day, time = arguments
    time = {"start": "00:00:00", "end": "23:59:59"}.get(time.strip(), time.strip())
    return datetime.strptime(f"{day.strip()} {time}", INSTANT_FORMAT).replace(tzinfo=at.tzinfo)


def _today(moment: Moment, kind: str) -> str:
    midnight = _text_of(start_of("day", moment.at), kind)
    return midnight if kind == "glide_date_time" else midnight[:10]


_MEANINGS: Mapping[str, Callable[[Moment, str], str]] = {
    "getUserID": lambda moment, _kind: moment.caller.sys_id,
    "getUserName": lambda moment, _kind: moment.caller.user_name,
    "now": _today,
    "nowDateTime": lambda moment, kind: _text_of(moment.at, kind),
}
_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], list[str], datetime], datetime]], ...] = (
    (_BOUNDARY, _boundary),
    (_AGO, _ago),
    (re.compile("dateGenerate"), _generated),
)
