"""OpenAPI paths of the Table API: for each table, the operations that a role allows."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.openapi.answers import ETAG, JSON, XML, answer, errors, header
from changegate.api.openapi.parameters import OF_LISTS, OF_WRITES, SHAPE, stats_parameters
from changegate.api.openapi.records import (
    answered_record,
    creation_name,
    example_of,
    input_name,
    mandatory_fields,
    result_of,
)
from changegate.api.openapi.values import JsonSchema, ref
from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY, Roles, Table

Operation = dict[str, Any]
STATISTICS = "Statistics"
TOTAL = {"X-Total-Count": header("The total number of matching records.", type="integer", minimum=0)}
PAGES = {"Link": header("The URLs of the first, previous, next, and last page (RFC 8288).", is_required=False)}
IGNORED_FIELDS = {
    "X-Changegate-Ignored-Fields": header(
        "The names of ignored fields, separated by commas and percent-encoded.",
        is_required=False,
        maxLength=1000,
    )
}
LOCATION = {"Location": header("The URL of the new record.", format="uri-reference")}
FIGURES: JsonSchema = {
    "type": "object",
    "properties": {
        "count": {"type": "string", "pattern": "^[0-9]+$"},
        **{
            name: {"type": "object", "additionalProperties": {"type": "string"}}
            for name in ("avg", "min", "max", "sum")
        },
    },
    "additionalProperties": False,
}
GROUP: JsonSchema = {
    "description": "The figures of the records that share the values of `groupby_fields`.",
    "type": "object",
    "properties": {
        "stats": ref("Figures"),
        "groupby_fields": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "value", "display_value")},
                "required": ["field", "value"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["stats", "groupby_fields"],
    "additionalProperties": False,
}
# In XML, every value is the text of an element without child elements.
AS_XML: JsonSchema = {"additionalProperties": {"type": "string"}, "xml": {"name": "request"}}
TOTALS: JsonSchema = {
    "description": "The figures of all records together.",
    "type": "object",
    "properties": {"stats": ref("Figures")},
    "required": ["stats"],
    "additionalProperties": False,
}


def table_paths(table: Table) -> Mapping[str, dict[str, Operation]]:
    """Return the operations on a table by path and method."""
    collection: dict[str, Operation] = {"get": _list(table)}
    record: dict[str, Operation] = {"get": _get(table)}
    if table.access.create is not NOBODY:
        collection["post"] = _create(table)
    if table.access.update is not NOBODY:
        record["put"], record["patch"] = _update(table, "put"), _update(table, "patch")
    if table.access.delete is not NOBODY:
        record["delete"] = _delete(table)
    path = f"/api/now/table/{table.name}"
    return {path: collection, f"{path}/{{sys_id}}": record}


def stats_path(spec: APISpec) -> Mapping[str, dict[str, Operation]]:
    """Return the one path of the Aggregate API, for every table."""
    table_name = {
        "name": "table_name",
        "in": "path",
        "required": True,
        "description": "The table.",
        "schema": {"type": "string", "enum": sorted(TABLES)},
    }
    result = {"anyOf": [ref("Totals"), {"type": "array", "items": ref("Group")}]}
    operation = {
        "tags": [STATISTICS],
        "operationId": "aggregate",
        "summary": "Get counts, averages, sums, minimums, and maximums of records",
        "description": "All numbers are strings. Fields that a figure does not apply to are ignored.",
        "parameters": [table_name, *stats_parameters(spec)],
        "responses": {"200": answer("The figures, in total or by group.", result_of(result)), **errors(406)},
    }
    return {"/api/now/stats/{table_name}": {"get": operation}}


def _operation(table: Table, verb: str, summary: str, roles: Roles, **rest: Any) -> Operation:
    return {
        "tags": [table.name],
        "operationId": f"{verb}_{table.name}",
        "summary": summary,
        "description": _who(roles),
        **rest,
    }


def _who(roles: Roles) -> str:
    if not roles:
        return "Every caller may."
    return f"Needs one of the roles {', '.join(sorted({*roles, 'admin'}))}."


def _list(table: Table) -> Operation:
    schema = {"type": "array", "items": answered_record(table)}
    success = answer(
        "A page of records; under `/api/now/v1`, an empty list is a 404.", result_of(schema), TOTAL | PAGES
    )
    return _operation(
        table,
        "list",
        f"List {table.label} records",
        table.access.read,
        parameters=[*OF_LISTS],
        responses={"200": success, **errors(404, 406)},
    )


def _get(table: Table) -> Operation:
    return _operation(
        table,
        "get",
        f"Get a {table.label} record",
        table.access.read,
        parameters=["sys_id", *SHAPE],
        responses={"200": answer("The record.", result_of(answered_record(table)), ETAG), **errors(404, 406)},
    )


def _create(table: Table) -> Operation:
    success = answer("The record as it is now.", result_of(answered_record(table)), LOCATION | ETAG | IGNORED_FIELDS)
    success["links"] = _links(table)
    return _operation(
        table,
        "create",
        f"Create a {table.label} record",
        table.access.create,
        parameters=[*OF_WRITES, "Idempotency-Key"],
        requestBody=_body(creation_name(table), example_of(table, is_new=True)) | _requirement(table),
        responses={"201": success, **errors(406, 409, 415)},
    )


def _requirement(table: Table) -> dict[str, Any]:
    return {"required": True} if mandatory_fields(table) else {}


def _links(table: Table) -> dict[str, Any]:
    """Return links from a new record to the operations on it."""
    access = table.access
    verbs = {"get": access.read, "patch": access.update, "delete": access.delete}
    return {
        verb: {"operationId": f"{verb}_{table.name}", "parameters": {"sys_id": "$response.body#/result/sys_id"}}
        for verb, roles in verbs.items()
        if roles is not NOBODY
    }


def _update(table: Table, verb: str) -> Operation:
    return _operation(
        table,
        verb,
        f"Change fields of a {table.label} record",
        table.access.update,
        parameters=["sys_id", *OF_WRITES, "If-Match"],
        requestBody=_body(input_name(table), example_of(table, is_new=False)),
        responses={
            "200": answer("The record as it is now.", result_of(answered_record(table)), ETAG | IGNORED_FIELDS),
            **errors(404, 406, 412, 415),
        },
    )


def _delete(table: Table) -> Operation:
    return _operation(
        table,
        "delete",
        f"Delete a {table.label} record",
        table.access.delete,
        parameters=["sys_id", "If-Match"],
        responses={"204": answer("The record is gone."), **errors(404, 406, 412)},
    )


def _body(name: str, example: dict[str, str]) -> dict[str, Any]:
    return {
        "description": "A flat object. Of a list, only the first item is read; an empty body is an empty object.",
        "content": {
            JSON: {"schema": ref(name), "example": example},
            XML: {"schema": {**ref(name), **AS_XML}, "example": example},
        },
    }
