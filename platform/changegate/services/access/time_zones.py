"""Time zones by their IANA names, such as Europe/Berlin.

The names are those of the package tzdata, so they are the same on every machine. A local time that occurs twice means
its first occurrence, and one that a clock change skips is moved forward by the length of the gap: PEP 495 with fold=0,
which is also the rule of Java, on which ServiceNow runs.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

# Zones that are treated as no zone, which needs no conversion.
_SAME_AS_NONE = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})


@cache
def time_zone_names() -> Mapping[str, str]:
    """Return the names of all time zones, by the name in lower case."""
    names = resources.files("tzdata").joinpath("zones").read_text().split()
    return {name.lower(): name for name in sorted(names) if name != "Factory"}


def find_time_zone(name: str | None) -> ZoneInfo | None:
    """Return the time zone with a name, or None for UTC, for no name, and for an unknown name."""
    if not name:
        return None
    known = time_zone_names().get(name.strip().lower())
    return None if known is None or known in _SAME_AS_NONE else ZoneInfo(known)
