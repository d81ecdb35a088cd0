"""OpenAPI paths of batches, tiny URLs, the document itself, and health checks."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.openapi.answers import JSON, answer, errors
from changegate.api.openapi.parameters import VERSION, Converter, name_of
from changegate.api.openapi.records import result_of
from changegate.api.openapi.values import JsonSchema, ref
from changegate.schemas.batch import METHODS, URL_PREFIX, BatchSchema, RestRequestSchema
from changegate.services.catalog import TABLES
from changegate.services.tables.values import MAX_JSON_INTEGER

Operation = dict[str, Any]
Paths = Mapping[str, dict[str, Operation]]
BATCH = "Batch"
TINY_URLS = "Tiny URLs"
ABOUT = "About"
IDENTIFIER: JsonSchema = {
    "description": "A text or a whole number, answered as text.",
    "type": ["string", "integer"],
    "minimum": -(2**63),
    "maximum": MAX_JSON_INTEGER,
}
ANSWERED_REQUEST: JsonSchema = {
    "description": "The response to one request of a batch.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "status_code": {"type": "integer"},
        "status_text": {"type": "string"},
        "execution_time": {"description": "In milliseconds.", "type": "integer", "minimum": 0},
        "headers": {"type": "array", "items": ref("Header")},
        "body": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["id", "status_code", "status_text", "execution_time", "headers"],
    "additionalProperties": False,
}
ANSWERED_BATCH: JsonSchema = {
    "type": "object",
    "properties": {
        "batch_request_id": {"type": "string"},
        "serviced_requests": {"type": "array", "items": ref("AnsweredRequest")},
        "unserviced_requests": {
            "description": "The IDs of requests that were not run because of a limit; send them again.",
            "type": "array",
            "items": {"type": "string"},
        },
    },
    "required": ["batch_request_id", "serviced_requests", "unserviced_requests"],
    "additionalProperties": False,
}
# A path of the Table API or the Aggregate API, with its query string.
_HOST, _QUERY = r"https?://[A-Za-z0-9._~:@%*!$&'()+,;=-]*", r"\?[^\u0000#]{0,60000}"
SHORTENED = (
    rf"^({_HOST})?/api/now/(v[12]/)?(table|stats)/({'|'.join(sorted(TABLES))})(/[^/?#\u0000]{{0,99}})?({_QUERY})?$"
)


def add_batch_schemas(spec: APISpec) -> None:
    """Add the schemas of a batch, its requests, and their responses."""
    spec.components.schema("BatchedRequest", schema=RestRequestSchema)
    converter: Any = Converter(VERSION, name_of, spec)
    batch: JsonSchema = converter.schema2jsonschema(BatchSchema())
    batch["properties"] |= {
        "batch_request_id": IDENTIFIER,
        "rest_requests": {"type": "array", "items": {"allOf": [ref("BatchedRequest"), _request()]}},
    }
    spec.components.schema("Batch", batch)
    spec.components.schema("AnsweredRequest", ANSWERED_REQUEST)
    spec.components.schema("AnsweredBatch", ANSWERED_BATCH)


def _request() -> JsonSchema:
    """Return the schema of a request in a batch; a request that violates it gets a 400 of its own."""
    return {
        "type": "object",
        "properties": {
            "id": IDENTIFIER,
            "method": {"enum": list(METHODS)},
            "url": {"description": "A path with its query.", "pattern": f"^{URL_PREFIX}", "format": "uri-reference"},
            "body": {"contentEncoding": "base64"},
        },
        "required": ["id"],
    }


def batch_path() -> Paths:
    """Return the path of batches."""
    operation = {
        "tags": [BATCH],
        "operationId": "batch",
        "summary": "Send several requests at once",
        "description": (
            "The requests run in their order, each in its own transaction and with the rights of the sender. Each "
            "has its own answer, even if it fails or is malformed. A batch in a batch is refused."
        ),
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("Batch")}}},
        "responses": {"200": answer("The answers.", ref("AnsweredBatch")), **errors(406, 415)},
    }
    return {"/api/now/batch": {"post": operation}}


def tiny_url_path() -> Paths:
    """Return the path of tiny URLs."""
    url = {"description": "The address of a list or of statistics, with its query.", "type": "string"}
    body: JsonSchema = {
        "type": "object",
        "properties": {"url": {**url, "pattern": SHORTENED}},
        "required": ["url"],
    }
    operation = {
        "tags": [TINY_URLS],
        "operationId": "shorten",
        "summary": "Get a short token for a long query",
        "description": (
            "For a day, the caller that kept the query sends the token as `sysparm_tiny` to the same path, instead of "
            "all parameters. A user keeps 200 queries and 2,097,152 characters in all, and as many for each "
            "integration that acts as the user. Beyond that, the oldest queries are deleted."
        ),
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {
            "200": answer("The token, at the end of a text.", result_of({"type": "string"})),
            **errors(403, 406, 415),
        },
    }
    return {"/api/now/tinyurl": {"post": operation}}


def document_path() -> Paths:
    """Return the path of the document."""
    operation = {
        "tags": [ABOUT],
        "operationId": "describe",
        "summary": "Get this document",
        "responses": {"200": answer("The document.", {"type": "object"}, has_xml=False), **errors()},
    }
    return {"/api/now/openapi.json": {"get": operation}}


def health_paths() -> Paths:
    """Return the paths of health checks."""
    alive = answer("It serves.", _status("ok"), has_xml=False)
    sentence = (
        "The server runs, and the database is migrated and accepts writes. `jobs` is `overdue` if jobs have waited for "
        "minutes, as without a worker, otherwise `failed` if there are failed jobs. `schema` has the migration of the "
        "database, the oldest one whose code works on it, and the one of this node."
    )
    schema = _closed({name: {"type": "string"} for name in ("database", "oldest", "node")})
    others = {"jobs": {"enum": ["ok", "overdue", "failed"]}, "schema": schema}
    ready = answer(sentence, _status("ready", others), has_xml=False)
    return {
        "/healthz": {"get": _probe("health", "Is the process alive?", {"200": alive})},
        "/readyz": {"get": _probe("readiness", "Can it work?", {"200": ready, "503": "Unavailable"})},
    }


def _probe(name: str, question: str, responses: dict[str, Any]) -> Operation:
    return {"tags": [ABOUT], "operationId": name, "summary": question, "security": [], "responses": responses}


def _status(text: str, others: JsonSchema | None = None) -> JsonSchema:
    return _closed({"status": {"const": text}, **(others or {})})


def _closed(properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
