"""Writing of files: callers who may update a record may add, rename, and delete its files."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, update

from changegate.database import connection
from changegate.errors import RecordNotFound
from changegate.models import SysAttachmentDoc
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.attachments.access import ATTACHMENTS, find_owner, get_attachable
from changegate.services.attachments.reading import Attachment, get_written
from changegate.services.attachments.upload import Upload
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import AttachedFile

CHUNK_BYTES = 1024 * 1024
DOCS = SysAttachmentDoc.__table__


@dataclass(frozen=True, slots=True)
class Target:
    """The record to which a file is attached, and its name there."""

    table: Table
    sys_id: str
    file_name: str
    encryption_context: str | None = None


def create_attachment(caller: Caller, target: Target, upload: Upload) -> Attachment:
    """Store a file with its bytes and return its metadata. A record may have several files with one name.

    Raises `AccessRefused`, and `RecordNotFound` if the record was deleted during the upload.
    """
    # is_kept: the record must not be deleted between this check and the commit.
    owner = find_owner(target.table, caller, target.sys_id, is_kept=True)
    values = _described(target, upload) | {"table_name": owner.name} | _stamps(caller)
    connection().execute(insert(ATTACHMENTS), values)
    # In pieces, so that a large file is never in memory as a whole.
    for position, piece in enumerate(iter(lambda: upload.file.read(CHUNK_BYTES), b"")):
        connection().execute(insert(DOCS), {"attachment": values["sys_id"], "position": position, "data": piece})
    owner.rules.after_attachment(target.sys_id, None, AttachedFile(target.file_name, upload.digest), caller)
    return get_written(values["sys_id"])


def rename_attachment(caller: Caller, attachment: Attachment, file_name: str) -> None:
    """Rename a file. Raises `AccessRefused` and `RecordNotFound`."""
    owner = _require_update(caller, attachment)
    columns = ATTACHMENTS.c
    changes = {"file_name": file_name, "sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
    statement = update(ATTACHMENTS).where(columns["sys_id"] == attachment.sys_id)
    _run(statement.values(**changes, sys_mod_count=columns["sys_mod_count"] + 1))
    former, renamed = (AttachedFile(name, attachment.hash) for name in (attachment.file_name, file_name))
    owner.rules.after_attachment(attachment.table_sys_id, former, renamed, caller)


def delete_attachment(caller: Caller, attachment: Attachment) -> None:
    """Delete a file; the foreign key deletes its bytes. Raises `AccessRefused` and `RecordNotFound`."""
    owner = _require_update(caller, attachment)
    _run(delete(ATTACHMENTS).where(ATTACHMENTS.c["sys_id"] == attachment.sys_id))
    removed = AttachedFile(attachment.file_name, attachment.hash)
    owner.rules.after_attachment(attachment.table_sys_id, removed, None, caller)


def _require_update(caller: Caller, attachment: Attachment) -> Table:
    return find_owner(get_attachable(attachment.table_name), caller, attachment.table_sys_id)


def _run(statement: Any) -> None:
    if not connection().execute(statement).rowcount:
        raise RecordNotFound


def _described(target: Target, upload: Upload) -> dict[str, Any]:
    return {
        "sys_id": new_sys_id(),
        "file_name": target.file_name,
        "content_type": upload.content_type,
        "size_bytes": upload.size,
        "size_compressed": upload.size,
        "compressed": False,
        "hash": upload.digest,
        "chunk_size_bytes": CHUNK_BYTES,
        "state": "available",
        "table_sys_id": target.sys_id,
        "encryption_context": target.encryption_context,
    }


def _stamps(caller: Caller) -> dict[str, Any]:
    now = utc_now()
    by = caller.user_name
    return {
        "sys_created_on": now,
        "sys_created_by": by,
        "sys_updated_on": now,
        "sys_updated_by": by,
        "sys_mod_count": 0,
    }


def remove_attachments(table_name: str, sys_ids: Iterable[str]) -> None:
    """Delete the attachments of records in the current transaction; the foreign key deletes their bytes."""
    of_records = (ATTACHMENTS.c["table_name"] == table_name, ATTACHMENTS.c["table_sys_id"].in_(list(sys_ids)))
    connection().execute(delete(ATTACHMENTS).where(*of_records))
