"""Rows of records by their sys_ids, with the columns of a selection, as the driver returns them."""

from collections.abc import Iterator, Sequence

from changegate.database import require_time
from changegate.database.compiled import Row
from changegate.models.base import version_of
from changegate.services.access.caller import Caller
from changegate.services.tables.display.selections import Selection, id_name
from changegate.services.tables.visibility import parameters_of

VERSION_FIELDS = ("sys_mod_count", "sys_updated_on")
# Each statement takes one of these numbers of sys_ids, so that only four are compiled. A shorter list is padded with
# its last sys_id.
SIZES = (1, 20, 100, 500)
CHUNK = SIZES[-1]
_ID_NAMES = [id_name(at) for at in range(CHUNK)]


def fetch_chunks(selection: Selection, caller: Caller, sys_ids: Sequence[str]) -> Iterator[Sequence[Row]]:
    """Yield the rows of records in the order of their sys_ids, some hundreds at a time.

    Records that were deleted or became invisible since their sys_ids were read are omitted. Raises the errors of
    `require_time`.
    """
    for start in range(0, len(sys_ids), CHUNK):
        require_time()
        yield fetch_rows(selection, caller, sys_ids[start : start + CHUNK])


def fetch_row_with_version(selection: Selection, caller: Caller, sys_id: str) -> tuple[str, Row] | None:
    """Return the version and the row of one record, or None if the caller sees no such record."""
    rows = selection.statements.fetch(
        "with its version",
        lambda: selection.statement(1).add_columns(*(selection.walks.root.c[name] for name in VERSION_FIELDS)),
        {id_name(0): sys_id} | parameters_of(caller),
    )
    return (version_of(*rows[0][-2:]), rows[0][:-2]) if rows else None


def fetch_rows(
    selection: Selection, caller: Caller, sys_ids: Sequence[str], *, keeps_rules: bool = True
) -> Sequence[Row]:
    """Return the rows of up to `CHUNK` records in the order of their sys_ids.

    With `keeps_rules` false, rows are returned even if the caller may not see them.
    """
    size = next(size for size in SIZES if size >= len(sys_ids))
    filled = [*sys_ids, *[sys_ids[-1]] * (size - len(sys_ids))]
    parameters = dict(zip(_ID_NAMES, filled, strict=False))
    rows = selection.statements.fetch(
        (size, keeps_rules),
        lambda: selection.statement(size, keeps_rules=keeps_rules),
        parameters | parameters_of(caller),
    )
    if size == 1:
        return rows
    by_id = {row[-1]: row for row in rows}
    return [by_id[sys_id] for sys_id in sys_ids if sys_id in by_id]
