"""Entity tags and conditional requests (RFC 9110 §13.1).

A tag identifies the version of a record, independent of its representation. `If-Match` therefore ignores the `W/` that
proxies add when they compress a response.
"""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.datastructures import ETags
from werkzeug.http import parse_etags

from changegate.errors import VersionMissing
from changegate.models.base import Record, version_of
from changegate.services.tables.change_history import last_change
from changegate.services.tables.versions import VersionCheck, require_version
from changegate.unproxied import current_request

IF_MATCH, IF_NONE_MATCH = "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"


def etag(version: str) -> dict[str, str]:
    """Return the ETag header of a version."""
    return {"ETag": f'"{version}"'}


def etag_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the ETag header of a record, given by its stored values."""
    return etag(version_of(record["sys_mod_count"], record["sys_updated_on"]))


def if_match() -> VersionCheck | None:
    """Return the condition of a write, or None without the header. An empty header matches no version."""
    return _condition(IF_MATCH)


def require_unchanged(record: Record, *, is_required: bool = False) -> None:
    """Raise `VersionOutdated` if a write of a locked record was meant for another version.

    With `is_required`, also raise `VersionMissing` if the caller sent no version.
    """
    condition = if_match()
    if condition is None and is_required:
        raise VersionMissing
    if condition is not None:
        require_version(condition, record.record_version, changed_by=last_change(record))


def is_known_to_reader(version: str) -> bool:
    """Return whether `If-None-Match` contains a version, so that a 304 can be sent."""
    condition = _condition(IF_NONE_MATCH)
    return condition is not None and condition(version)


def _condition(name: str) -> VersionCheck | None:
    sent: str | None = current_request().environ.get(name)
    return None if sent is None else _names(parse_etags(sent.strip()))


def _names(tags: ETags) -> Callable[[str], bool]:
    return tags.contains_weak
