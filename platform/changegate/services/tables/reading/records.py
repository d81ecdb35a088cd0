"""Single records and pages of records, limited to what the caller may see.

Records are read with SQLAlchemy Core instead of the ORM: a record has a hundred columns, and the ORM would cost more
than the database. The sys_ids of a page are read first, from indexes; only then are whole rows read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from changegate.database import require_time
from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationRefused, RecordNotFound
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.rendering import render_rows
from changegate.services.tables.display.rows import fetch_chunks, fetch_row_with_version, fetch_rows
from changegate.services.tables.display.selections import Selection, select_fields
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.reading.matching import FAR_OFFSET, Matching, PageRows
from changegate.services.tables.registry import NOBODY, Roles, Table
from changegate.services.tables.values import is_storable
from changegate.services.tables.visibility import Restriction, visibility, visible_rows

# The stored values of a record, in the order of `Table.fields_for` the caller.
RecordRow = Sequence[Any]
# Up to this limit, a page seldom contains all matching records, so it is counted in the same statement.
LIKELY_NOT_ALL = 100
OPERATION_NAMES = {"read": "Read", "create": "Insert", "update": "Update", "delete": "Delete"}


class Records:
    """Records that are read and rendered lazily, some hundreds at a time.

    The statements run while a caller iterates, so the errors of `require_time` are raised there.
    """

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
        """Yield the records in lists of some hundreds."""
        for rows in fetch_chunks(self._selection, self._caller, self._sys_ids):
            yield list(render_rows(self._selection, rows, self._caller, self._shape))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the records that match a query, and the total number of matches, if they were counted.

    `next_key` is where the next page begins; it is empty if only an offset can say it.
    """

    records: Records
    total: int
    is_counted: bool
    has_more: bool
    next_key: str


def read_page(
    table: Table,
    caller: Caller,
    query: EncodedQuery,
    shape: Shape,
    *,
    limit: int,
    offset: int,
    after: str = "",
    counts: bool = True,
) -> Page:
    """Return a page of the records that match and that the caller may see.

    `after` is the `next_key` of the page before, which takes precedence over the offset if it is a key of this order.
    Raises `AccessRefused`, `RequestUnreadable`, and the errors of `require_time`.
    """
    require_operation(table, caller.permissions, "read")
    require_time(for_search=True)
    selection = select_fields(table, caller.permissions, shape)
    matching = Matching(table, caller, query, after)
    page, total = _find_page(matching, limit, offset) if counts else (matching.list_page(limit + 1, offset), 0)
    # Not from the total: after a key, the number of earlier records may have changed since their pages were read.
    has_more = len(page.sys_ids) > limit
    records = Records(selection, page.sys_ids[:limit], caller, shape)
    return Page(records, total, counts, has_more, matching.key_of(page, limit))


def _find_page(matching: Matching, limit: int, offset: int) -> tuple[PageRows, int]:
    """Return a page with the first record of the next one, and the number of all matches."""
    if 0 < limit and (limit <= LIKELY_NOT_ALL or offset > FAR_OFFSET):
        return matching.list_and_count(limit + 1, offset)
    page = matching.list_page(limit + 1, offset) if limit else PageRows([], [])
    found = len(page.sys_ids)
    # The end of the last page is the number of all matches.
    is_last = 0 < found <= limit or (limit and not found and not offset)
    return page, offset + found if is_last and not matching.begins_after else matching.count()


def count_records(table: Table, caller: Caller, query: EncodedQuery, most: int | None = None) -> int:
    """Return how many records match and are visible to the caller, or `most` if there are more."""
    require_operation(table, caller.permissions, "read")
    require_time(for_search=True)
    matching = Matching(table, caller, query)
    return matching.count() if most is None else matching.count_up_to(most)


def read_record(table: Table, caller: Caller, sys_id: str, shape: Shape) -> WireRecord:
    """Return one record. Raises `RecordNotFound` if it does not exist or the caller may not see it."""
    return open_record(table, caller, sys_id, shape).render()


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """One record with its version, read but not yet rendered.

    With `is_plain`, only columns of the record itself are shown, so the response changes only with the version.
    """

    version: str
    is_plain: bool
    render: Callable[[], WireRecord]


def open_record(table: Table, caller: Caller, sys_id: str, shape: Shape) -> OpenRecord:
    """Return one record with its version. Raises `RecordNotFound` if the caller sees no such record."""
    require_operation(table, caller.permissions, "read")
    selection = select_fields(table, caller.permissions, shape)
    versioned = fetch_row_with_version(selection, caller, sys_id) if is_storable(sys_id) else None
    if versioned is None:
        raise RecordNotFound
    version, row = versioned
    is_plain = selection.is_plain and not shape.shows_names
    return OpenRecord(version, is_plain, lambda: next(render_rows(selection, [row], caller, shape)))


def render_written(table: Table, caller: Caller, record: Mapping[str, Any], shape: Shape) -> WireRecord:
    """Return a record that the caller has just written. `record` holds its stored values by field.

    It is read again only if more than its own columns is shown. Callers always get back the record that they just
    wrote, even if the write removed their read access.
    """
    selection = select_fields(table, caller.permissions, shape)
    if selection.is_plain:
        row: RecordRow = [record[path] for path in selection.paths]
    else:
        [row] = fetch_rows(selection, caller, [record["sys_id"]], keeps_rules=False)
    return next(render_rows(selection, [row], caller, shape))


def require_operation(table: Table, permissions: Permissions, operation: str) -> None:
    """Refuse a caller whose roles do not allow an operation on the table, and tokens that would write a closed one."""
    if not table.access.admits(operation, permissions):
        raise OperationRefused(OPERATION_NAMES[operation], _who_may(table, operation))
    if table.is_closed_to_tokens and operation != "read" and permissions.grant is not None:
        raise AccessRefused(
            "Operation Failed", f"Access tokens cannot write the table {table.name}; use a user's name and password"
        )


def _who_may(table: Table, operation: str) -> str:
    roles: Roles = getattr(table.access, operation)
    if roles is NOBODY:
        return f"No user may {operation} records of the table {table.label}."
    *others, last = sorted(roles | {"admin"})
    names = f"roles {', '.join(others)} and {last}" if others else f"role {last}"
    return f"Only the {names} may {operation} records of the table {table.label}."


# Compiling a hundred columns costs more than running the statement.
@lru_cache(maxsize=128)
def _get_statement(table: Table, fields: tuple[str, ...], restriction: Restriction) -> Prepared:
    visible = visible_rows(table, restriction)
    columns = (table.columns[name] for name in fields)
    return Prepared(select(*columns).where(table.columns["sys_id"] == parameter("sys_id"), *visible))


def get_row(table: Table, caller: Caller, sys_id: str, fields: tuple[str, ...]) -> RecordRow:
    """Return the values of `fields` of one record. Raises `RecordNotFound`."""
    restriction, who = visibility(table, caller)
    row: RecordRow = require_row(_get_statement(table, fields, restriction), {"sys_id": sys_id, **who})
    return row


def require_row(statement: Prepared, parameters: Mapping[str, str | None]) -> Any:
    """Return the first row of a statement with a parameter `sys_id`. Raises `RecordNotFound`."""
    # PostgreSQL would reject a NUL in the text with an error of its own.
    row = statement.first(parameters) if str(parameters["sys_id"]).isprintable() else None
    if row is None:
        raise RecordNotFound
    return row
