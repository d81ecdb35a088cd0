"""The input of the planning calls of the Change Management API: association types, items, durations, and times."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from changegate.errors import RequestUnreadable
from changegate.models.base import SYS_ID_LENGTH, Entry

ASSOCIATIONS = ("affected", "impacted", "offering")
LONGEST_DURATION = timedelta(days=90)
# How far ahead a planned start may be.
LATEST_START = timedelta(days=3660)
MOST_SYS_IDS = 10_000
INSTANT = Entry("glide_date_time", "Planned start time")


def parse_association(sent: Mapping[str, Any]) -> str:
    """Return the association type. Raises `RequestUnreadable`."""
    if sent.get("association_type") not in ASSOCIATIONS:
        raise RequestUnreadable(f"Field association_type: one of {', '.join(ASSOCIATIONS)} is expected")
    return str(sent["association_type"])


def parse_sys_ids(sent: Mapping[str, Any]) -> list[str]:
    """Return the sys_ids of items, a list or comma-separated text, each once. Raises `RequestUnreadable`."""
    given = sent.get("cmdb_ci_sys_ids")
    items = given.split(",") if isinstance(given, str) else given
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RequestUnreadable("Field cmdb_ci_sys_ids: a list of sys_ids is expected")
    sys_ids = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    wrong = next((each for each in sys_ids if len(each) != SYS_ID_LENGTH or not each.isalnum()), None)
    if wrong is not None:
        raise RequestUnreadable(f"Field cmdb_ci_sys_ids: {wrong[:100]!r} is not a sys_id")
    if not 1 <= len(sys_ids) <= MOST_SYS_IDS:
        raise RequestUnreadable(f"Field cmdb_ci_sys_ids: 1 to {MOST_SYS_IDS} sys_ids are expected")
    return sys_ids


def parse_flag(sent: Mapping[str, Any], name: str) -> bool:
    """Return a boolean that may be sent as text; false if it is missing. Raises `RequestUnreadable`."""
    texts = {True: True, "true": True, False: False, "false": False, "": False, None: False}
    given = sent.get(name)
    if not isinstance(given, bool | str | None) or given not in texts:
        raise RequestUnreadable(f"Field {name}: true or false is expected")
    return texts[given]


def parse_duration(sent: Mapping[str, Any]) -> timedelta | None:
    """Return the duration, or None if none is sent. Raises `RequestUnreadable`."""
    given = sent.get("duration_in_seconds")
    if given in (None, ""):
        return None
    is_number = (isinstance(given, int) and not isinstance(given, bool)) or (
        isinstance(given, str) and given.isascii() and given.isdigit()
    )
    most = int(LONGEST_DURATION.total_seconds())
    if not is_number or len(str(given)) > len(str(most)) or not 1 <= int(str(given)) <= most:
        raise RequestUnreadable(f"Field duration_in_seconds: a whole number from 1 to {most} is expected")
    return timedelta(seconds=int(str(given)))


def limit_start(start: datetime | None, now: datetime) -> datetime:
    """Return a planned start that is neither missing nor past. Raises `RequestUnreadable` if it is too far ahead."""
    if start is not None and start > now + LATEST_START:
        raise RequestUnreadable("Field planned_start_time: a time within the next ten years is expected")
    return now if start is None or start < now else start
