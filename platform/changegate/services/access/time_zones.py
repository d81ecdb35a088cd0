"""Time zones by their IANA names, such as Europe/Berlin.

The names are those of the package tzdata, so that they are the same on every machine. A local time that occurs twice
means the first occurrence, and one that a clock change skips is moved on by what was skipped: PEP 495 with fold=0, and
the rule of Java, which ServiceNow runs on.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

# Callers in these zones cost nothing more than callers without a zone.
_SAME_AS_NONE = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})


@cache
def time_zone_names() -> Mapping[str, str]:
    """Return the names of all time zones, by the name in lower case."""
    names = resources.files("tzdata").joinpath("zones").read_text().split()
    return {name.lower(): name for name in sorted(names) if name != "Factory"}


@lru_cache(maxsize=1024)
def find_time_zone(name: str | None) -> ZoneInfo | None:
    """Return the time zone of a name; None for UTC, for no name and for an unknown one."""
    if not name:
        return None
    known = time_zone_names().get(name.strip().lower())
    return None if known is None or known in _SAME_AS_NONE else ZoneInfo(known)
