"""Optimistic locking: a write may name the version of the record that its caller has read."""

from collections.abc import Callable

from changegate.errors import VersionOutdated

# Tells whether a version is one of those that a caller expects.
VersionCheck = Callable[[str], bool]


def require_version(condition: VersionCheck | None, version: str, *, changed_by: str) -> None:
    """Check that the condition of a write holds for the stored version. Raises `VersionOutdated`."""
    if condition is not None and not condition(version):
        raise VersionOutdated(version, f"The record has been changed since it was read, last by {changed_by}.")
