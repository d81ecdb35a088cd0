"""Files of a change: upload, download, preview of images, and deletion."""

from dataclasses import replace

from flask import Blueprint, Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.database import commit
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import settings
from changegate.services.access.caller import Caller
from changegate.services.attachments.file_names import last_part, parse_file_name
from changegate.services.attachments.reading import Attachment, get_attachment, list_attachments, read_content
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment, delete_attachment
from changegate.services.tables.queries.encoded_query import EncodedQuery, Order
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

# Bitmaps only: a browser executes scripts in other formats, such as SVG.
PREVIEWED = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MOST_FILES = 200
bp = Blueprint("change_files", __name__, url_prefix="/change-requests/<sys_id>/files")
bp.before_request(require_login)


def files_of(sys_id: str, caller: Caller) -> list[Attachment]:
    """Return the metadata of the files of a change, oldest first."""
    query = EncodedQuery(orders=(Order("sys_created_on"),))
    tables = (get_table("change_request"),)
    page = list_attachments(tables, caller, query, {"table_sys_id": sys_id}, limit=MOST_FILES, offset=0)
    return list(page.rows)


@bp.post("")
def upload_view(sys_id: str) -> ResponseReturnValue:
    """Attach the files of the form."""
    table, most = get_table("change_request"), settings().attachment_max_bytes
    sent = [file for file in current_request().files.getlist("file") if file.filename]
    if not sent:
        raise InputInvalid({"file": ["Choose a file."]})
    for file in sent:
        upload = measure(file.stream)
        if upload.size > most:
            raise InputInvalid({"file": [f"{file.filename} has {upload.size:,} bytes; {most:,} are allowed."]})
        name = parse_file_name(last_part(file.filename or ""))
        create_attachment(caller(), Target(table, sys_id, name), replace(upload))
    commit()
    flash("1 file attached." if len(sent) == 1 else f"{len(sent)} files attached.")
    return redirect(_tab(sys_id))


@bp.get("/<attachment_id>")
def file_view(sys_id: str, attachment_id: str) -> Response:
    """Return the bytes of a file: an image is shown, any other file is saved."""
    found = _find(sys_id, attachment_id)
    response = Response(read_content(found), content_type=found.content_type)
    response.content_length = found.size_bytes
    how = "inline" if found.content_type in PREVIEWED else "attachment"
    response.headers.set("Content-Disposition", how, filename=found.file_name.encode("ascii", "replace").decode())
    return response


@bp.post("/<attachment_id>/delete")
def delete_view(sys_id: str, attachment_id: str) -> ResponseReturnValue:
    """Delete a file."""
    delete_attachment(caller(), _find(sys_id, attachment_id))
    commit()
    flash("The file is deleted.")
    return redirect(_tab(sys_id))


def _find(sys_id: str, attachment_id: str) -> Attachment:
    found = get_attachment((get_table("change_request"),), caller(), attachment_id)
    if found.table_sys_id != sys_id:
        raise RecordNotFound
    return found


def _tab(sys_id: str) -> str:
    return url_for("change_requests.record_view", sys_id=sys_id, tab="files")
