"""Ignored fields: names in a request that are not writable fields (docs/reference/table-api.md#writes).

ServiceNow silently ignores unknown and read-only fields. Here, callers can see which ones were ignored: each write
appends their names to a list.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from changegate.errors import RequestUnreadable
from changegate.extensions import settings
from changegate.services.tables.registry import Table

EMPTY_BODY = "(empty body)"
LONGEST_LIST = 1000
LONGEST_FIELD_NAME = 80


def unwritable_names(table: Table, names: Iterable[str], *, is_new: bool) -> set[str]:
    """Return the lower-case names that are not writable fields of a table; `sys_id` is writable in a new record.

    Raises `RequestUnreadable` for unknown names and for an empty new record, if `refuse_unknown_fields` is set.
    """
    sent = set(names)
    unwritable = sent - _writable(table)
    if is_new:
        unwritable.discard("sys_id")
    if settings().refuse_unknown_fields:
        if is_new and not sent:
            raise RequestUnreadable("The body is empty. Send at least one field of the new record")
        unknown = unwritable - table.entries.keys() - set(table.blank_fields)
        if unknown:
            raise RequestUnreadable(f"Unknown fields of {table.name}: {list_names(sorted(unknown))}. Leave them out")
    return unwritable


def as_sent(sent: Mapping[str, Any], ignored: Collection[str]) -> list[str]:
    """Return the ignored fields, given by lower-case names, in the caller's spelling and order."""
    return [name for name in sent if name.lower() in ignored] if ignored else []


def list_names(names: Collection[str]) -> str:
    """Return names as bounded, printable text, separated by commas; names are percent-encoded where necessary."""
    # Each name takes more than one character, so limiting their number first drops no name that would fit.
    encoded = (quote(name[:LONGEST_FIELD_NAME], safe="", errors="replace") for name in list(names)[:LONGEST_LIST])
    text = ", ".join(encoded)
    return text if len(text) <= LONGEST_LIST else text[: LONGEST_LIST - len(", ...")].rpartition(",")[0] + ", ..."


@lru_cache(maxsize=128)
def _writable(table: Table) -> frozenset[str]:
    columns = (name for name, entry in table.entries.items() if not entry.is_read_only)
    return frozenset((*columns, *table.journal_fields))
