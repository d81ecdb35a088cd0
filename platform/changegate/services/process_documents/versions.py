"""Versions of the process: each content of each of its records, numbered in the order in which they came into force.

    a write of a policy, a model, … ──note_edit──> before the commit: the whole record, if its content is another one
    changegate prepare ──store_versions──> what is shipped, and what was written before versions existed
    a move or a decision about a change ──current_version──> its entry in the history of the change

A transaction stores one version of a record, however many of its rows it writes. Version N of the process is, for each
record, the last content with a number up to N.
"""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Integer, String, func, insert, select

from changegate.database import connection, unit_of_work
from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgProcessVersion
from changegate.models.base import new_sys_id, utc_now
from changegate.services.process_documents.documents import Document, document_of, find_document, read_documents
from changegate.services.process_documents.kinds import KINDS, SYS_ID, DocumentKind, kinds_in_history

_VERSIONS = ChgProcessVersion.__table__
_LATEST = Prepared(select(_VERSIONS.c["number"]).order_by(_VERSIONS.c["number"].desc()).limit(1))
# Writers take turns by the lock of the first version: the next number is known only after the commit of the one before.
_TURN = Prepared(
    select(_VERSIONS.c["number"])
    .where(_VERSIONS.c["number"] == parameter("first", Integer))
    .with_for_update(key_share=True)
    .execution_options(locks_rows=True)
)
_OF_SUBJECT = (
    _VERSIONS.c["subject_table"] == parameter("table", String),
    _VERSIONS.c["subject_id"] == parameter("subject", String),
)
_STORED = Prepared(
    select(_VERSIONS.c["digest"], _VERSIONS.c["name"])
    .where(*_OF_SUBJECT)
    .order_by(_VERSIONS.c["number"].desc())
    .limit(1)
)
_INSERT = Prepared(insert(_VERSIONS), _VERSIONS.c.keys())


def current_version() -> int:
    """Return the number of the version of the process that is in force."""
    row = _LATEST.first({})
    return 0 if row is None else int(row.number)


def note_edit(table: str, sys_id: str, user_name: str) -> None:
    """Have the commit store a version of a record of the process, of which something was written or deleted."""
    for kind in kinds_in_history(table):
        store = partial(_store_edited, kind, sys_id, user_name)
        unit_of_work().do_before_commit(("version of the process", kind.table_name, sys_id), store)


def store_versions() -> None:
    """Store the records of the process whose content is not that of their last version."""
    for kind in KINDS:
        known = {document.sys_id: document for document in read_documents(kind)}
        for sys_id in {**_subjects_of(kind), **known}:
            _store(kind, sys_id, known.get(sys_id), "system")


def documents_at(number: int) -> Mapping[DocumentKind, list[Document]]:
    """Return the records of each kind as they were in a version of the process."""
    return {kind: list(_documents_at(kind, number)) for kind in KINDS}


def _documents_at(kind: DocumentKind, number: int) -> list[Document]:
    is_of_kind = (_VERSIONS.c["subject_table"] == kind.table_name, _VERSIONS.c["number"] <= number)
    last = select(func.max(_VERSIONS.c["number"])).where(*is_of_kind).group_by(_VERSIONS.c["subject_id"])
    rows = connection().execute(select(_VERSIONS.c["document"]).where(_VERSIONS.c["number"].in_(last)))
    return [document_of(orjson.loads(text)) for text in rows.scalars() if text is not None]


def _subjects_of(kind: DocumentKind) -> dict[str, None]:
    """Return the sys_ids of the records of a kind that have a version."""
    subjects = select(_VERSIONS.c["subject_id"]).where(_VERSIONS.c["subject_table"] == kind.table_name).distinct()
    return dict.fromkeys(connection().execute(subjects).scalars())


def _store_edited(kind: DocumentKind, sys_id: str, user_name: str) -> None:
    _store(kind, sys_id, find_document(kind, SYS_ID, sys_id), user_name)


def _store(kind: DocumentKind, sys_id: str, document: Document | None, user_name: str) -> None:
    _TURN.first({"first": 1})
    text = None if document is None else document.canonical
    digest = hashlib.sha256((text or "").encode()).hexdigest()
    stored: Any = _STORED.first({"table": kind.table_name, "subject": sys_id})
    if (stored.digest if stored else _DELETED) == digest:
        return
    name = document.name if document else stored.name
    now = utc_now()
    stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0}
    author = {"sys_created_by": user_name, "sys_updated_by": user_name}
    subject = {"subject_table": kind.table_name, "subject_id": sys_id, "name": name}
    content = {"number": current_version() + 1, "document": text, "digest": digest}
    _INSERT.execute({"sys_id": new_sys_id(), **stamps, **author, **subject, **content})


# A record that was created and deleted in one transaction has no version.
_DELETED = hashlib.sha256(b"").hexdigest()
