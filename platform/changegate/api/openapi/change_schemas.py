"""JSON Schemas of the Change Management API: records of typed values, next states, and blockers."""

from collections.abc import Mapping

from changegate.api.openapi.values import SYS_ID, JsonSchema, ref
from changegate.models.cmn_schedule import ENFORCEMENTS
from changegate.models.conflict import WORKER_TYPES
from changegate.schemas.planning_input import ASSOCIATIONS, LONGEST_DURATION, MOST_SYS_IDS
from changegate.services.approvals.rollup import APPROVED, REJECTED
from changegate.services.schedules.windows import ALLOWED, FROZEN, OUTSIDE

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
                "properties": {
                    "ignoredFields": {"type": "array", "items": {"type": "string"}},
                    "windows": ref("WindowsOfChange"),
                },
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
_INTEGER: JsonSchema = {"type": "integer"}
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


_WINDOWS: Mapping[str, JsonSchema] = {
    "from": _TEXT,
    "to": _TEXT,
    "next_opening": _or_null(_TEXT),
    "spans": list_of(
        _object(
            "An interval with one state, its end exclusive.",
            start=_TEXT,
            end=_TEXT,
            state={"type": "string", "enum": [ALLOWED, FROZEN, OUTSIDE]},
            reasons=list_of(
                _object(
                    "A freeze, who may override it, and which changes it is limited to.",
                    freeze=_SYS_ID,
                    name=_TEXT,
                    enforcement={"type": "string", "enum": [*ENFORCEMENTS]},
                    override_roles=list_of(_TEXT),
                    change_types=list_of(_TEXT),
                    assignment_groups=list_of(_SYS_ID),
                    condition=_TEXT,
                )
            ),
            more_reasons={"description": "How many freezes are not listed.", "type": "integer"},
        )
    ),
}
_ITEM = _object("A configuration item.", value=_SYS_ID, display_value=_TEXT)
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
    "Worker": {
        **_object(
            "Work under way or done; poll its link until the state is 3, Complete, or 4, Error.",
            worker=_object("The worker.", sysId=_SYS_ID, link=_TEXT),
            request={"description": "The request, as JSON in a string.", **_TEXT},
            state=_object("1 Waiting, 2 In-Progress, 3 Complete, 4 Error.", value=_INTEGER, display_value=_TEXT),
            type={"type": "string", "enum": sorted(WORKER_TYPES)},
            messages=_object(
                "What the work has led to.",
                **{f"{kind}Messages": list_of(_TEXT) for kind in ("error", "warning", "info")},
            ),
        ),
        "additionalProperties": {
            "description": "`payload`: the free times `spans`, and why earlier times were `rejected`.",
            "type": "object",
        },
    },
    "Conflicts": _object(
        "The conflicts of a change as of the last run.",
        status=_TEXT,
        last_run={"description": "The time of the last run in UTC; empty without one.", **_TEXT},
        record_count={"description": "The number of all conflicts; a limited number is listed.", **_TEXT},
        job_status={"description": "The latest check: 0 waiting, 1 running, 2 done, 3 failed.", **_TEXT},
        conflicts=list_of(ref("TypedRecord")),
    ),
    "ItemsInput": {
        "type": "object",
        "properties": {
            "association_type": {"type": "string", "enum": [*ASSOCIATIONS]},
            "cmdb_ci_sys_ids": {
                "description": f"Up to {MOST_SYS_IDS} sys_ids, or their comma-separated text.",
                "anyOf": [list_of(_SYS_ID), _TEXT],
            },
            "refresh_impacted_services": {"type": "boolean", "default": False},
        },
        "required": ["association_type", "cmdb_ci_sys_ids"],
    },
    "SlotInput": {
        "type": "object",
        "properties": {
            "duration_in_seconds": {
                "description": "The length of the time; by default that of the planned window.",
                "type": "integer",
                "minimum": 1,
                "maximum": int(LONGEST_DURATION.total_seconds()),
            },
            "planned_start_time": {"description": "The earliest start in UTC; now by default.", **_TEXT},
        },
        "required": ["duration_in_seconds"],
    },
    "WindowsOfChange": _object("When a new change is allowed, in a week from its planned start on.", **_WINDOWS),
    "Windows": _object(
        "When changes are allowed; times are in UTC.", ci=_or_null(_ITEM), environment=_or_null(_TEXT), **_WINDOWS
    ),
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
