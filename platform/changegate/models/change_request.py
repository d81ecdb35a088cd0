"""Change requests, a class of task."""

from datetime import date, datetime

from sqlalchemy import Index, and_, true
from sqlalchemy.orm import Mapped

from changegate.database.text_index import TextIndex
from changegate.database.windows import WindowIndex
from changegate.models.base import (
    boolean,
    choice,
    day,
    glide_list,
    index_of_active,
    index_of_counts,
    index_of_few,
    index_of_filled,
    index_on_sqlite,
    instant,
    integer,
    integer_choice,
    reference,
    string,
    text,
)
from changegate.models.task import Task

CHANGE_STATES = {
    "-5": "New",
    "-4": "Assess",
    "-3": "Authorize",
    "-2": "Scheduled",
    "-1": "Implement",
    "0": "Review",
    "3": "Closed",
    "4": "Canceled",
}
CHANGE_TYPES = {"normal": "Normal", "standard": "Standard", "emergency": "Emergency"}
PHASES = {"requested": "Requested", "plan": "Plan", "build": "Build", "accept": "Accept"}
PHASE_STATES = {
    "open": "Open",
    "requested": "Requested",
    "work in progress": "Work in progress",
    "on hold": "On hold",
    "rejected": "Rejected",
    "complete": "Complete",
}
RISKS = {"1": "Very High", "2": "High", "3": "Moderate", "4": "Low"}
SCOPES = {"1": "Massive", "2": "Large", "3": "Medium", "4": "Small", "5": "Tiny"}
CATEGORIES = {
    name: name
    for name in (
        "Hardware",
        "Software",
        "Service",
        "System Software",
        "Application Software",
        "Network",
        "Telecom",
        "Documentation",
        "Other",
    )
}
REASONS = {
    name: name
    for name in (
        "Business requirements",
        "Hardware upgrade",
        "Legislation",
        "Location change",
        "Network requirements",
        "New or removed CI",
        "Other",
        "Problem resolved",
        "Product or service changed",
        "Software upgrade",
        "User requested",
    )
}
CLOSE_CODES = {
    "successful": "Successful",
    "successful_issues": "Successful with issues",
    "unsuccessful": "Unsuccessful",
}
CONFLICT_STATUSES = {"Not Run": "Not Run", "Conflict": "Conflict", "No Conflict": "No Conflict"}


class ChangeRequest(Task):
    """A request to change a configuration item; all columns are nullable since other tasks share the table."""

    __mapper_args__ = {"polymorphic_identity": "change_request"}

    type: Mapped[str | None] = choice("Type", CHANGE_TYPES, default="normal")
    chg_model: Mapped[str | None] = reference("Model", "chg_model")
    phase: Mapped[str | None] = choice("Phase", PHASES, default="requested")
    phase_state: Mapped[str | None] = choice("Phase state", PHASE_STATES, default="open")
    risk: Mapped[int | None] = integer_choice("Risk", RISKS)
    risk_value: Mapped[int | None] = integer("Risk value", is_read_only=True)
    risk_assessment: Mapped[int | None] = integer("Score of the risk assessment")
    risk_explanation: Mapped[str | None] = text("Risk explanation", 20000, is_read_only=True)
    scope: Mapped[int | None] = integer_choice("Scope", SCOPES, default=3)
    category: Mapped[str | None] = choice("Category", CATEGORIES, default="Other")
    reason: Mapped[str | None] = choice("Reason", REASONS)
    close_code: Mapped[str | None] = choice("Close code", CLOSE_CODES, use_existing_column=True)
    justification: Mapped[str | None] = text("Justification")
    implementation_plan: Mapped[str | None] = text("Implementation plan")
    backout_plan: Mapped[str | None] = text("Backout plan")
    test_plan: Mapped[str | None] = text("Test plan")
    change_plan: Mapped[str | None] = text("Change plan")
    risk_impact_analysis: Mapped[str | None] = text("Risk and impact analysis")
    review_comments: Mapped[str | None] = text("Review comments")
    review_status: Mapped[str | None] = string("Review status", 40)
    review_date: Mapped[date | None] = day("Review date")
    proposed_change: Mapped[str | None] = text("Proposed change")
    start_date: Mapped[datetime | None] = instant("Planned start date")
    end_date: Mapped[datetime | None] = instant("Planned end date")
    requested_by: Mapped[str | None] = reference("Requested by", "sys_user")
    requested_by_date: Mapped[datetime | None] = instant("Requested by date")
    cab_required: Mapped[bool | None] = boolean("CAB required", default=False)
    cab_date: Mapped[date | None] = day("CAB date")
    cab_delegate: Mapped[str | None] = reference("CAB delegate", "sys_user")
    cab_recommendation: Mapped[str | None] = text("CAB recommendation")
    on_hold: Mapped[bool | None] = boolean("On hold", default=False, use_existing_column=True)
    on_hold_reason: Mapped[str | None] = text("On hold reason", use_existing_column=True)
    on_hold_task: Mapped[str | None] = glide_list("On hold change tasks", "task")
    unauthorized: Mapped[bool | None] = boolean("Unauthorized", default=False)
    production_system: Mapped[bool | None] = boolean("Production system", default=False)
    outside_maintenance_schedule: Mapped[bool | None] = boolean("Outside maintenance schedule", default=False)
    is_bulk: Mapped[bool | None] = boolean("Is bulk", default=False)
    conflict_status: Mapped[str | None] = choice("Conflict status", CONFLICT_STATUSES, default="Not Run")
    exclude_from_conflict_detection: Mapped[bool | None] = boolean("Exclude from conflict detection", default=False)
    conflict_last_run: Mapped[datetime | None] = instant("Conflict last run", is_read_only=True)
    std_change_producer_version: Mapped[str | None] = reference(
        "Standard Change Template version", "std_change_producer_version"
    )
    ci_class: Mapped[str | None] = string("CI class", 80, default="cmdb_ci")


