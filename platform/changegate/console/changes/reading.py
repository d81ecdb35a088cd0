"""A change as its pages read it, and the page of a change that the user may not read."""

from typing import Any

from flask import Response

from changegate.console.errors import render_error
from changegate.console.guards import caller
from changegate.errors import RecordNotFound
from changegate.services.process.changes import changes_table
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import get_row, open_record

NOT_READABLE = (
    "There is no such change, or you may not read it. You see the changes that you have requested or opened. Users "
    "with one of the roles {} see all of them: ask one of them, or an administrator for a role."
)


def read_change(sys_id: str) -> tuple[WireRecord, str]:
    """Return a change with display values, and its version; raises `RecordNotFound`.

    Its journals are left out: the activity lists them, and a change can have thousands of entries.
    """
    table = changes_table()
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=tuple(table.columns))
    opened = open_record(table, caller(), sys_id, shape)
    return opened.render(), opened.version


def stored_values(sys_id: str) -> dict[str, Any]:
    """Return the stored values of a change; raises `RecordNotFound`."""
    fields = tuple(changes_table().columns)
    return dict(zip(fields, get_row(changes_table(), caller(), sys_id, fields), strict=True))


def explain_missing(error: RecordNotFound) -> Response:
    """Say which changes the user may read, and who may read the others."""
    reads_all = changes_table().reads_all
    if caller().permissions.has_role(reads_all):
        return render_error(error)
    return render_error(error, not_found=NOT_READABLE.format(", ".join(sorted(reads_all))))
