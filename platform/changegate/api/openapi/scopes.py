"""OpenAPI paths of the admin API of auth scopes."""

from collections.abc import Mapping
from typing import Any

from apispec import APISpec

from changegate.api.openapi.answers import ETAG, JSON, answer, errors, header
from changegate.api.openapi.integrations import BASIC, ROLES, TAG, conditional
from changegate.api.openapi.records import result_of
from changegate.api.openapi.values import STORABLE, SYS_ID, JsonSchema, ref
from changegate.api.scopes import PREFIX
from changegate.models.auth_scope import REST_APIS
from changegate.schemas.auth_scope import NAME, AuthScopeSchema, ScopeRuleSchema

Operation = dict[str, Any]
Paths = Mapping[str, dict[str, Operation]]
NAMED: JsonSchema = {"type": "string", "maxLength": 100, "pattern": f"^{NAME.removesuffix(chr(92) + 'Z')}$"}
USE: JsonSchema = {
    "type": "object",
    "properties": {"client_id": {"type": "string"}, "name": {"type": "string"}},
    "required": ["client_id", "name"],
    "additionalProperties": False,
}
LINE: JsonSchema = {"description": "One line, such as `GET table change_request own`.", "type": "string"}


def add_scope_schemas(spec: APISpec) -> None:
    """Add the schemas of scopes and of their rules."""
    spec.components.schema("ScopeRule", schema=ScopeRuleSchema)
    spec.components.schema("AuthScope.fields", schema=AuthScopeSchema)
    fields: JsonSchema = spec.components.schemas.pop("AuthScope.fields")
    labels = ", ".join(f"`{api}` the {known.label}" for api, known in REST_APIS.items())
    spec.components.schemas["ScopeRule"]["properties"]["rest_api"]["description"] = f"One of {labels}."
    properties = {**fields["properties"], "name": NAMED}
    properties["description"]["pattern"] = STORABLE
    spec.components.schema("AuthScope", _answered(properties))
    spec.components.schema("AuthScope.changes", _taken(properties, []))
    spec.components.schema("AuthScope.new", _taken(properties, ["name"]))


def scope_paths() -> Paths:
    """Return the paths of the admin API."""
    gone = {"204": answer("It is deleted."), **errors(404, 412)}
    everywhere = "Takes effect at the next call of every token that has the scope."
    return {
        PREFIX: {"get": _list(), "post": _create()},
        f"{PREFIX}/{{name}}": {
            "get": _about("get", {"200": _ok("The scope.", ETAG), **errors(404)}),
            "put": _write("replace", "new", f"Without rules, the scope allows nothing. {everywhere}"),
            "patch": _write("change", "changes", f"Fields that are not given keep their values. {everywhere}"),
            "delete": _about("delete", gone, "A scope that an integration uses cannot be deleted."),
        },
    }


def _answered(properties: Mapping[str, JsonSchema]) -> JsonSchema:
    plain = {name: {key: of for key, of in schema.items() if key != "default"} for name, schema in properties.items()}
    # Scopes from the seed or the database may have names and rules that this API would refuse.
    rules = {"type": "array", "items": {"type": "object"}}
    answered = {
        "sys_id": {"type": "string", "pattern": SYS_ID},
        **plain,
        "name": {"type": "string"},
        "rules": rules,
        "allows": {"description": "What the scope allows, in a sentence.", "type": "string"},
        "used_by": {"description": "The integrations that use it.", "type": "array", "items": USE},
    }
    return {"type": "object", "properties": answered, "required": [*answered], "additionalProperties": False}


def _taken(properties: Mapping[str, JsonSchema], required: list[str]) -> JsonSchema:
    rules = {**properties["rules"], "items": {"anyOf": [ref("ScopeRule"), LINE]}}
    taken: JsonSchema = {
        "type": "object",
        "properties": {**properties, "rules": rules},
        "additionalProperties": False,
    }
    return {**taken, "required": required} if required else taken


def _list() -> Operation:
    scopes = answer("All scopes, by name.", result_of({"type": "array", "items": ref("AuthScope")}), has_xml=False)
    return _operation("list_scopes", "List auth scopes", {"200": scopes, **errors()})


def _create() -> Operation:
    made = _ok("It is made.", {"Location": header("Where it is.")} | ETAG)
    operation = _operation("create_scope", "Create an auth scope", {"201": made, **errors(415)})
    return {**operation, "requestBody": _body("new")}


def _write(verb: str, schema: str, text: str) -> Operation:
    responses = {"200": _ok("The changed scope.", ETAG), **errors(404, 412, 415, 428)}
    return {**_about(verb, responses, text), "requestBody": _body(schema)}


def _about(verb: str, responses: Mapping[str, Any], text: str = "") -> Operation:
    name = {"name": "name", "in": "path", "required": True, "description": "The name of the scope.", "schema": NAMED}
    operation = _operation(f"{verb}_scope", f"{verb.capitalize()} an auth scope", responses, text)
    operation |= {"parameters": [name]}
    return operation if verb == "get" else conditional(operation, is_required=verb != "delete")


def _operation(name: str, summary: str, responses: Mapping[str, Any], text: str = "") -> Operation:
    return {
        "tags": [TAG],
        "operationId": name,
        "summary": summary,
        "description": f"{text} {ROLES}".strip(),
        "security": BASIC,
        "responses": {**responses},
    }


def _ok(description: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return answer(description, result_of(ref("AuthScope")), headers, has_xml=False)


def _body(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": ref(f"AuthScope.{schema}")}}}
