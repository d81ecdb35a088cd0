"""JSON Schemas of the Change Management API: records of typed values, next states, and blockers."""

from collections.abc import Mapping

from changegate.api.openapi.values import SYS_ID, JsonSchema, ref
from changegate.services.approvals.rollup import APPROVED, REJECTED

_TYPED_SCHEMAS: Mapping[str, JsonSchema] = {
    "TypedValue": {
        "description": "A value in JSON, its display value, and for dates the local time in sortable form.",
        "type": "object",
        "properties": {
            "value": {"type": ["string", "integer", "boolean"]},
            "display_value": {"type": "string"},
            "display_value_internal": {"type": "string"},
        },
        "required": ["value", "display_value"],
        "additionalProperties": False,
    },
    "TypedRecord": {
        "description": "A record; fields that the caller may not read are left out.",
        "type": "object",
        "properties": {"sys_id": ref("TypedValue")},
        "required": ["sys_id"],
        "additionalProperties": ref("TypedValue"),
    },
    "WrittenRecord": {
        "description": "The record as it is now, with the names in the request that are not writable fields.",
        "type": "object",
        "properties": {
            "__meta": {
                "type": "object",
                "properties": {"ignoredFields": {"type": "array", "items": {"type": "string"}}},
                "required": ["ignoredFields"],
                "additionalProperties": False,
            },
        },
        "required": ["__meta"],
        "additionalProperties": ref("TypedValue"),
    },
    "QueryReport": {
        "description": "The last row of a list, if the instance is configured to add it: the query that was run.",
        "type": "object",
        "properties": {
            "__meta": {
                "type": "object",
                "properties": {
                    "encodedQuery": {"type": "string"},
                    "fields": {
                        "type": "object",
                        "properties": {
                            name: {"type": "array", "items": {"type": "string"}} for name in ("applied", "ignored")
                        },
                    },
                },
            },
        },
        "required": ["__meta"],
        "additionalProperties": False,
    },
}
_TEXT: JsonSchema = {"type": "string"}
_SYS_ID: JsonSchema = {"type": "string", "pattern": SYS_ID}


def _object(description: str, /, **properties: JsonSchema) -> JsonSchema:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def list_of(items: JsonSchema) -> JsonSchema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def _or_null(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


CHANGE_SCHEMAS: Mapping[str, JsonSchema] = {
    **_TYPED_SCHEMAS,
    "NextStates": _object(
        "The states that a change can move to, its own included.",
        state_label={"description": "Labels by state.", "type": "object", "additionalProperties": _TEXT},
        available_states=list_of(_TEXT),
        state_transitions={
            "description": "For each state, the alternative transitions.",
            **list_of(list_of(ref("Transition"))),
        },
    ),
    "Transition": _object(
        "A transition from the current state.",
        sys_id=_SYS_ID,
        display_value=_TEXT,
        from_state=_TEXT,
        to_state=_TEXT,
        automatic_transition={"type": "boolean"},
        transition_available={"description": "Whether all conditions pass.", "type": "boolean"},
        conditions=list_of(
            _object(
                "A condition, and whether it passes.",
                passed={"type": "boolean"},
                condition=_object(
                    "The condition; its description states how to satisfy it.",
                    sys_id=_SYS_ID,
                    name=_TEXT,
                    description=_or_null(_TEXT),
                ),
            )
        ),
    ),
    "Answer": {
        "description": "An answer; a rejection needs comments.",
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": [APPROVED, REJECTED]},
            "comments": ref("Text"),
        },
        "required": ["state"],
    },
    "Blocker": _object(
        "One thing that a change waits for.",
        code=_TEXT,
        sentence=_TEXT,
        field=_or_null(_TEXT),
        approval=_or_null(_TEXT),
        task=_or_null(_TEXT),
        since=_or_null(_TEXT),
        who_can={"description": "Users, groups, and roles.", **list_of({"type": "object"})},
        how=_or_null(
            _object(
                "The request that removes the blocker; an empty text is a value that the caller chooses.",
                method=_TEXT,
                path=_TEXT,
                body={"type": "object", "additionalProperties": _TEXT},
            )
        ),
        not_before=_or_null(_TEXT),
    ),
}
