"""The Attachment API: docs/reference/other-apis.md#attachment."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response
from marshmallow import Schema, ValidationError

from changegate.api.attachment_body import measure_file, name_of, read_file, read_form, require_file
from changegate.api.auth import api_call, caller, require_caller, require_scope
from changegate.api.envelopes import api_response, empty_response
from changegate.api.negotiation import require_acceptable
from changegate.api.request_body import read_record
from changegate.api.tinyurl import restore_query
from changegate.database import commit
from changegate.errors import InputInvalid, RequestUnreadable, ScopeMissing
from changegate.extensions import db, settings
from changegate.schemas.attachment import (
    AttachmentQuerySchema,
    AttachmentTargetSchema,
    NamedAttachmentTargetSchema,
)
from changegate.schemas.field_errors import field_errors
from changegate.schemas.table_query import parse_parameters
from changegate.services.access.caller import Caller
from changegate.services.attachments.access import find_owner, get_attachable
from changegate.services.attachments.file_names import SEPARATORS, parse_file_name
from changegate.services.attachments.metadata import render_metadata
from changegate.services.attachments.reading import Attachment, get_attachment, list_attachments, read_content
from changegate.services.attachments.upload import Upload
from changegate.services.attachments.writing import Target, create_attachment, delete_attachment, rename_attachment
from changegate.services.catalog import TABLES
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import knows_integrations
from changegate.unproxied import current_request

REST_API = "now/attachment"
LINK_BASE = f"/api/{REST_API}"
# Browsers must save a file; if one displays it nevertheless, scripts in the file must not run.
HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}
bp = Blueprint("attachment", __name__)
bp.before_request(require_caller)
bp.before_request(restore_query)
_query_schema = AttachmentQuerySchema()
_target_schema = AttachmentTargetSchema()
_named_target_schema = NamedAttachmentTargetSchema()


@bp.get("")
def list_view() -> Response:
    """Return a page of file metadata."""
    require_acceptable()
    params = _query_schema.load(parse_parameters(current_request().query_string))
    query = parse_encoded_query(params.query)
    page = list_attachments(*_in_scope(), query, params.filters, limit=params.limit, offset=params.offset)
    records = [_rendered(row._mapping) for row in page.rows]
    return api_response({"result": records}, headers={"X-Total-Count": str(page.total)})


@bp.get("/<sys_id>")
def get_view(sys_id: str) -> Response:
    """Return the metadata of a file."""
    require_acceptable()
    return api_response({"result": _rendered(_found(sys_id)._mapping)})


@bp.get("/<sys_id>/file")
def file_view(sys_id: str) -> Response:
    """Return the bytes of a file, regardless of the Accept header."""
    attachment = _found(sys_id)
    response = Response(read_content(attachment), content_type=attachment.content_type, headers=HARMLESS)
    response.content_length = attachment.size_bytes
    response.headers.set("Content-Disposition", "attachment", **_disposition(attachment.file_name))
    # `json.dumps` escapes everything but ASCII, as a header requires.
    response.headers["X-Attachment-Metadata"] = json.dumps(_rendered(attachment._mapping))
    return response


@bp.post("/file")
def create_view() -> Response:
    """Attach the body as a file."""
    require_acceptable()
    most = settings().attachment_max_bytes
    target, who = _target(_named_target_schema, parse_parameters(current_request().query_string))
    require_file(most)
    # Release the database connection while the file arrives; `create_attachment` looks the record up again.
    db.session.close()
    with read_file() as upload:
        return _created(who, target, upload)


@bp.post("/upload")
def upload_view() -> Response:
    """Attach the file in a form."""
    require_acceptable()
    _in_scope()
    db.session.close()
    most = settings().attachment_max_bytes
    with read_form(most) as (texts, sent):
        target, who = _target(_target_schema, texts, file_name=name_of(sent))
        return _created(who, target, measure_file(sent, most))


@bp.patch("/<sys_id>")
def rename_view(sys_id: str) -> Response:
    """Rename a file."""
    file_name = read_record().get("file_name")
    if not isinstance(file_name, str):
        raise RequestUnreadable("Field file_name: a string is expected")
    tables, who = _in_scope()
    rename_attachment(who, get_attachment(tables, who, sys_id), parse_file_name(file_name))
    commit()
    return empty_response(204)


@bp.delete("/<sys_id>")
def delete_view(sys_id: str) -> Response:
    """Delete a file."""
    tables, who = _in_scope()
    delete_attachment(who, get_attachment(tables, who, sys_id))
    commit()
    return empty_response(204)


def _in_scope() -> tuple[list[Table], Caller]:
    """Return the tables whose files the caller may use with this method, and the caller limited to their scopes.

    Raises `ScopeMissing` if an access token covers no table. Users without a token have all tables.
    """
    who = caller()
    calls = {table: api_call(REST_API, table.name) for table in TABLES.values()}
    covered = {table: call for table, call in calls.items() if who.permissions.has_scope(call)}
    who = who.within(covered.values())
    tables = [table for table in covered if not who.permissions.only_own_records or knows_integrations(table)]
    if not tables:
        raise ScopeMissing(*calls.values())
    return tables, who


def _found(sys_id: str) -> Attachment:
    tables, who = _in_scope()
    return get_attachment(tables, who, sys_id)


def _target(schema: Schema, sent: dict[str, str], **named: str) -> tuple[Target, Caller]:
    """Return the target of a new file and the caller; raises an error if the caller may not attach files to it."""
    try:
        fields = schema.load(sent) | named
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    table = get_attachable(fields["table_name"])
    who = require_scope(REST_API, table.name)
    file_name = parse_file_name(fields["file_name"])
    owner = find_owner(table, who, fields["table_sys_id"])
    if owner is not table:
        who = require_scope(REST_API, owner.name)
        find_owner(owner, who, fields["table_sys_id"])
    return Target(owner, fields["table_sys_id"], file_name, fields["encryption_context"]), who


def _created(who: Caller, target: Target, upload: Upload) -> Response:
    attachment = create_attachment(who, target, upload)
    commit()
    # The link has the API version of the request (docs/reference/other-apis.md#attachment).
    collection = current_request().path.rstrip("/").rpartition("/")[0]
    location = f"{settings().base_url}{collection}/{attachment.sys_id}/file"
    return api_response({"result": _rendered(attachment._mapping)}, 201, {"Location": location})


def _rendered(values: Mapping[Any, Any]) -> dict[str, str]:
    return render_metadata(values, f"{settings().base_url}{LINK_BASE}")


def _disposition(file_name: str) -> dict[str, str]:
    """Return the file name parameters: in ASCII, and also in UTF-8 if the name has other characters (RFC 6266 §4.3)."""
    if file_name.isascii():
        return {"filename": file_name}
    simple = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()
    return {"filename": _as_name(simple), "filename*": f"UTF-8''{quote(file_name, safe='')}"}


def _as_name(simple: str) -> str:
    """Return a valid name from the ASCII form of one: normalizing may have produced path separators."""
    name = simple.translate(dict.fromkeys(map(ord, SEPARATORS), "_")).strip()
    return name if name.strip(".") else "file"
