"""JSON Schemas of values in requests and responses.

See docs/reference/table-api.md#values and #writes.
"""

from collections.abc import Mapping
from typing import Any

from changegate.models.base import Entry
from changegate.services.tables.display.selections import LINKED
from changegate.services.tables.values import DEFAULT_TEXT_LENGTH, MAX_FIELD_NAME_LENGTH, MAX_INTEGER

JsonSchema = dict[str, Any]
# Characters that every field can store: the rule of `is_storable`, without lone surrogates, which JSON cannot contain.
STORABLE = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
SYS_ID = "^[A-Za-z0-9]{32}$"

VALUES: Mapping[str, JsonSchema] = {
    "Text": {
        "description": "Text without control characters other than tab and line ends; null or empty clears the field.",
        "type": ["string", "null"],
        "pattern": STORABLE,
    },
    "WholeNumber": {
        "description": "An integer, as a number or a string.",
        "type": ["integer", "string", "null"],
        "minimum": -MAX_INTEGER,
        "maximum": MAX_INTEGER,
        "pattern": "^(-?[0-9]{1,9})?$",
    },
    "TrueOrFalse": {
        "description": "true or false, also as a string; an empty value changes nothing.",
        "type": ["boolean", "string", "null"],
        "pattern": "^(true|false)?$",
    },
    "DateTime": {
        "description": "A time in UTC, such as 2030-01-31 08:30:00. ISO 8601 is also accepted, also with an offset.",
        "type": ["string", "null"],
        "format": "glide_date_time",
    },
    "Date": {
        "description": "A date, such as 2030-01-31.",
        "type": ["string", "null"],
        "format": "glide_date",
    },
    "Reference": {
        "description": "A record of another table: its sys_id, or its name; for a user, the user_name.",
        "type": ["string", "null"],
        "pattern": STORABLE,
        "maxLength": MAX_FIELD_NAME_LENGTH,
    },
    "References": {
        "description": "Records of another table: sys_ids or names, separated by commas.",
        "type": ["string", "null"],
        "pattern": STORABLE,
    },
    "Link": {
        "description": "A reference in a response, with `display_value` instead of `value` if requested.",
        "type": "object",
        "properties": {
            "link": {"description": "The URL of the record.", "type": "string", "format": "uri-reference"},
            "value": {"description": "The sys_id of the record.", "type": "string"},
            "display_value": {"description": "The name of the record.", "type": "string"},
        },
        "required": ["link"],
        "additionalProperties": False,
    },
    "Pair": {
        "description": "The stored value and the display value; a reference also has its link.",
        "type": "object",
        "properties": {
            "value": {"type": "string"},
            "display_value": {"type": "string"},
            "link": {"type": "string", "format": "uri-reference"},
        },
        "required": ["display_value", "value"],
        "additionalProperties": False,
    },
    "RecordOfPairs": {
        "description": "A record with `sysparm_display_value=all`: every field is a pair.",
        "type": "object",
        "additionalProperties": {"$ref": "#/components/schemas/Pair"},
    },
}
_INPUTS = {
    "integer": "WholeNumber",
    "boolean": "TrueOrFalse",
    "glide_date_time": "DateTime",
    "glide_date": "Date",
    "reference": "Reference",
    "glide_list": "References",
}


def ref(name: str) -> JsonSchema:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def output_of(entry: Entry, choices: Mapping[str, str]) -> JsonSchema:
    """Return the schema of a field in responses. Choices are not limited: a stored one may be inactive by now."""
    schema: JsonSchema = {"title": entry.label, "type": "string"}
    if entry.kind in LINKED:
        schema = {"title": entry.label, "anyOf": [{"type": "string"}, ref("Link")]}
    if description := _description(entry, choices):
        schema["description"] = description
    if entry.is_read_only:
        schema["readOnly"] = True
    return schema


def input_of(entry: Entry, choices: Mapping[str, str]) -> JsonSchema:
    """Return the schema of a field in requests."""
    schema: JsonSchema = {"title": entry.label}
    if description := _description(entry, choices):
        schema["description"] = description
    if entry.choices is not None:
        return schema | {"type": ["string", "null"], "enum": [*choices, "", None]}
    name = _INPUTS.get(entry.kind, "Text")
    if name == "Text":
        schema["maxLength"] = entry.max_length or DEFAULT_TEXT_LENGTH
    if entry.is_secret:
        schema["writeOnly"] = True
    return {**ref(name), **schema}


def _description(entry: Entry, choices: Mapping[str, str]) -> str:
    sentences = []
    if entry.description:
        sentences.append(entry.description)
    if entry.reference:
        sentences.append(f"Refers to {entry.reference}.")
    if choices:
        sentences.append(f"One of {', '.join(f'`{value}` {label}' for value, label in choices.items())}.")
    if entry.is_private:
        sentences.append("For administrators.")
    if entry.is_secret:
        sentences.append("Write-only: returned masked or empty.")
    return " ".join(sentences)
