"""Reading: single records and pages of them, as far as the caller may see.

Reading is Core, not ORM: a record has a hundred columns, and the unit of work would cost more than the database does.
A page is found by its sys_ids, which indexes answer, before any row is read whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from changegate.database import require_time
from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.rendering import render_rows
from changegate.services.tables.display.rows import fetch_chunks, fetch_row_with_version, fetch_rows
from changegate.services.tables.display.selections import Selection, select_fields
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.registry import Table
from changegate.services.tables.values import is_storable
from changegate.services.tables.visibility import Restriction, visibility, visible_rows

# A record as it is stored: its values in the order of `Table.fields_for` the caller.
Record = Sequence[Any]
# A page of so many records seldom has all that match: they are counted in the same statement.
LIKELY_NOT_ALL = 100
OPERATION_NAMES = {"read": "Read", "create": "Insert", "update": "Update", "delete": "Delete"}


class Records:
    """Some records, read and rendered some hundreds at a time while they are gone through."""

    def __init__(self, selection: Selection, sys_ids: Sequence[str], caller: Caller, shape: Shape) -> None:
        self._selection = selection
        self._sys_ids = sys_ids
        self._caller = caller
        self._shape = shape

    def __len__(self) -> int:
        return len(self._sys_ids)

    def __iter__(self) -> Iterator[WireRecord]:
        for chunk in self.chunks():
            yield from chunk

    def chunks(self) -> Iterator[list[WireRecord]]:
        """Return the records some hundreds at a time."""
        for rows in fetch_chunks(self._selection, self._caller, self._sys_ids):
            yield list(render_rows(self._selection, rows, self._caller, self._shape))


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a query and how many match in all."""

    records: Records
    total: int


def read_page(table: Table, caller: Caller, query: EncodedQuery, shape: Shape, *, limit: int, offset: int) -> Page:
    """Return a page of the records that match and that the caller may see, in the shape that he wants."""
    require_operation(table, caller, "read")
    require_time(for_search=True)
    selection = select_fields(table, caller, shape)
    matching = Matching(table, caller, query)
    sys_ids, total = _find_page(matching, limit, offset)
    return Page(Records(selection, sys_ids, caller, shape), total)


def _find_page(matching: Matching, limit: int, offset: int) -> tuple[list[str], int]:
    """Return the sys_ids of a page and how many records match in all, which a page that is the last tells by itself."""
    if 0 < limit <= LIKELY_NOT_ALL:
        return matching.list_and_count(limit, offset)
    sys_ids = matching.list_sys_ids(limit, offset) if limit else []
    is_last = 0 < len(sys_ids) < limit or (limit and not sys_ids and not offset)
    return sys_ids, offset + len(sys_ids) if is_last else matching.count()


def count_records(table: Table, caller: Caller, query: EncodedQuery) -> int:
    """Return how many records match that the caller may see."""
    require_operation(table, caller, "read")
    require_time(for_search=True)
    return Matching(table, caller, query).count()


def read_record(table: Table, caller: Caller, sys_id: str, shape: Shape) -> WireRecord:
    """Return one record in the shape that the caller wants; raises `RecordNotFound` for what the caller may not see."""
    return open_record(table, caller, sys_id, shape).render()


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """One record with its version, read and not yet rendered.

    `is_plain` tells that nothing but the record itself is shown, so that what is shown changes with the version only.
    """

    version: str
    is_plain: bool
    render: Callable[[], WireRecord]


def open_record(table: Table, caller: Caller, sys_id: str, shape: Shape) -> OpenRecord:
    """Return one record with its version; raises `RecordNotFound` for what the caller may not see."""
    require_operation(table, caller, "read")
    selection = select_fields(table, caller, shape)
    found = fetch_row_with_version(selection, caller, sys_id) if is_storable(sys_id) else None
    if found is None:
        raise RecordNotFound
    version, row = found
    is_plain = selection.is_plain and not shape.shows_names
    return OpenRecord(version, is_plain, lambda: next(render_rows(selection, [row], caller, shape)))


def render_written(table: Table, caller: Caller, record: Mapping[str, Any], shape: Shape) -> WireRecord:
    """Return a record that the caller has just written, without reading it again where it has all that is shown.

    `record` holds stored values by field.

    He sees what he has made of it, though it may have ceased to be his to see.
    """
    selection = select_fields(table, caller, shape)
    if selection.is_plain:
        row: Record = [record[path] for path in selection.paths]
    else:
        [row] = fetch_rows(selection, caller, [record["sys_id"]], keeps_rules=False)
    return next(render_rows(selection, [row], caller, shape))


def require_operation(table: Table, caller: Caller, operation: str) -> None:
    """Refuse a caller whose roles do not allow an operation on the table."""
    if not table.access.admits(operation, caller):
        verb = OPERATION_NAMES[operation]
        raise AccessRefused("Operation Failed", f"ACL Exception {verb} Failed due to security constraints")


# Statements are built once: to compile a hundred columns anew costs more than running it.
@lru_cache(maxsize=128)
def _get_statement(table: Table, fields: tuple[str, ...], restriction: Restriction) -> Prepared:
    visible = visible_rows(table, restriction)
    columns = (table.columns[name] for name in fields)
    return Prepared(select(*columns).where(table.columns["sys_id"] == parameter("wanted"), *visible))


def get_row(table: Table, caller: Caller, sys_id: str, fields: tuple[str, ...]) -> Record:
    """Return one row with the values of `fields`; raises `RecordNotFound`."""
    restriction, who = visibility(table, caller)
    row: Record = require_row(_get_statement(table, fields, restriction), {"wanted": sys_id, **who})
    return row


def require_row(statement: Prepared, parameters: Mapping[str, str | None]) -> Any:
    """Return the first row of a statement; raises `RecordNotFound`."""
    row = statement.first(parameters) if str(parameters["wanted"]).isprintable() else None
    if row is None:
        raise RecordNotFound
    return row
