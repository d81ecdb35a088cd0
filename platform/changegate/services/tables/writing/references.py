"""References: resolution of sent texts to sys_ids of records (docs/reference/table-api.md#writes).

Only records that the caller may see are resolved; all others do not exist for them.
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
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import DEFAULT_TEXT_LENGTH
from changegate.services.tables.visibility import Restriction, visibility, visible_rows

# Text to sys_id, or to None if the text matches several records. Texts without a match are missing.
Meanings = dict[str, str | None]
AT_ONCE = 128
_SYS_ID = re.compile(f"[A-Za-z0-9]{{{SYS_ID_LENGTH}}}")


def resolve_references(table: Table, caller: Caller, texts: Mapping[str, str], *, by_display: bool = False) -> Values:
    """Return the sys_ids for the texts of reference fields; those of a list are comma-separated.

    A text is looked up as a sys_id, then as the login name of a user, then as a case-insensitive display name, and with
    `by_display` as a sys_id last. Login names come first, since users choose their display names. All fields that refer
    to one table share the statement for sys_ids. Raises `RequestUnreadable` if a text matches no record or several.
    """
    by_target: dict[str, list[str]] = {}
    for name, text in texts.items():
        entry = table.entries[name]
        by_target.setdefault(str(entry.reference), []).extend(_items(entry, text))
    meanings = {target: _meanings(find_table(target), caller, items, by_display) for target, items in by_target.items()}
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
    # A list of names may be shorter than that of their sys_ids. A text for an unserved table may itself be too long.
    expected = "a sys_id or a name" if entry.kind == "reference" else "a list of sys_ids"
    raise RequestUnreadable(f"Field {field}: {expected} of up to {limit} characters is expected")


def _sys_id_of(field: str, entry: Entry, text: str, meanings: Meanings) -> str:
    if sys_id := meanings.get(text):
        return sys_id
    # A list of users may contain the e-mail address of a person without an account.
    if entry.kind == "glide_list" and "@" in text and text not in meanings:
        return text
    how_many = "more than one record" if text in meanings else "no record"
    raise RequestUnreadable(f"Field {field}: {how_many} of {entry.reference} matches the value")


def _meanings(target: Table | None, caller: Caller, texts: Iterable[str], by_display: bool) -> Meanings:
    if target is None:  # the table is not served, so its records cannot be looked up
        return {text: text for text in texts}
    if not target.access.admits("read", caller.permissions):
        return {}
    lookups: list[Callable[[Table, Caller, list[str]], Meanings]] = [_by_login, _by_display_name]
    lookups.insert(len(lookups) if by_display else 0, _by_sys_id)
    meanings: Meanings = {}
    for look_up in lookups:
        if missing := [text for text in dict.fromkeys(texts) if text not in meanings]:
            meanings |= look_up(target, caller, missing)
    return meanings


def _by_sys_id(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    sys_ids = [text for text in texts if _SYS_ID.fullmatch(text)]
    restriction, who = visibility(target, caller)
    meanings: Meanings = {}
    for chunk in _chunks(sys_ids):
        # Padded to a power of two with the last sys_id, so that a few statements serve every length.
        size = 1 << (len(chunk) - 1).bit_length()
        padded = {f"sys_id_{at}": chunk[min(at, len(chunk) - 1)] for at in range(size)}
        rows = _sys_id_statement(target, restriction, size).all({**padded, **who})
        meanings |= {row.sys_id: row.sys_id for row in rows}
    return meanings


def _chunks(items: list[str]) -> Iterator[list[str]]:
    return (items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE))


def _by_login(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    return _by_name(target, caller, target.login_field, texts) if target.login_field else {}


def _by_display_name(target: Table, caller: Caller, texts: list[str]) -> Meanings:
    return _by_name(target, caller, target.display_field, texts)


def _by_name(target: Table, caller: Caller, column: str, texts: list[str]) -> Meanings:
    restriction, who = visibility(target, caller)
    statement = _name_statement(target, restriction, column)
    meanings: Meanings = {}
    for text in texts:
        row = statement.first({"name": text, **who})
        if row is not None and row.how_many:
            meanings[text] = row.sys_id if row.how_many == 1 else None
    return meanings


@lru_cache(maxsize=256)
def _sys_id_statement(target: Table, restriction: Restriction, size: int) -> Prepared:
    sys_id = target.source.c["sys_id"]
    listed = [parameter(f"sys_id_{at}", type_=String) for at in range(size)]
    statement = select(sys_id).where(sys_id.in_(listed), *visible_rows(target, restriction))
    return Prepared(statement)


@lru_cache(maxsize=256)
def _name_statement(target: Table, restriction: Restriction, column: str) -> Prepared:
    visible = visible_rows(target, restriction)
    return Prepared(_counted(target).where(_is_called(target, column), *visible))


def _counted(target: Table) -> Select[Any, int]:
    sys_id = target.source.c["sys_id"]
    return select(func.min(sys_id).label("sys_id"), func.count().label("how_many")).select_from(target.source)


def _is_called(target: Table, column: str) -> ColumnElement[bool]:
    """Return the case-insensitive clause for a name. Numbers are stored in upper case, so their index can be used."""
    stored, name = target.source.c[column], parameter("name", type_=String)
    if isinstance(stored.type, UpperCaseString):
        return stored == func.upper(name)
    return func.lower(stored) == func.lower(name)
