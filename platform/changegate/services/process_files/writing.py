"""Writing the differences of documents by the rules of the Table API.

A record is written before its rows, and rows are deleted after the others are written. A record whose rows decide about
its validity becomes active last, and is inactive while its rows are written, if its kind requires that.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from changegate.errors import ChangegateError, InputInvalid
from changegate.services.access.caller import Caller
from changegate.services.process_documents.documents import Document, identities_of
from changegate.services.process_documents.kinds import ACTIVE, DocumentKind
from changegate.services.process_files.comparing import Edit
from changegate.services.process_files.reading import FileRecord
from changegate.services.tables.writing.records import create_record, delete_record, update_record

Texts = Mapping[str, str]
# The sys_ids of rows by identity, for each list of a record.
SysIds = dict[str, dict[str, str]]
ON, OFF = "true", "false"


def carry_out(edit: Edit, caller: Caller) -> str:
    """Write a difference, and return the sys_id of the record. Raises `ChangegateError` with the place in the file."""
    return _carry_out(edit, {}, {}, caller)


def _carry_out(edit: Edit, owner: Texts, siblings: SysIds, caller: Caller) -> str:
    kind, wanted, record = edit.kind, edit.wanted, edit.wanted.origin
    becomes_active = bool(kind.parts) and wanted.fields.get(ACTIVE) == ON
    texts = _texts(kind, wanted, siblings)
    with _placed(record):
        if edit.stored is None:
            first = texts | ({ACTIVE: OFF} if becomes_active else {})
            sys_id = str(create_record(kind.table, caller, {**first, **owner})["sys_id"])
        else:
            sys_id = edit.stored.sys_id
            first = {name: texts.get(name, "") for name in edit.changes}
            first |= {ACTIVE: OFF} if becomes_active and (ACTIVE in first or _must_pause(edit)) else {}
            if first:
                update_record(kind.table, caller, sys_id, first)
    _write_rows(edit, sys_id, caller)
    if becomes_active:
        with _placed(record):
            update_record(kind.table, caller, sys_id, {ACTIVE: ON})
    return sys_id


def _must_pause(edit: Edit) -> bool:
    return edit.kind.pauses and bool(edit.parts or edit.removed)


def _write_rows(edit: Edit, sys_id: str, caller: Caller) -> None:
    """Write the rows of a record, list by list, and then delete those that are no longer wanted, in reverse order."""
    known: SysIds = {}
    for part in edit.kind.parts:
        stored = [] if edit.stored is None else edit.stored.parts[part.key]
        known[part.key] = {identity: row for row, identity in identities_of(part, stored).items()}
        for row in (each for each in edit.parts if each.kind is part):
            written = _carry_out(row, {part.owner: sys_id}, known, caller)
            known[part.key] |= dict.fromkeys(identities_of(part, [row.wanted]).values(), written)
    for part, removed in reversed(edit.removed):
        with _placed(edit.wanted.origin):
            delete_record(part.table, caller, removed.sys_id)


def _texts(kind: DocumentKind, wanted: Document, siblings: SysIds) -> dict[str, str]:
    """Return the texts to send: rows of the same record are referred to by sys_id."""
    named = {name: siblings[key][wanted.fields[name]] for name, key in kind.siblings.items()}
    return {**wanted.fields, **named}


@contextmanager
def _placed(record: FileRecord) -> Iterator[None]:
    """Add the place in the file to a refusal."""
    try:
        yield
    except InputInvalid as problem:
        raise ChangegateError("\n".join(record.explain(problem.fields))) from None
    except ChangegateError as problem:
        raise record.refuse(f"{problem.detail or problem.message}.") from None
