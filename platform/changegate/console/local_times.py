"""Times on pages, in the time zone and the format of the signed-in user, otherwise in UTC and as in ISO 8601."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from flask import g
from flask_login import current_user

from changegate.console.guards import caller
from changegate.services.tables.values import INSTANT_FORMAT, YEARS
from changegate.services.users.preferences import find_preference

# The name of the preference, and its values with the formats of a day, a minute, and a second. Inputs take ISO 8601.
DATE_FORMAT, ISO = "date_format", ""
DATE_FORMATS: Mapping[str, tuple[str, str, str]] = {
    ISO: ("%Y-%m-%d", "%H:%M", "%H:%M:%S"),
    "words": ("%d %b %Y", "%H:%M", "%H:%M:%S"),
    "dots": ("%d.%m.%Y", "%H:%M", "%H:%M:%S"),
    "day_first": ("%d/%m/%Y", "%H:%M", "%H:%M:%S"),
    "month_first": ("%m/%d/%Y", "%I:%M %p", "%I:%M:%S %p"),
}
_EXAMPLE = datetime(2026, 12, 31, 17, 5, tzinfo=UTC)


def time_zone() -> tzinfo:
    """Return the time zone of times on pages and in forms."""
    own = caller().time_zone if current_user.is_authenticated else None
    return own or UTC


def local(moment: datetime) -> datetime:
    """Return a time in that time zone."""
    return moment.astimezone(time_zone())


def date_format_choices() -> Mapping[str, str]:
    """Return an example of each format, by the value of the preference."""
    return {name: _EXAMPLE.strftime(f"{day} {minute}") for name, (day, minute, _) in DATE_FORMATS.items()}


def format_moment(moment: datetime | str, *, seconds: bool = False) -> str:
    """Return a time in the format of the user; a text is a display value, and is unchanged if it is not a time."""
    if isinstance(moment, str):
        try:
            at = datetime.strptime(moment, INSTANT_FORMAT)
        except ValueError:
            return moment
    else:
        at = local(moment)
    day, minute, second = DATE_FORMATS[_date_format()]
    return at.strftime(f"{day} {second if seconds else minute}")


def format_time(moment: datetime) -> str:
    """Return the time of day in the format of the user, for the end of a span on the day of its start."""
    return local(moment).strftime(DATE_FORMATS[_date_format()][1])


def _date_format() -> str:
    """Return the preference of the signed-in user, read once for each request."""
    if "date_format" not in g:
        chosen = find_preference(caller().sys_id, DATE_FORMAT) if current_user.is_authenticated else None
        g.date_format = chosen if chosen in DATE_FORMATS else ISO
    found: str = g.date_format
    return found


def shown(moment: datetime) -> str:
    """Return a time as text, with the name of the time zone."""
    return f"{local(moment):%Y-%m-%d %H:%M:%S} {time_zone()}"


def in_words(time: timedelta) -> str:
    """Return a time in its largest unit, such as 3.5 days."""
    seconds = time.total_seconds()
    for length, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"


def parse_local(text: str) -> datetime | None:
    """Return a typed time in UTC, or None if it is not a valid time, or outside of the years that records can have.

    An offset in the text takes precedence over the time zone. A local time that a clock change skips or repeats is
    resolved as Python does with `fold=0` (PEP 495).
    """
    try:
        time = datetime.fromisoformat(text)
        in_utc = (time.replace(tzinfo=time_zone()) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return in_utc if in_utc.year in YEARS else None
