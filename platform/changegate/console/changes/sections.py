"""The fields of a change, in the sections in which they are shown and edited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from changegate.console.records.record_form import FormField, RecordForm, fields_of
from changegate.services.access.caller import Caller
from changegate.services.state_models.shipped import CANCELED
from changegate.services.state_models.stored import model_of
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import Table

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Change": (
        "short_description", "type", "category", "requested_by", "assignment_group", "assigned_to", "cmdb_ci",
        "business_service", "service_offering", "std_change_producer_version", "risk", "impact", "urgency", "priority",
        "description",
    ),
    "Schedule": ("start_date", "end_date"),
    "Planning": ("justification", "implementation_plan", "risk_impact_analysis", "backout_plan", "test_plan"),
    "Work": ("work_start", "work_end", "unauthorized"),
    "CAB": ("cab_required", "cab_date", "cab_recommendation"),
    "Hold": ("on_hold", "on_hold_reason"),
    "Closure": ("close_code", "close_notes", "review_status", "review_comments"),
    "More": ("correlation_id", "correlation_display", "watch_list"),
}  # fmt: skip
# Not folded in any state, and not folded before the first move.
ALWAYS_OPEN = frozenset({"Change", "Schedule"})
OPEN_AT_FIRST = ALWAYS_OPEN | {"Planning"}
EMPTY = frozenset({"", "false"})
# Shown above all sections.
IN_HEAD = ("short_description", "type")
# Shown if a token created the change.
PROVENANCE = (
    "oauth_entity", "oauth_client_id", "oauth_issuer", "oauth_subject", "oauth_exchange", "source_repository",
    "source_id", "source_ref", "source_commit", "source_workflow", "source_run", "source_actor",
    "source_environment", "source_run_url",
)  # fmt: skip
# Not asked for before there is a change.
LATER = frozenset({"work_start", "work_end", *SECTIONS["Hold"], *SECTIONS["Closure"]})
# What a copy does not take over: when it happens, and how the other change went.
NOT_COPIED = LATER | {"start_date", "end_date", "cab_date", "correlation_id", "correlation_display"}


def sections_of_form(table: Table, caller: Caller, *, is_new: bool) -> Mapping[str, list[FormField]]:
    """Return the inputs of the form by section; sections without any are left out."""
    fields = {
        field.name: replace(field, is_required=field.is_required or field.name == "short_description")
        for field in fields_of(table, caller, is_new=is_new)
    }
    left_out = LATER if is_new else frozenset[str]()
    sections = {
        title: [fields[name] for name in names if name in fields and name not in left_out]
        for title, names in SECTIONS.items()
    }
    return {title: inputs for title, inputs in sections.items() if inputs}


@dataclass(frozen=True, slots=True)
class FormSection:
    """A section of the form, open or folded; one that `stays_open` cannot be folded."""

    heading: str
    fields: Sequence[FormField]
    is_open: bool
    stays_open: bool


def fold(sections: Mapping[str, Sequence[FormField]], form: RecordForm, record: WireRecord | None) -> list[FormSection]:
    """Return the sections of a form; those are folded that neither the state of the change nor their content needs.

    A state needs the fields that are mandatory in it, or in a state that it can be moved to. `record` is None for a new
    change.
    """
    is_new, needed = (True, frozenset[str]()) if record is None else _needs_of(record)
    always = OPEN_AT_FIRST if is_new else ALWAYS_OPEN
    return [
        FormSection(
            heading,
            fields,
            heading in always
            or any(
                each.name in needed or each.name in form.errors or form.values[each.name] not in EMPTY
                for each in fields
            ),
            heading in ALWAYS_OPEN,
        )
        for heading, fields in sections.items()
    ]


def _needs_of(record: WireRecord) -> tuple[bool, frozenset[str]]:
    """Return whether a change is in the first state of its model, and the fields that it or a next state needs."""
    model = model_of({name: record[name]["value"] if name in record else None for name in ("chg_model", "type")})
    state = int(record["state"]["value"])
    following = {move.to_state for move in model.transitions_from(state)} - {CANCELED}
    return state == model.initial, frozenset(name for each in (state, *following) for name in model.mandatory_in(each))