_COLUMNS = ChangeRequest.__table__.c
_PAGE = ("sys_class_name", "sys_created_on", "sys_id")
Index("ix_task_type_page", *(_COLUMNS[_column] for _column in ("type", "risk", "active", *_PAGE)))
# Nine of ten tasks have ended, and most searches are among the others: these indexes contain only them.
for _name, *_others in (
    ("active_page", "active", *_PAGE, "state", "assignment_group", "type", "risk"),
    (
        "active_group",
        "assignment_group",
        "active",
        *_PAGE,
        "sys_updated_on",
        "state",
        "assigned_to",
        "number",
        "start_date",
    ),
):
    index_of_active(f"ix_task_{_name}", *(_COLUMNS[_column] for _column in _others))
# SQLite counts by group, state, and person in a narrow index, which begins with `active`, the same in all entries.
# It has no histograms, which would show that few changes of a pipeline are open, so these have an index, too.
_is_active = _COLUMNS["active"] == true()
_of_pipeline = and_(_is_active, _COLUMNS["oauth_entity"].is_not(None))
for _name, _condition, *_others in (
    ("active_state", _is_active, "active", "assignment_group", "sys_class_name", "state", "assigned_to"),
    ("active_pipeline", _of_pipeline, "oauth_entity", "active", *_PAGE),
):
    index_on_sqlite(f"ix_task_{_name}", _condition, *(_COLUMNS[_column] for _column in _others))
# PostgreSQL counts all changes in one narrow index.
_COUNTED = ("sys_class_name", "assignment_group", "state", "type", "risk")
index_of_counts("ix_task_counts", *(_COLUMNS[_column] for _column in _COUNTED))
_is_on_hold = _COLUMNS["on_hold"] == true()
index_of_few("ix_task_on_hold", _is_on_hold, *(_COLUMNS[_column] for _column in ("active", *_PAGE)))
# For the changes that are planned at the same time, also of the same item or person, and for searches by a reference.
for _name, *_others in (
    ("std_change_producer_version",),
    ("cmdb_ci", "active", "end_date", "start_date", *_PAGE),
    ("start_date", "sys_id", "sys_class_name", "end_date", "active"),
    ("end_date", "start_date", "active", "sys_class_name", "sys_id"),
):
    index_of_filled(*(_COLUMNS[_column] for _column in (_name, *_others)))
# Each index of a person contains the other people, too: a search for names then finds, counts, and sorts tasks without
# reading them.
_PEOPLE = ("opened_by", "requested_by", "assigned_to", "closed_by", "task_for", "cab_delegate")
for _name in _PEOPLE:
    _others = ["end_date", "start_date", "sys_updated_on"] if _name == "assigned_to" else []
    _names = (_name, "active", *_others, *_PAGE, *(_person for _person in _PEOPLE if _person != _name))
    index_of_filled(*(_COLUMNS[_column] for _column in _names))
WindowIndex(
    "ix_task_window",
    *(_COLUMNS[_column] for _column in ("start_date", "end_date", "active", "sys_class_name", "sys_id")),
)
# The texts that a search for words compares, together with the names of people. Without the index of all of them, it
# would compare every row.
TextIndex(
    Task.__table__,
    (
        *("number", "task_effective_number", "short_description", "description", "correlation_id"),
        *("correlation_display", "close_notes", "business_duration", "calendar_duration", "time_worked", "user_input"),
        *("delivery_plan", "delivery_task", "rejection_goto", "wf_activity", "oauth_client_id", "oauth_issuer"),
        *("oauth_subject", "oauth_exchange", "source_repository", "source_id", "source_ref", "source_commit"),
        *("source_workflow", "source_run", "source_run_url", "source_actor", "source_email", "source_environment"),
        *("risk_explanation", "justification", "implementation_plan", "backout_plan", "test_plan", "change_plan"),
        *("risk_impact_analysis", "review_comments", "review_status", "proposed_change", "cab_recommendation"),
        *("on_hold_reason", "ci_class"),
    ),
)
