"""The fields of a change, in the sections in which they are shown and edited."""

from collections.abc import Mapping

from changegate.console.records.record_form import FormField, fields_of
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Change": (
        "short_description", "type", "category", "std_change_producer_version", "requested_by", "assignment_group",
        "assigned_to", "cmdb_ci", "business_service", "service_offering", "priority", "risk", "impact", "urgency",
        "description",
    ),
    "Schedule": ("start_date", "end_date", "work_start", "work_end", "cab_required", "cab_date", "cab_recommendation"),
    "Planning": ("justification", "implementation_plan", "risk_impact_analysis", "backout_plan", "test_plan"),
    "Hold": ("on_hold", "on_hold_reason"),
    "Closure": ("close_code", "close_notes", "review_status", "review_comments"),
    "More": ("correlation_id", "correlation_display", "watch_list", "unauthorized"),
}  # fmt: skip
# Shown above all sections.
IN_HEAD = ("short_description", "type")
# Shown if a token created the change.
PROVENANCE = (
    "oauth_entity", "oauth_client_id", "oauth_issuer", "oauth_subject", "oauth_exchange", "source_repository",
    "source_id", "source_ref", "source_commit", "source_workflow", "source_run", "source_actor",
    "source_environment", "source_run_url",
)  # fmt: skip
# Not asked for before there is a change.
LATER = frozenset({"work_start", "work_end", "on_hold", "on_hold_reason", *SECTIONS["Closure"]})
# What a copy does not take over: when it happens, and how the other change went.
NOT_COPIED = LATER | {"start_date", "end_date", "cab_date", "correlation_id", "correlation_display"}


def sections_of_form(table: Table, caller: Caller, *, is_new: bool) -> Mapping[str, list[FormField]]:
    """Return the inputs of the form by section; sections without any are left out."""
    fields = {field.name: field for field in fields_of(table, caller, is_new=is_new)}
    left_out = LATER if is_new else frozenset[str]()
    sections = {
        title: [fields[name] for name in names if name in fields and name not in left_out]
        for title, names in SECTIONS.items()
    }
    return {title: inputs for title, inputs in sections.items() if inputs}
