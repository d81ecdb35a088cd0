"""Resolving the records of a file: names become sys_ids, and values become the texts of the Table API."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from changegate.errors import ChangegateError, RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.process_documents.documents import Document, identity_of, in_order
from changegate.services.process_documents.kinds import ACTIVE, DocumentKind
from changegate.services.process_files.reading import FileRecord
from changegate.services.tables.registry import Table
from changegate.services.tables.values import render_value, text_of
from changegate.services.tables.writing.inputs import REFERRING, changed_values

LONGEST_SHOWN = 100
Rows = Mapping[str, Sequence[Document]]


class ValueRefused(ChangegateError):
    """Values of a record in a file cannot be stored."""


def resolve(record: FileRecord, stored: Document | None, caller: Caller) -> Document:
    """Return the document that a record of a file describes. Raises `ValueRefused` with all invalid values.

    A field that the file leaves out has its default. `active` of a stored record stays as it is.
    """
    problems: list[str] = []
    document = _resolve(record, {}, caller, problems)
    if problems:
        raise ValueRefused("\n".join(problems))
    if stored is not None and record.placed.value.get(ACTIVE) is None and ACTIVE in record.kind.fields:
        return replace(document, fields={**document.fields, ACTIVE: stored.fields[ACTIVE]})
    return document


def _resolve(record: FileRecord, siblings: Rows, caller: Caller, problems: list[str]) -> Document:
    kind, given = record.kind, record.placed.value
    texts, refused = dict(kind.defaults), {}
    for name in (name for name in kind.fields if given.get(name) is not None):
        try:
            if key := kind.siblings.get(name):
                texts[name] = _name_sibling(name, given[name], siblings.get(key, ()), key)
            else:
                texts[name] = _text(kind.table, name, given[name], caller)
        except RequestUnreadable as problem:
            refused[name] = [_sentence(kind, name, given[name], problem)]
    problems += record.explain(refused)
    parts: dict[str, list[Document]] = {}
    for part in kind.parts:
        rows = (_resolve(row, parts, caller, problems) for row in record.parts.get(part.key, ()))
        parts[part.key] = in_order(part, rows)
    filled = {name: texts[name] for name in kind.fields if texts.get(name)}
    return Document(filled, parts, origin=record)


def _text(table: Table, name: str, value: Any, caller: Caller) -> str:
    """Return the text of a value, as it is stored."""
    resolved = changed_values(table, caller, {name: value}, {}, by_display=False)
    return render_value(table.entries[name], resolved.get(name))


def _name_sibling(name: str, value: Any, rows: Iterable[Document], key: str) -> str:
    """Return the identity of a row of the same record that a file names by identity or label."""
    text = text_of(name, value)
    named = [row for row in rows if ",".join(identity_of(row.origin.kind, row)) == text]
    named = named or [row for row in rows if row.fields.get(row.origin.kind.label) == text]
    if len(named) != 1:
        how_many = "several" if named else "none"
        raise RequestUnreadable(f"one of the {key} of this record is expected, and {how_many} of them is named so")
    return ",".join(identity_of(named[0].origin.kind, named[0]))


def _sentence(kind: DocumentKind, name: str, value: Any, problem: RequestUnreadable) -> str:
    sentence = (problem.detail or problem.message).removeprefix(f"Field {name}: ")
    is_reference = kind.table.entries[name].kind in REFERRING and name not in kind.siblings
    remedy = " Correct it, or create the record first." if is_reference else ""
    return f"{sentence}: {str(value)[:LONGEST_SHOWN]!r}.{remedy}"
