"""OpenAPI schemas of integrations: for responses, by connection type, and for requests."""

from collections.abc import Mapping

from apispec import APISpec

from changegate.api.openapi.values import STORABLE, SYS_ID, JsonSchema, ref
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import JWT_BEARER
from changegate.models.integration_field import Field
from changegate.models.integration_fields import FIELDS
from changegate.schemas.integration import SCHEMAS
from changegate.schemas.integration_input import PLACE, PLACEHOLDERS

Properties = dict[str, JsonSchema]
BESIDES: Mapping[str, JsonSchema] = {
    PLACEHOLDERS: {
        "description": "The parts that a preset's issuer is made of, in place of `issuer` and `jwks_url`.",
        "type": ["object", "null"],
        "additionalProperties": {"type": "string"},
    },
    PLACE: {"description": "Which of the preset's places; the first by default.", "type": ["string", "null"]},
}
NAMING = ("issuer", "jwks_url")
SECRET: JsonSchema = {
    "description": "Shown only in this answer; null for a client without a secret.",
    "type": ["string", "null"],
}


def add_fields(spec: APISpec) -> None:
    """Add the schemas of integrations."""
    known = {name: _properties(spec, name) for name in TYPES}
    for name, properties in known.items():
        spec.components.schema(_name(name), _answered(properties))
    mapping = {name: f"#/components/schemas/{_name(name)}" for name in TYPES}
    of_types = [ref(_name(name)) for name in TYPES]
    integration = {"oneOf": of_types, "discriminator": {"propertyName": "type", "mapping": mapping}}
    spec.components.schema("Integration", integration)
    taken = _of_all(known)
    changes = _taken(taken)
    spec.components.schema("Integration.changes", changes)
    spec.components.schema("Integration.replacement", {**changes, "required": ["name"]})
    spec.components.schema("Integration.new", {**changes, "anyOf": [{"required": ["name"]}, *_named_by_provider()]})


def _named_by_provider() -> list[JsonSchema]:
    """Return the bodies without a name: the provider of an issuer or of a JWKS URL names a new integration."""
    types = [name for name, connection in TYPES.items() if connection.has_provider]
    return [{"required": [name], "properties": {"type": {"enum": types}}} for name in NAMING]


def _name(connection_type: str) -> str:
    return f"Integration.{connection_type}"


def _properties(spec: APISpec, connection_type: str) -> Properties:
    spec.components.schema("Integration.fields", schema=SCHEMAS[connection_type])
    fields: JsonSchema = spec.components.schemas.pop("Integration.fields")
    known = TYPES[connection_type].fields
    properties = {name: {**_texts(field), **fields["properties"][name]} for name, field in known.items()}
    properties["comments"]["pattern"] = STORABLE
    properties["type"] = {**_texts(known["type"]), "type": "string", "enum": [connection_type]}
    return properties


def _texts(field: Field) -> JsonSchema:
    return {"title": field.label, **({"description": field.help} if field.help else {})}


def _answered(properties: Properties) -> JsonSchema:
    ids = {name: {"type": "string", "pattern": SYS_ID} for name in ("sys_id", "client_id")}
    return {
        "type": "object",
        "properties": {**ids, **_without_defaults(properties), "client_secret": SECRET},
        "required": [*ids, *properties],
        "additionalProperties": False,
    }


def _without_defaults(properties: Properties) -> Properties:
    return {
        name: {key: kept for key, kept in schema.items() if key != "default"} for name, schema in properties.items()
    }


def _of_all(known: Mapping[str, Properties]) -> Properties:
    """Return the fields of all types; each lists its types, and has a default only if its types agree on it."""
    merged: Properties = {}
    for properties in (known[JWT_BEARER], *known.values()):
        for name, schema in properties.items():
            agreed = merged.setdefault(name, schema)
            if agreed.get("default") != schema.get("default"):
                merged[name] = {key: kept for key, kept in agreed.items() if key != "default"}
    usual = {**_texts(FIELDS["type"]), "type": "string", "enum": [*TYPES], "default": JWT_BEARER}
    return {name: _noted(name, schema) for name, schema in merged.items()} | {"type": usual}


def _noted(name: str, schema: JsonSchema) -> JsonSchema:
    having = FIELDS[name].types
    if len(having) == len(TYPES):
        return schema
    which = f"types {', '.join(having)}" if len(having) > 1 else f"type {having[0]}"
    return {**schema, "description": f"{schema.get('description', '')} Only of the {which}.".strip()}


def _taken(properties: Properties) -> JsonSchema:
    line = {"description": "One line, such as `repository_id equals 123`.", "type": "string"}
    conditions = {**properties["claim_conditions"], "items": {"anyOf": [ref("ClaimCondition"), line]}}
    return {
        "type": "object",
        "properties": {**properties, "claim_conditions": conditions, **BESIDES},
        "additionalProperties": False,
    }
