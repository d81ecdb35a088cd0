"""OpenAPI parameters: of query strings, generated from their schemas, and of request headers."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from changegate.api.openapi.values import SYS_ID
from changegate.schemas.attachment import AttachmentQuerySchema, NamedAttachmentTargetSchema
from changegate.schemas.batch import Identifier
from changegate.schemas.stats_query import Items, StatsQuerySchema
from changegate.schemas.table_query import Count, DisplayChoice, FieldNames, Flag, TableQuerySchema

Parameter = dict[str, Any]
VERSION = "3.1.0"
SYS_ID_PARAMETER: Parameter = {
    "name": "sys_id",
    "in": "path",
    "required": True,
    "description": "The record.",
    "schema": {"type": "string", "pattern": SYS_ID},
}
IDEMPOTENCY_KEY: Parameter = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this creation: sent again within a day, with the same body, it creates nothing again.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
IF_MATCH: Parameter = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of the version that was read: another version is not written over.",
    "schema": {"type": "string"},
}
NO_BODY: Parameter = {
    "name": "X-no-response-body",
    "in": "header",
    "description": "Answer with status and headers alone.",
    "schema": {"type": "boolean", "default": False},
}
# References to shared parameters, by the names of their components.
SHAPE = ("sysparm_display_value", "sysparm_exclude_reference_link", "sysparm_fields")
OF_LISTS = ("sysparm_query", *SHAPE, "sysparm_limit", "sysparm_offset", "sysparm_suppress_pagination_header")
OF_WRITES = (*SHAPE, "sysparm_input_display_value", "X-no-response-body")
OF_FILE_LISTS = ("sysparm_query", "attachment_sysparm_limit", "sysparm_offset")


class Converter(OpenAPIConverter):
    """Maps the fields of our schemas to JSON Schema."""

    field_mapping = {
        **OpenAPIConverter.field_mapping,
        Count: ("integer", None),
        DisplayChoice: ("string", None),
        FieldNames: ("string", None),
        Flag: ("boolean", None),
        Identifier: ("string", None),
        Items: ("string", None),
    }

    def field2choices(self, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
        """Return the enum of a field."""
        if isinstance(field, DisplayChoice):
            return {"enum": ["false", "true", "all"]}
        choices: dict[str, Any] = super().field2choices(field, **kwargs)
        return choices

    def field2range(self, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
        """Return the bounds of a field."""
        bounds: dict[str, Any] = super().field2range(field, ret)
        return {"minimum": 0} if isinstance(field, Count) else bounds

    def field2default(self, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
        """Return the default of a field; an empty default is left out."""
        default: dict[str, Any] = super().field2default(field, **kwargs)
        return {} if default.get("default") in ("", (), None) else default


class Plugin(MarshmallowPlugin):
    """The plugin of apispec with our converter."""

    Converter = Converter

    def __init__(self) -> None:
        super().__init__(schema_name_resolver=name_of)


def name_of(schema: Any) -> str:
    """Return the name of a schema in the document."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def add_parameters(spec: APISpec) -> None:
    """Add the parameters that many operations share."""
    for prefix, schema in (("", TableQuerySchema()), ("attachment_", AttachmentQuerySchema(only=("limit",)))):
        for parameter in query_parameters(spec, schema):
            spec.components.parameter(f"{prefix}{parameter['name']}", "query", parameter)
    for parameter in (SYS_ID_PARAMETER, IDEMPOTENCY_KEY, IF_MATCH, NO_BODY):
        spec.components.parameter(parameter["name"], parameter["in"], dict(parameter))


def query_parameters(spec: APISpec, schema: Schema) -> list[Parameter]:
    """Return the parameters that a schema reads from a query string."""
    parameters: list[Parameter] = Converter(VERSION, name_of, spec).schema2parameters(schema, location="query")
    return parameters


def stats_parameters(spec: APISpec) -> list[Parameter]:
    """Return the parameters of aggregates."""
    return query_parameters(spec, StatsQuerySchema())


def upload_parameters(spec: APISpec) -> list[Parameter]:
    """Return the parameters of the target of a raw file."""
    return query_parameters(spec, NamedAttachmentTargetSchema())
