"""Versions of records: a write that replaces what its caller has read may name the version that was read."""

from collections.abc import Callable

from changegate.errors import VersionOutdated

# Tells whether a version is one of those that a caller expects.
Condition = Callable[[str], bool]


def require_version(condition: Condition | None, version: str, *, changed_by: str) -> None:
    """Refuse a write whose condition does not hold for the stored version; raises `VersionOutdated`."""
    if condition is not None and not condition(version):
        raise VersionOutdated(version, f"The record has been changed since it was read, last by {changed_by}.")
