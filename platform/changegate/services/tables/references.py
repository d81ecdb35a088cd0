"""References: from what a client writes to the sys_id of a record (rest_api.md §1.5)."""

from sqlalchemy import func, or_, select

from changegate.errors import RequestUnreadable
from changegate.extensions import connection
from changegate.models.base import SYS_ID_LENGTH
from changegate.services.tables.catalog import find_table
from changegate.services.tables.registry import Table, Values


def resolve_references(table: Table, values: Values) -> Values:
    """Return the values with every reference as a sys_id.

    A sys_id is looked up first, then a user's user_name, then the display name, without case. Raises
    `RequestUnreadable` when nothing, or more than one record, is meant.
    """
    for name, value in values.items():
        entry = table.entries[name]
        if value is None or entry.kind != "reference" or not entry.reference:
            continue
        if target := find_table(entry.reference):
            values[name] = _sys_id_of(target, name, value)
        elif len(value) > SYS_ID_LENGTH:
            raise RequestUnreadable(f"Field {name}: a sys_id or a name of up to {SYS_ID_LENGTH} is expected")
    return values


def _sys_id_of(target: Table, field: str, text: str) -> str:
    columns = target.source.c
    found = connection().execute(select(columns["sys_id"]).where(columns["sys_id"] == text)).scalar_one_or_none()
    if found is not None:
        return str(found)
    names = [columns[name] for name in dict.fromkeys(("user_name", target.display_field)) if name in columns]
    matching = or_(*(func.lower(column) == func.lower(text) for column in names))
    candidates = connection().execute(select(columns["sys_id"]).where(matching).limit(2)).scalars().all()
    if len(candidates) != 1:
        how_many = "more than one record" if candidates else "no record"
        raise RequestUnreadable(f"Field {field}: {how_many} of {target.name} is meant by the value")
    return str(candidates[0])
