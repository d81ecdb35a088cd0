"""Conversion of values: from client input to stored values, and from stored values to text.

On the wire, every value is text (docs/reference/table-api.md#values). In Python, it is an int, bool, date, aware
datetime, or str.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import partial
from typing import Any

from changegate.errors import RequestUnreadable
from changegate.models.base import Entry

# Shown to administrators in place of a secret. If a client writes it back, the secret stays as it is.
MASK = "********"
INSTANT_FORMAT = "%Y-%m-%d %H:%M:%S"
MAX_INTEGER = 2**31 - 1
MAX_JSON_INTEGER = 2**64 - 1
MAX_EXACT_FLOAT = 2**53
DEFAULT_TEXT_LENGTH = 4000
# References may be given as display values, which can be longer than a sys_id.
MAX_FIELD_NAME_LENGTH = 255
# Years that every database can store and convert between time zones.
YEARS = range(1000, 9999)
# Control characters that no field needs. PostgreSQL would reject a NUL only later, as a server error.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def parse_value(name: str, entry: Entry, sent: Any) -> Any:
    """Return the storable value of a field's JSON value; None empties the field.

    An object with `value`, as references are read, is accepted, and a list of strings becomes comma-separated text.
    Raises `RequestUnreadable` naming the field.
    """
    return parse_text(name, entry, text_of(name, sent))


def parse_text(name: str, entry: Entry, text: str | None, zone: tzinfo | None = None) -> Any:
    """Return the storable value of a field's text; None and the empty string empty the field.

    A date-time without an offset is local to `zone`, or UTC if it is None. Raises `RequestUnreadable` naming the field.
    """
    if zone is not None and entry.kind == "glide_date_time":
        return _parse(name, entry, text, partial(_parse_instant, zone=zone))
    return _parse(name, entry, text, _PARSERS.get(entry.kind, _parse_text))


def is_storable(text: str) -> bool:
    """Return whether every database can hold a text."""
    return _UNSTORABLE.search(text) is None


def _parse(name: str, entry: Entry, text: str | None, parser: "Parser") -> Any:
    if text is None or text == "":
        return None
    try:
        return parser(text, entry)
    except ValueError as problem:
        raise RequestUnreadable(f"Field {name}: {problem}") from None


def text_of(name: str, sent: Any) -> str | None:
    """Return the text of a field's JSON value, whatever its type; None for null.

    An object, as in records that were read, stands for its `value`, or else its `display_value`. Raises
    `RequestUnreadable`.
    """
    if isinstance(sent, dict):
        sent = sent.get("value", sent.get("display_value", sent))
    if isinstance(sent, str) or sent is None:
        return sent
    if isinstance(sent, bool):
        return "true" if sent else "false"
    if isinstance(sent, int | float):
        return _text_of_number(name, sent)
    if isinstance(sent, list) and all(isinstance(item, str) for item in sent):
        return ",".join(sent)
    raise RequestUnreadable(f"Field {name}: a text, number, boolean or null is expected")


def _text_of_number(name: str, number: float) -> str:
    # JSON parsers have already rounded larger numbers. `not <=` also rejects NaN and infinity.
    if not abs(number) <= (MAX_EXACT_FLOAT if isinstance(number, float) else MAX_JSON_INTEGER):
        raise RequestUnreadable(f"Field {name}: the number is too large; it may be sent as text")
    return repr(number)


def _parse_text(text: str, entry: Entry) -> str:
    return _limited(text, entry.max_length or DEFAULT_TEXT_LENGTH)


def _parse_reference(text: str, _entry: Entry) -> str:
    return _limited(text, MAX_FIELD_NAME_LENGTH)


def _limited(text: str, limit: int) -> str:
    if len(text) > limit:
        raise ValueError(f"{len(text)} characters are more than the {limit} it holds")
    if not is_storable(text):
        raise ValueError("control characters and lone surrogates cannot be stored")
    return text


def _parse_choice(text: str, entry: Entry) -> str:
    if entry.choices is None:
        return _parse_text(text, entry)
    for value in entry.choices:
        if value.lower() == text.strip().lower():
            return value
    raise ValueError(f"it is not one of the choices {', '.join(entry.choices)}")


def _parse_integer(text: str, entry: Entry) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,10}(\.0+)?\s*", text):
        raise ValueError("a whole number is expected")
    number = int(float(text))
    if abs(number) > MAX_INTEGER:
        raise ValueError("the number is too large")
    if entry.choices is not None and str(number) not in entry.choices:
        raise ValueError(f"it is not one of the choices {', '.join(entry.choices)}")
    return number


def _parse_boolean(text: str, _entry: Entry) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.strip().lower() not in words:
        raise ValueError("true or false is expected")
    return words[text.strip().lower()]


def _parse_instant(text: str, _entry: Entry, zone: tzinfo = UTC) -> datetime:
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"a date-time such as 2026-01-31 08:30:00 ({zone}) is expected") from None
    try:
        in_utc = (instant.replace(tzinfo=zone) if instant.tzinfo is None else instant).astimezone(UTC)
    except OverflowError:
        raise ValueError("the date-time is out of range") from None
    if in_utc.year not in YEARS:
        raise ValueError("the date-time is out of range")
    return in_utc.replace(microsecond=0)


def _parse_day(text: str, entry: Entry) -> date:
    return _parse_instant(text, entry).date()


Parser = Callable[[str, Entry], Any]
_PARSERS: Mapping[str, Parser] = {
    "reference": _parse_reference,
    "integer": _parse_integer,
    "boolean": _parse_boolean,
    "choice": _parse_choice,
    "glide_date_time": _parse_instant,
    "glide_date": _parse_day,
}


def _render_boolean(value: bool | None) -> str:
    return "" if value is None else "true" if value else "false"


def _render_instant(value: datetime | str | None) -> str:
    # SQLite has no date-time type: its driver returns the stored text, which is UTC.
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "seconds")[:19]
    return (value or "")[:19]


def local_text(zone: tzinfo, text: str) -> str:
    """Return the local time of a zone for `text`, which is UTC, as `render_value` returns it."""
    instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return instant.astimezone(zone).isoformat(" ")[:19]


def _render_plain(value: Any) -> str:
    return "" if value is None else str(value)


_RENDERERS: Mapping[str, Callable[[Any], str]] = {
    "boolean": _render_boolean,
    "glide_date_time": _render_instant,
}


def renderer_of(entry: Entry) -> Callable[[Any], str]:
    """Return the function that renders stored values of a field as wire text."""
    return _RENDERERS.get(entry.kind, _render_plain)


def render_value(entry: Entry, value: Any) -> str:
    """Return the wire text of one stored value; the empty string for None."""
    return renderer_of(entry)(value)
