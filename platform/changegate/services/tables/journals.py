"""Journals: append-only work notes and comments (docs/reference/change-records.md#journals)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select

from changegate.database import connection
from changegate.database.prepared import Prepared
from changegate.models import SysJournalField
from changegate.models.base import Entry, new_ordered_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, table_of_users
from changegate.services.tables.values import INSTANT_FORMAT, parse_text, text_of

Texts = Mapping[tuple[str, str], str]
_ENTRIES = SysJournalField.__table__
_ENTRY: Entry = _ENTRIES.c["value"].info["entry"]
_INSERT = Prepared(insert(_ENTRIES), _ENTRIES.c.keys())


def journal_entries(table: Table, fields: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the texts to be added to the journal fields of a record; blank texts are ignored.

    Raises `RequestUnreadable` naming the field.
    """
    sent = {name: text_of(name, fields[name]) for name in table.journal_fields if name in fields}
    return {name: parse_text(name, _ENTRY, text) for name, text in sent.items() if text and text.strip()}


def add_journal_entries(class_name: str, sys_id: str, texts: Mapping[str, str], caller: Caller) -> None:
    """Add an entry for each journal field of `texts` to a record, in the caller's name."""
    now = utc_now()
    for element, text in texts.items():
        entry = {"sys_id": new_ordered_sys_id(), "name": class_name, "element": element, "element_id": sys_id}
        stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
        author = {"sys_created_by": caller.user_name, "sys_updated_by": caller.user_name}
        _INSERT.execute({**entry, "value": text, **stamps, **author})


def find_journal_texts(
    table: Table, sys_ids: Sequence[str], shown_in: Mapping[str, Sequence[str]], zone: tzinfo | None = None
) -> Texts:
    """Return the rendered journal fields of some records, by (sys_id, field), with one statement.

    `shown_in` maps each field that is read to the journal fields whose entries it shows. Entries are sorted newest
    first; each is a line with time, author, and kind, then the text, and an empty line. A field without entries is
    missing. Times are local to `zone`, or UTC if it is None.
    """
    if not sys_ids or not shown_in:
        return {}
    texts: dict[tuple[str, str], list[str]] = {}
    for row in _find_entries(table, sys_ids, {part for shown in shown_in.values() for part in shown}):
        for element, shown in shown_in.items():
            if row.element in shown:
                texts.setdefault((row.element_id, element), []).append(_block(row, table, zone or UTC))
    return {key: "".join(blocks) for key, blocks in texts.items()}


def _find_entries(table: Table, sys_ids: Sequence[str], elements: Iterable[str]) -> Sequence[Row[Any]]:
    columns, (users, user_name) = _ENTRIES.c, table_of_users()
    by_author = _ENTRIES.outerjoin(users.source, users.source.c[user_name] == columns["sys_created_by"])
    statement = (
        select(columns["element_id"], columns["element"], columns["value"], columns["sys_created_on"])
        .add_columns(columns["sys_created_by"], users.source.c[users.display_field].label("author"))
        .select_from(by_author)
        .where(columns["element_id"].in_(sys_ids), columns["element"].in_(elements), *_of_table(table))
        .order_by(columns["sys_created_on"].desc(), columns["sys_id"].desc())
    )
    return connection().execute(statement).all()


def _of_table(table: Table) -> list[ColumnElement[bool]]:
    # Entries are stored under the name of a class. A base table such as task shows those of all its classes.
    has_classes = "sys_class_name" in table.columns and not table.classes
    return [] if has_classes else [_ENTRIES.c["name"] == table.name]


def _block(row: Row[Any], table: Table, zone: tzinfo) -> str:
    kind = table.journal_fields.get(row.element, row.element)
    at = row.sys_created_on.astimezone(zone)
    return f"{at:{INSTANT_FORMAT}} - {row.author or row.sys_created_by} ({kind})\n{row.value}\n\n"
