"""OpenAPI paths of the admin API of inbound integrations."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.integrations import ADMIN_PREFIX
from changegate.api.openapi.answers import ETAG, JSON, answer, errors, header
from changegate.api.openapi.integration_fields import add_fields
from changegate.api.openapi.parameters import IF_MATCH, name_of, query_parameters
from changegate.api.openapi.records import result_of
from changegate.api.openapi.values import JsonSchema, ref
from changegate.schemas.event_query import EventQuerySchema
from changegate.schemas.integration_calls import SecretRotationSchema, TrialRequestSchema
from changegate.schemas.integration_views import EventSchema, KeyReportSchema, TrialSchema

Operation = dict[str, Any]
Paths = Mapping[str, dict[str, Operation]]
TAG = "Integrations"
ROLES = "Needs one of the roles admin, oauth_admin, mi_admin, of a user; access tokens are refused."
THUMBPRINT = "^[A-Za-z0-9_-]{43}$"
BASIC: list[dict[str, list[str]]] = [{"basic": []}]
_IN_PATH: Mapping[str, tuple[str, str]] = {
    "client_id": ("The client id of the integration.", "^[0-9a-f]{32}$"),
    "thumbprint": ("The thumbprint of the key (RFC 7638).", THUMBPRINT),
}


def add_integration_schemas(spec: APISpec) -> None:
    """Add the schemas of integrations, their keys and events, and the requests about them."""
    for schema in (EventSchema, KeyReportSchema, TrialSchema, SecretRotationSchema, TrialRequestSchema):
        spec.components.schema(name_of(schema), schema=schema)
    add_fields(spec)


def integration_paths(spec: APISpec) -> Paths:
    """Return the paths of the admin API."""
    path = f"{ADMIN_PREFIX}/integrations/{{client_id}}"
    return {
        f"{ADMIN_PREFIX}/integrations": {"get": _list(), "post": _create()},
        path: {
            "get": _read(),
            "put": _write("replace", "replacement"),
            "patch": _write("change", "changes"),
            "delete": _delete(),
        },
        f"{path}/rotate-secret": {"post": _rotate()},
        f"{path}/enable": {"post": _switch("enable", "Activate an integration")},
        f"{path}/disable": {"post": _switch("disable", "Deactivate an integration and end its tokens")},
        f"{path}/keys": {"get": _keys("keys", "Get the key timeline of an integration")},
        f"{path}/refresh-keys": {"post": _keys("refresh_keys", "Fetch the keys of an integration now")},
        f"{path}/keys/{{thumbprint}}/block": {
            "post": _keys("block_key", "Block a key and end the tokens of its integration", "thumbprint")
        },
        f"{path}/keys/{{thumbprint}}/unblock": {"post": _keys("unblock_key", "Unblock a key", "thumbprint")},
        f"{path}/try": {"post": _try()},
        f"{ADMIN_PREFIX}/events": {"get": _events(spec)},
    }


def _operation(name: str, summary: str, responses: Mapping[str, Any], *in_path: str, text: str = "") -> Operation:
    operation: Operation = {
        "tags": [TAG],
        "operationId": name,
        "summary": summary,
        "description": f"{text} {ROLES}".strip(),
        "security": BASIC,
        "responses": {**responses},
    }
    return {**operation, "parameters": [_in_path(part) for part in in_path]} if in_path else operation


def conditional(operation: Operation, *, is_required: bool = False) -> Operation:
    """Return an operation that accepts or requires `If-Match`."""
    condition = {**IF_MATCH, "required": True} if is_required else "If-Match"
    return {**operation, "parameters": [*operation["parameters"], condition]}


def _in_path(name: str) -> dict[str, Any]:
    description, pattern = _IN_PATH[name]
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _body(schema: str, *, is_required: bool = True) -> dict[str, Any]:
    return {"required": is_required, "content": {JSON: {"schema": ref(schema)}}}


def _ok(description: str, schema: JsonSchema, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return answer(description, result_of(schema), headers, has_xml=False)


def _saved(description: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    warnings = {"type": "array", "items": {"type": "string"}, "description": "Recommended changes, as sentences."}
    shown = result_of(ref("Integration"))
    shown = {**shown, "properties": {**shown["properties"], "warnings": warnings}}
    return answer(description, shown, headers, has_xml=False)


def _list() -> Operation:
    all_of_them = _ok("All integrations, by name.", {"type": "array", "items": ref("Integration")})
    return _operation("list_integrations", "List inbound integrations", {"200": all_of_them, **errors()})


def _create() -> Operation:
    made = _saved("The new integration.", {"Location": header("The URL of the integration.")} | ETAG)
    text = (
        "Fields that are not given get the value of the `preset`, otherwise the default. Fields that the `type` does "
        "not have are refused unless they are empty. Without a `name`, an `issuer` or a `jwks_url` alone gives the "
        "integration the name of its provider."
    )
    operation = _operation("create_integration", "Register an integration", {"201": made, **errors(415)}, text=text)
    return {**operation, "requestBody": _body("Integration.new")}


def _read() -> Operation:
    response = _ok("The integration; never its secret.", ref("Integration"), ETAG)
    return _operation("get_integration", "Get an integration", {"200": response, **errors(404)}, "client_id")


def _write(verb: str, schema: str) -> Operation:
    kept = "get their defaults, except `active`" if verb == "replace" else "keep their values"
    text = f"Fields that are not given {kept}. Shared keys that are not given stay."
    responses = {"200": _saved("The changed integration.", ETAG), **errors(404, 412, 415, 428)}
    summary = f"{verb.capitalize()} an integration"
    operation = _operation(f"{verb}_integration", summary, responses, "client_id", text=text)
    return {**conditional(operation, is_required=True), "requestBody": _body(f"Integration.{schema}")}


def _delete() -> Operation:
    text = "Its tokens stop working, and its keys are deleted. Its token events stay."
    responses = {"204": answer("It is deleted."), **errors(404, 412)}
    return conditional(_operation("delete_integration", "Delete an integration", responses, "client_id", text=text))


def _rotate() -> Operation:
    properties = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
    secret: JsonSchema = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    responses = {"200": _ok("The new secret; it is not shown again.", secret), **errors(404, 412, 415)}
    summary = "Give an integration a new client secret"
    operation = conditional(_operation("rotate_secret", summary, responses, "client_id"))
    return {**operation, "requestBody": _body("SecretRotation", is_required=False)}


def _switch(verb: str, summary: str) -> Operation:
    responses = {"200": _saved("The changed integration.", ETAG), **errors(404, 412)}
    return conditional(_operation(f"{verb}_integration", summary, responses, "client_id"))


def _keys(name: str, summary: str, *more: str) -> Operation:
    is_change = bool(more)
    responses = {"200": _ok("The current keys.", ref("KeyReport")), **errors(404, *[412] * is_change)}
    operation = _operation(name, summary, responses, "client_id", *more)
    return conditional(operation) if is_change else operation


def _try() -> Operation:
    text = "Issues no token, writes no event, and does not record the assertion as used."
    responses = {"200": _ok("The result that an exchange would have.", ref("Trial")), **errors(404, 415)}
    operation = _operation("try_assertion", "Check an assertion rule by rule", responses, "client_id", text=text)
    return {**operation, "requestBody": _body("TrialRequest")}


def _events(spec: APISpec) -> Operation:
    link = {"Link": header("The next page, if there is one.", is_required=False)}
    responses = {"200": _ok("A page of events.", {"type": "array", "items": ref("Event")}, link), **errors()}
    operation = _operation("list_events", "List token events, newest first", responses)
    return {**operation, "parameters": [_parameter(found) for found in query_parameters(spec, EventQuerySchema())]}


def _parameter(found: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter without the type null, which a query string cannot express."""
    name, schema = found["name"], {key: value for key, value in found["schema"].items() if key != "description"}
    if schema.get("type") != "integer":
        schema["type"] = "string"
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if name in ("before", "correlation_id"):
        schema["pattern"] = "^[0-9a-f]{32}$"
    if name in ("since", "until"):
        schema["format"] = "date-time"
    return {**found, "schema": schema}
