"""Optimistic locking: a write may name the version of the record that its caller has read."""

from collections.abc import Callable, Mapping
from typing import Any

from changegate.errors import VersionOutdated
from changegate.models.base import version_of

# Tells whether a version is one of those that a caller expects.
VersionCheck = Callable[[str], bool]


def require_version(condition: VersionCheck | None, version: str, *, changed_by: str) -> None:
    """Check that the condition of a write holds for the stored version. Raises `VersionOutdated`."""
    if condition is not None and not condition(version):
        raise VersionOutdated(version, f"The record has been changed since it was read, last by {changed_by}.")


def require_version_of(record: Mapping[str, Any], condition: VersionCheck | None) -> None:
    """Compare versions while the row is locked: of two writers with the same version, the second is refused."""
    if condition is not None:
        version = version_of(record["sys_mod_count"], record["sys_updated_on"])
        require_version(condition, version, changed_by=record["sys_updated_by"])
