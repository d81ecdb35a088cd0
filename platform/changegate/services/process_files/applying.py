"""Applying a file: the stored records of the process match it afterwards, all of them or none.

The records that a file can change are locked first, in one order, so that what is compared is what is written to.
Nothing is committed here: a caller that rolls back has tried the file, with every rule of the Table API.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from sqlalchemy import select

from changegate.database.prepared import Prepared
from changegate.errors import ChangegateError
from changegate.services.access.caller import Caller
from changegate.services.process_documents.documents import Document, find_document
from changegate.services.process_documents.kinds import KINDS, NAME, SYS_ID, DocumentKind
from changegate.services.process_files.comparing import Edit, compare
from changegate.services.process_files.reading import FileRecord
from changegate.services.process_files.resolving import ValueRefused, resolve
from changegate.services.process_files.writing import carry_out

MISSING = "This release ships no record of this name. Export the process of this instance to see which it ships."
STORED_AS = "The value is stored as {!r}. Write it in this way, so that the file and the instance are equal."


def apply_records(records: Sequence[FileRecord], caller: Caller) -> list[Edit]:
    """Write the records of a file that differ from the stored ones; return the difference of each, also empty ones.

    Raises `ChangegateError` with all values that cannot be stored, and the first refusal by a rule.
    """
    for kind in KINDS:
        if any(record.kind is kind for record in records):
            _lock_statement(kind).all({})
    edits: list[Edit] = []
    refused: list[str] = []
    for record in records:
        stored = find_document(record.kind, NAME, record.name)
        try:
            edits += _apply(record, stored, caller)
        except ValueRefused as problem:
            # Records after it may be invalid as well. They are written only to find that out.
            refused.append(problem.message)
        except ChangegateError as problem:
            raise ChangegateError("\n".join([*refused, problem.message])) from None
    if refused:
        raise ChangegateError("\n".join(refused))
    return edits


def _apply(record: FileRecord, stored: Document | None, caller: Caller) -> Iterator[Edit]:
    if record.is_shipped:
        if stored is None or not stored.is_shipped:
            raise record.refuse(MISSING)
        return
    wanted = resolve(record, stored, caller)
    edit = compare(record.kind, stored, wanted)
    if edit.action != "keep":
        _require_stored(record, wanted, carry_out(edit, caller))
    yield edit


def _require_stored(record: FileRecord, wanted: Document, sys_id: str) -> None:
    """Refuse a file whose second application would write something again, such as another spelling of a time zone."""
    remaining = compare(record.kind, find_document(record.kind, SYS_ID, sys_id), wanted)
    if problems := list(_respelled(remaining)):
        raise ChangegateError("\n".join(problems))


def _respelled(remaining: Edit) -> Iterator[str]:
    stored_as = {name: [STORED_AS.format(stored)] for name, (stored, _) in remaining.changes.items()}
    yield from remaining.wanted.origin.explain(stored_as)
    for part in remaining.parts:
        yield from _respelled(part)


@lru_cache(maxsize=32)
def _lock_statement(kind: DocumentKind) -> Prepared:
    sys_id = kind.table.source.c[SYS_ID]
    locked = select(sys_id).order_by(sys_id).with_for_update(key_share=True)
    # SQLite has no row locks. `locks_rows` makes it take its write lock before it reads (database/engine.py).
    return Prepared(locked.execution_options(locks_rows=True))
