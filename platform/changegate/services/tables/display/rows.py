"""Rows: the selected columns of records whose sys_ids are known, as the driver gives them."""

from collections.abc import Iterator, Sequence

from changegate.database import require_time
from changegate.database.compiled import Row
from changegate.models.base import version_of
from changegate.services.access.caller import Caller
from changegate.services.tables.display.selections import Selection, id_name
from changegate.services.tables.visibility import parameters_of

VERSION_FIELDS = ("sys_mod_count", "sys_updated_on")
# Statements exist for as many sys_ids as this; what is over is filled up with the last one.
SIZES = (1, 20, 100, 500)
CHUNK = SIZES[-1]
_ID_NAMES = [id_name(at) for at in range(CHUNK)]


def fetch_chunks(selection: Selection, caller: Caller, sys_ids: Sequence[str]) -> Iterator[Sequence[Row]]:
    """Return the rows of records in the order of their sys_ids, some hundreds at a time.

    A record that has gone, or become invisible, since its sys_id was found is passed over.
    """
    for start in range(0, len(sys_ids), CHUNK):
        require_time()
        yield fetch_rows(selection, caller, sys_ids[start : start + CHUNK])


def fetch_row_with_version(selection: Selection, caller: Caller, sys_id: str) -> tuple[str, Row] | None:
    """Return the version and the row of one record; None where the caller sees no such record."""
    found = selection.statements.fetch(
        "with its version",
        lambda: selection.statement(1).add_columns(*(selection.walks.root.c[name] for name in VERSION_FIELDS)),
        {id_name(0): sys_id} | parameters_of(caller),
    )
    return (version_of(*found[0][-2:]), found[0][:-2]) if found else None


def fetch_rows(
    selection: Selection, caller: Caller, sys_ids: Sequence[str], *, keeps_rules: bool = True
) -> Sequence[Row]:
    """Return the rows of up to `CHUNK` records in the order of their sys_ids."""
    size = next(size for size in SIZES if size >= len(sys_ids))
    filled = [*sys_ids, *[sys_ids[-1]] * (size - len(sys_ids))]
    wanted = dict(zip(_ID_NAMES, filled, strict=False))
    found = selection.statements.fetch(
        (size, keeps_rules),
        lambda: selection.statement(size, keeps_rules=keeps_rules),
        wanted | parameters_of(caller),
    )
    if size == 1:
        return found
    by_id = {row[-1]: row for row in found}
    return [by_id[sys_id] for sys_id in sys_ids if sys_id in by_id]
