"""Versions of records: a write that replaces what its caller has read may name the version that was read.

A version is made of the count and the instant of the last update. The count alone would repeat itself when a record is
deleted and another is created under the same sys_id or name.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from changegate.errors import VersionOutdated

# Tells whether a version is one of those that a caller expects.
Condition = Callable[[str], bool]


def version_of(update_count: int, updated_on: datetime | str) -> str:
    """Return the version of a record, from values in Python's types or as a driver gives them."""
    # SQLite stores UTC as text.
    in_utc = updated_on.astimezone(UTC).isoformat(" ") if isinstance(updated_on, datetime) else updated_on
    return f"{update_count}-{in_utc[:19].translate(_DIGITS_ONLY)}"


def require_version(condition: Condition | None, version: str, *, changed_by: str) -> None:
    """Refuse a write whose condition does not hold for the stored version; raises `VersionOutdated`."""
    if condition is not None and not condition(version):
        raise VersionOutdated(version, f"The record has been changed since it was read, last by {changed_by}.")


_DIGITS_ONLY = str.maketrans("", "", "-: T")
