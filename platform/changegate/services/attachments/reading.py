"""Reading of files: their metadata and bytes, if the caller may see their records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, Select, func, select

from changegate.database import connection
from changegate.errors import RecordNotFound, RequestUnreadable
from changegate.extensions import db
from changegate.models import SysAttachment, SysAttachmentDoc
from changegate.services.access.caller import Caller
from changegate.services.attachments.access import ATTACHMENTS, readable_attachments
from changegate.services.attachments.metadata import known_columns
from changegate.services.tables.queries.clauses import order_clauses, where_clause
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.queries.name_values import narrow_query
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.values import is_storable, parse_value
from changegate.services.tables.visibility import parameters_of
from changegate.services.tables.walks import Walks

Attachment = Row[Any]
DOCS = SysAttachmentDoc.__table__
_KNOWN = known_columns()


@dataclass(frozen=True, slots=True)
class AttachmentPage:
    """A page of the files that match a query, and the total number of matches."""

    rows: Sequence[Attachment]
    total: int


def list_attachments(
    tables: Iterable[Table], caller: Caller, query: EncodedQuery, filters: Mapping[str, str], *, limit: int, offset: int
) -> AttachmentPage:
    """Return a page of the files of `tables` that match and whose records the caller may see."""
    table = get_table(SysAttachment.__tablename__)
    if not _is_possible(table, filters):
        return AttachmentPage([], 0)
    walks = Walks(table, caller.permissions)
    clauses = [readable_attachments(tables, caller.permissions)]
    if (matching := where_clause(walks, narrow_query(query, filters), caller)) is not None:
        clauses.append(matching.build())
    total = _run(select(func.count()).select_from(walks.source).where(*clauses), caller).scalar_one()
    orders = order_clauses(walks, query.orders)
    statement = select(*_KNOWN).select_from(walks.source).where(*clauses).order_by(*orders)
    rows = _run(statement.limit(limit).offset(offset), caller).all() if total > offset else []
    return AttachmentPage(rows, total)


def get_attachment(tables: Iterable[Table], caller: Caller, sys_id: str) -> Attachment:
    """Return the metadata of a file. Raises `RecordNotFound` if it does not exist or the caller may not see it."""
    is_readable = readable_attachments(tables, caller.permissions)
    statement = select(*_KNOWN).where(ATTACHMENTS.c["sys_id"] == sys_id, is_readable)
    row = _run(statement, caller).one_or_none() if is_storable(sys_id) else None
    if row is None:
        raise RecordNotFound
    attachment: Attachment = row
    return attachment


def get_written(sys_id: str) -> Attachment:
    """Return the metadata of a file that the caller has just attached."""
    attachment: Attachment = connection().execute(select(*_KNOWN).where(ATTACHMENTS.c["sys_id"] == sys_id)).one()
    return attachment


def read_content(attachment: Attachment) -> Iterator[bytes]:
    """Return the bytes of a file in pieces, with only one piece in memory at a time.

    Between two pieces, no transaction is open and no connection is in use, however slowly the client reads.
    """
    count = -(-attachment.size_bytes // attachment.chunk_size_bytes)
    return _pieces(db.engine, attachment.sys_id, count)


def _pieces(engine: Engine, sys_id: str, count: int) -> Iterator[bytes]:
    of_file = select(DOCS.c["data"]).where(DOCS.c["attachment"] == sys_id)
    for position in range(count):
        with engine.connect() as at_work:
            piece: bytes = at_work.execute(of_file.where(DOCS.c["position"] == position)).scalar_one()
        yield piece


def _is_possible(table: Table, filters: Mapping[str, str]) -> bool:
    """Return whether any file can match the filters.

    Other APIs ignore a value that is invalid for its field. Here, that would list the files of other records.
    """
    try:
        for name, value in filters.items():
            entry = table.entries.get(name.lower())
            if entry is not None and entry.kind in {"string", "GUID"}:
                parse_value(name, entry, value)
    except RequestUnreadable:
        return False
    return True


def _run(statement: Select[Any], caller: Caller) -> Any:
    return connection().execute(statement, parameters_of(caller))
