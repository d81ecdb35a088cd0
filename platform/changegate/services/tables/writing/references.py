"""References: from what a client writes to the sys_ids of records (docs/reference/table-api.md#writes).

A reference means only what the caller may see; a record that he may not see is missing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, String, func, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import RequestUnreadable
from changegate.models.base import SYS_ID_LENGTH, Entry, UpperCaseString
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, Values, find_table
from changegate.services.tables.values import DEFAULT_TEXT_LENGTH
from changegate.services.tables.visibility import Restriction, visibility, visible_rows

# What a text means: the sys_id of a record, or None where it could mean several; texts without meaning are missing.
Meanings = dict[str, str | None]
AT_ONCE = 128
_SYS_ID = re.compile(f"[A-Za-z0-9]{{{SYS_ID_LENGTH}}}")


def resolve_references(table: Table, caller: Caller, texts: Mapping[str, str], *, by_display: bool = False) -> Values:
    """Return the sys_ids that the texts of reference fields mean; those of a list comma-joined.

    A sys_id is looked up first, then the name by which a user signs in, then the display name, without case;
    `by_display` turns that round. All fields that refer to one table share a statement for their sys_ids. Raises
    `RequestUnreadable` when nothing, or more than one record, is meant.
    """
    wanted: dict[str, list[str]] = {}
    for name, text in texts.items():
        entry = table.entries[name]
        wanted.setdefault(str(entry.reference), []).extend(_items(entry, text))
    meanings = {target: _meanings(find_table(target), caller, items, by_display) for target, items in wanted.items()}
    return {
        name: _resolved(name, entry, text, meanings[str(entry.reference)])
        for name, text in texts.items()
        if (entry := table.entries[name])
    }


def _items(entry: Entry, text: str) -> list[str]:
    if entry.kind == "reference":
        return [text]
    return [item for piece in text.split(",") if (item := piece.strip())]


def _resolved(field: str, entry: Entry, text: str, meanings: Meanings) -> str | None:
    joined = ",".join(_sys_id_of(field, entry, item, meanings) for item in _items(entry, text))
    limit = entry.max_length or DEFAULT_TEXT_LENGTH
    if len(joined) <= limit:
        return joined or None
    # Names may be shorter than the sys_ids that they stand for, and longer where nothing is known of the record.
    expected = "a sys_id or a name" if entry.kind == "reference" else "a list of sys_ids"
    raise RequestUnreadable(f"Field {field}: {expected} of up to {limit} characters is expected")


def _sys_id_of(field: str, entry: Entry, text: str, meanings: Meanings) -> str:
    if sys_id := meanings.get(text):
        return sys_id
    # A list of people may name somebody who has no account by his address.
    if entry.kind == "glide_list" and "@" in text and text not in meanings:
        return text
    how_many = "more than one record" if text in meanings else "no record"
    raise RequestUnreadable(f"Field {field}: {how_many} of {entry.reference} is meant by the value")


def _meanings(target: Table | None, caller: Caller, texts: Iterable[str], by_display: bool) -> Meanings:
    if target is None:  # nothing is known of such records, so that the text has to do
        return {text: text for text in texts}
    if not target.access.admits("read", caller):
        return {}
    lookups: list[Callable[[Table, Caller, list[str]], Meanings]] = [_by_sys_id, _by_login, _by_display_name]
    found: Meanings = {}
    for look_up in reversed(lookups) if by_display else lookups:
        if missing := [text for text in dict.fromkeys(texts) if text not in found]:
            found |= look_up(target, caller, missing)
    return found


def _by_sys_id(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    sys_ids = [text for text in texts if _SYS_ID.fullmatch(text)]
    restriction, who = visibility(target, caller)
    found: Meanings = {}
    for some in _chunks(sys_ids):
        # A power of two, so that few statements serve every number of them.
        size = 1 << (len(some) - 1).bit_length()
        padded = {f"wanted_{at}": some[min(at, len(some) - 1)] for at in range(size)}
        rows = _sys_id_statement(target, restriction, size).all({**padded, **who})
        found |= {row.sys_id: row.sys_id for row in rows}
    return found


def _chunks(items: list[str]) -> Iterator[list[str]]:
    return (items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE))


def _by_login(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    return _by_name(target, caller, target.login_field, texts) if target.login_field else {}


def _by_display_name(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    return _by_name(target, caller, target.display_field, texts)


def _by_name(target: Table, caller: Caller, column: str, texts: list[str]) -> Meanings:
    restriction, who = visibility(target, caller)
    statement = _name_statement(target, restriction, column)
    found: Meanings = {}
    for text in texts:
        row = statement.first({"wanted": text, **who})
        if row is not None and row.how_many:
            found[text] = row.sys_id if row.how_many == 1 else None
    return found


@lru_cache(maxsize=256)
def _sys_id_statement(target: Table, restriction: Restriction, size: int) -> Prepared:
    sys_id = target.source.c["sys_id"]
    wanted = [parameter(f"wanted_{at}", type_=String) for at in range(size)]
    statement = select(sys_id).where(sys_id.in_(wanted), *visible_rows(target, restriction))
    return Prepared(statement)


@lru_cache(maxsize=256)
def _name_statement(target: Table, restriction: Restriction, column: str) -> Prepared:
    visible = visible_rows(target, restriction)
    return Prepared(_counted(target).where(_is_called(target, column), *visible))


def _counted(target: Table) -> Select[Any, int]:
    sys_id = target.source.c["sys_id"]
    return select(func.min(sys_id).label("sys_id"), func.count().label("how_many")).select_from(target.source)


def _is_called(target: Table, column: str) -> ColumnElement[bool]:
    """Return the clause for a name without case; a number is stored in capitals, and so its index serves."""
    stored, wanted = target.source.c[column], parameter("wanted", type_=String)
    return (
        stored == func.upper(wanted)
        if isinstance(stored.type, UpperCaseString)
        else func.lower(stored) == func.lower(wanted)
    )
