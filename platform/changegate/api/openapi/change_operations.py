"""The operations on records that the paths of the Change Management API consist of."""

from typing import Any

from changegate.api.openapi.answers import ETAG, JSON, XML, answer, errors
from changegate.api.openapi.records import creation_name, example_of, input_name, result_of
from changegate.api.openapi.tables import AS_XML, TOTAL
from changegate.api.openapi.values import JsonSchema, ref
from changegate.schemas.change_query import ENCRYPTED_FIELDS
from changegate.services.tables.registry import Table, get_table

Operation = dict[str, Any]
TAG = "Change Management"
ENCRYPTED: Operation = {
    "name": ENCRYPTED_FIELDS,
    "in": "query",
    "description": "Accepted and without effect: names and labels are accepted for every field.",
    "schema": {"type": "string"},
}
WRITES = "Fields may also be sent as parameters; those of the body take precedence. Choices may be sent as labels."


def operation(name: str, summary: str, **rest: Any) -> Operation:
    """Return an operation of the API with its tag."""
    return {"tags": [TAG], "operationId": name, "summary": summary, **rest}


def list_records(table: str, name: str, summary: str, parameters: list[Any]) -> Operation:
    """Return the operation that lists records of a table."""
    rows: JsonSchema = {"type": "array", "items": {"anyOf": [ref("TypedRecord"), ref("QueryReport")]}}
    return operation(
        name,
        summary,
        description=f"Any other parameter is a condition on a field of `{table}`.",
        parameters=parameters,
        responses={"200": answer("A page of records.", result_of(rows), TOTAL), **errors(406)},
    )


def get_record(table: str, name: str, summary: str, about: JsonSchema | None = None) -> Operation:
    """Return the operation that gets a record, or something else `about` it, which has no version."""
    record = answer("The record.", result_of(ref("TypedRecord")), ETAG)
    return operation(
        name,
        summary,
        description=f"A record of `{table}`.",
        parameters=["sys_id"],
        responses={
            "200": record if about is None else answer("As the record is now.", result_of(about)),
            **errors(404, 406),
        },
    )


def create_record(table_name: str, name: str, summary: str) -> Operation:
    """Return the operation that creates a record."""
    table = get_table(table_name)
    return operation(
        name,
        summary,
        description=WRITES,
        parameters=[ENCRYPTED, "X-no-response-body", "Idempotency-Key"],
        requestBody=_body(creation_name(table), table, is_new=True),
        responses={"200": written(), **errors(404, 406, 409, 415)},
    )


def update_record(table_name: str, name: str, summary: str, ids: list[Any]) -> Operation:
    """Return the operation that updates a record."""
    table = get_table(table_name)
    return operation(
        name,
        summary,
        description=WRITES,
        parameters=[*ids, ENCRYPTED, "X-no-response-body", "If-Match"],
        requestBody=_body(input_name(table), table, is_new=False),
        responses={"200": written(), **errors(404, 406, 409, 412, 415)},
    )


def delete_record(name: str, summary: str, ids: list[Any]) -> Operation:
    """Return the operation that deletes a record."""
    return operation(
        name,
        summary,
        parameters=[*ids, "X-no-response-body", "If-Match"],
        responses={
            "200": answer("The record as it was.", result_of(ref("TypedRecord"))),
            **errors(404, 406, 412),
        },
    )


def written() -> dict[str, Any]:
    """Return the answer with a written record."""
    return answer("The record as it is now.", result_of(ref("WrittenRecord")), ETAG)


def _body(schema: str, table: Table, *, is_new: bool) -> dict[str, Any]:
    example = example_of(table, is_new=is_new)
    return {
        "description": "A flat object. Of a list, only the first item is read; an empty body is an empty object.",
        "content": {
            JSON: {"schema": ref(schema), "example": example},
            XML: {"schema": {**ref(schema), **AS_XML}, "example": example},
        },
    }
