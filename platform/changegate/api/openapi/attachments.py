"""The Attachment API as paths of the document."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.openapi.answers import JSON, XML, answer, errors, header
from changegate.api.openapi.parameters import OF_FILE_LISTS, upload_parameters
from changegate.api.openapi.records import result_of
from changegate.api.openapi.tables import AS_XML, TOTAL
from changegate.api.openapi.values import JsonSchema, ref
from changegate.services.attachments.access import ATTACHMENTS
from changegate.services.attachments.file_names import MAX_FILE_NAME_LENGTH
from changegate.services.attachments.metadata import names_of_metadata
from changegate.services.catalog import TABLES

Operation = dict[str, Any]
PATH = "/api/now/attachment"
TAG = "Attachments"
ANY_FILE = "application/octet-stream"
# A name without a path, surrounding spaces, control characters, or bidirectional controls.
_NO_PART = r"/\\\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
FILE_NAME: JsonSchema = {
    "type": "string",
    "pattern": rf"^\.{{0,2}}[^\s.{_NO_PART}]([^{_NO_PART}]*[^\s{_NO_PART}])?$",
    "maxLength": MAX_FILE_NAME_LENGTH,
}
# Constraints of the target parameters that their schema does not express.
TARGET: Mapping[str, JsonSchema] = {
    "table_name": {"type": "string", "enum": sorted(TABLES.keys() - {ATTACHMENTS.name})},
    "table_sys_id": {"type": "string", "minLength": 1},
    "file_name": FILE_NAME,
}
METADATA: JsonSchema = {
    "description": "The metadata of a file; every value is a string.",
    "type": "object",
    "properties": {name: {"type": "string"} for name in names_of_metadata()},
    "required": list(names_of_metadata()),
    "additionalProperties": False,
}
LOCATION = {"Location": header("The address of the file's bytes.", format="uri-reference")}
FILE_HEADERS = {
    "Content-Disposition": header("Says to save the file, and under which name (RFC 6266)."),
    "X-Attachment-Metadata": header("More metadata of the file, as JSON."),
}


def attachment_paths(spec: APISpec) -> Mapping[str, dict[str, Operation]]:
    """Return the operations on files by path and method."""
    return {
        PATH: {"get": _list()},
        f"{PATH}/file": {"post": _send(spec)},
        f"{PATH}/upload": {"post": _upload()},
        f"{PATH}/{{sys_id}}": {"get": _get(), "patch": _rename(), "delete": _delete()},
        f"{PATH}/{{sys_id}}/file": {"get": _download()},
    }


def _operation(verb: str, summary: str, description: str, **rest: Any) -> Operation:
    return {
        "tags": [TAG],
        "operationId": f"{verb}_attachment",
        "summary": summary,
        "description": description,
        **rest,
    }


def _list() -> Operation:
    return _operation(
        "list",
        "List files",
        "Those of the records that the caller may read. `field=value` parameters narrow it further.",
        parameters=[*OF_FILE_LISTS],
        responses={
            "200": answer("The metadata of the files.", result_of({"type": "array", "items": ref("File")}), TOTAL),
            **errors(406),
        },
    )


def _get() -> Operation:
    return _operation(
        "get",
        "Get the metadata of a file",
        "Callers who may read the file's record may do this.",
        parameters=["sys_id"],
        responses={"200": answer("The metadata of the file.", result_of(ref("File"))), **errors(404, 406)},
    )


def _download() -> Operation:
    success = answer("The bytes, under the type that they were found to be of.", headers=FILE_HEADERS)
    success["content"] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return _operation(
        "download",
        "Get the bytes of a file",
        "Callers who may read the file's record may do this.",
        parameters=["sys_id"],
        responses={"200": success, **errors(404)},
    )


def _send(spec: APISpec) -> Operation:
    parameters = upload_parameters(spec)
    for parameter in parameters:
        parameter["schema"] |= TARGET.get(parameter["name"], {})
    return _operation(
        "send",
        "Attach a file",
        "The body is the file, of any type except a form; its type is detected from its bytes. "
        "Callers who may update the record may do this.",
        parameters=parameters,
        requestBody={
            "description": "The bytes. `Content-Type` and `Content-Length` have to be given.",
            "required": True,
            "content": {ANY_FILE: {"schema": {"type": "string", "format": "binary"}}},
        },
        responses={"201": _created(), **errors(404, 406, 411, 415)},
    )


def _upload() -> Operation:
    names = ("table_name", "table_sys_id")
    form: JsonSchema = {
        "type": "object",
        "properties": {**{name: TARGET[name] for name in names}, "uploadFile": {"type": "string", "format": "binary"}},
        "required": [*names, "uploadFile"],
    }
    return _operation(
        "upload",
        "Attach the file of a form",
        "One file, in a part of any name. Callers who may update the record may do this.",
        requestBody={"required": True, "content": {"multipart/form-data": {"schema": form}}},
        responses={"201": _created(), **errors(404, 406, 415)},
    )


def _created() -> dict[str, Any]:
    success = answer("The metadata of the new file.", result_of(ref("File")), LOCATION)
    success["links"] = {
        verb: {"operationId": f"{verb}_attachment", "parameters": {"sys_id": "$response.body#/result/sys_id"}}
        for verb in ("get", "download", "delete")
    }
    return success


def _rename() -> Operation:
    body: JsonSchema = {"type": "object", "properties": {"file_name": FILE_NAME}, "required": ["file_name"]}
    return _operation(
        "rename",
        "Give a file another name",
        "Callers who may update the file's record may do this.",
        parameters=["sys_id"],
        requestBody={"required": True, "content": {JSON: {"schema": body}, XML: {"schema": {**body, **AS_XML}}}},
        responses={"204": answer("The file has its new name."), **errors(404, 415)},
    )


def _delete() -> Operation:
    return _operation(
        "delete",
        "Delete a file",
        "Callers who may update the file's record may do this.",
        parameters=["sys_id"],
        responses={"204": answer("The file is gone."), **errors(404)},
    )
