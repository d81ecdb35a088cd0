"""Tasks: the table that change requests and change tasks extend, with single-table inheritance."""

from datetime import datetime

from sqlalchemy import Index, Sequence
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import (
    Record,
    boolean,
    choice,
    domain,
    glide_list,
    index_of_beginnings,
    index_of_counts,
    index_of_few,
    index_of_filled,
    index_of_filled_text,
    index_on_postgres,
    instant,
    integer,
    integer_choice,
    record_number,
    reference,
    string,
    text,
)

PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low"}
IMPACTS = URGENCIES = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
ESCALATIONS = {"0": "Normal", "1": "Moderate", "2": "High", "3": "Overdue"}
APPROVALS = {
    "not requested": "Not Yet Requested",
    "requested": "Requested",
    "approved": "Approved",
    "rejected": "Rejected",
    "not_required": "No Longer Required",
    "cancelled": "Cancelled",
}
UPON_APPROVAL = {"proceed": "Proceed to Next Task", "do_nothing": "Wait for a User to Close this task"}
UPON_REJECT = {"cancel": "Cancel all future Tasks", "goto": "Go to a previous Task"}
CONTACT_TYPES = {"chat": "Chat", "email": "Email", "phone": "Phone", "social": "Social", "web": "Web"}
# Labels of states in the table task; each class has its own labels.
TASK_STATES = {
    "-5": "Pending",
    "-4": "Assess",
    "-3": "Authorize",
    "-2": "Scheduled",
    "-1": "Implement",
    "0": "Review",
    "1": "Open",
    "2": "Work in Progress",
    "3": "Closed",
    "4": "Canceled",
    "7": "Closed Skipped",
}
ACTION_STATUSES = {"1": "Blocked Internal", "2": "Needs Attention", "3": "Blocked", "4": "In Progress"}

# PostgreSQL has a sequence, for which writers do not wait. SQLite has none, so a row of `SysNumberCounter` counts.
NUMBER_SEQUENCES = {
    "change_request": Sequence("change_request_number", start=30001, metadata=Base.metadata),
    "change_task": Sequence("change_task_number", start=10001, metadata=Base.metadata),
}
NUMBER_PREFIXES = {"change_request": "CHG", "change_task": "CTASK"}


# Selects the records of a class, in the usual order.
_PAGE = ("sys_class_name", "sys_created_on", "sys_id")


class SysNumberCounter(Record, Base):
    """The next number of a table, for databases without sequences."""

    __tablename__ = "sys_number_counter"

    table: Mapped[str] = string("Table", 80, unique=True)
    number: Mapped[int] = integer("Number")


class Task(Record, Base):
    """A task of any class."""

    __tablename__ = "task"
    __mapper_args__ = {"polymorphic_on": "sys_class_name", "polymorphic_identity": "task"}
    __table_args__ = (
        # Filter, class, and the usual orders in one index, so that a page is found and counted in the index alone.
        Index("ix_task_state_page", "state", "sys_class_name", "sys_created_on", "sys_id", "number"),
        Index("ix_task_group_state", "assignment_group", "state", *_PAGE, "number"),
        Index("ix_task_sys_created_on", "sys_created_on", "sys_id", "sys_class_name"),
        Index("ix_task_sys_updated_on", "sys_updated_on", "sys_id", "sys_class_name"),
    )

    number: Mapped[str] = record_number("Number", is_read_only=True, unique=True)
    sys_class_name: Mapped[str] = string("Task type", 80, is_read_only=True)
    sys_domain: Mapped[str] = domain("Domain", is_read_only=True, default="global")
    sys_domain_path: Mapped[str] = string("Domain path", 255, is_read_only=True, default="/")
    task_effective_number: Mapped[str | None] = string("Effective number", 40, is_read_only=True)
    short_description: Mapped[str | None] = string("Short description", 160)
    description: Mapped[str | None] = text("Description")
    state: Mapped[int] = integer_choice("State", TASK_STATES)
    active: Mapped[bool] = boolean("Active", default=True)
    approval: Mapped[str] = choice("Approval", APPROVALS, default="not requested")
    priority: Mapped[int] = integer_choice("Priority", PRIORITIES, default=4)
    impact: Mapped[int] = integer_choice("Impact", IMPACTS, default=3)
    urgency: Mapped[int] = integer_choice("Urgency", URGENCIES, default=3)
    escalation: Mapped[int] = integer_choice("Escalation", ESCALATIONS, default=0)
    parent: Mapped[str | None] = reference("Parent", "task")
    assignment_group: Mapped[str | None] = reference("Assignment group", "sys_user_group")
    assigned_to: Mapped[str | None] = reference("Assigned to", "sys_user")
    opened_by: Mapped[str | None] = reference("Opened by", "sys_user")
    closed_by: Mapped[str | None] = reference("Closed by", "sys_user")
    opened_at: Mapped[datetime | None] = instant("Opened")
    closed_at: Mapped[datetime | None] = instant("Closed")
    cmdb_ci: Mapped[str | None] = reference("Configuration item", "cmdb_ci")
    business_service: Mapped[str | None] = reference("Service", "cmdb_ci")
    service_offering: Mapped[str | None] = reference("Service offering", "cmdb_ci")
    company: Mapped[str | None] = reference("Company", "core_company", is_stored_loose=True)
    location: Mapped[str | None] = reference("Location", "cmn_location", is_stored_loose=True)
    contract: Mapped[str | None] = reference("Contract", "ast_contract", is_stored_loose=True)
    universal_request: Mapped[str | None] = reference("Universal Request", "task")
    correlation_id: Mapped[str | None] = string("Correlation ID", 100)
    correlation_display: Mapped[str | None] = string("Correlation display", 100)
    contact_type: Mapped[str | None] = choice("Contact type", CONTACT_TYPES)
    close_notes: Mapped[str | None] = text("Close notes")
    due_date: Mapped[datetime | None] = instant("Due date")
    expected_start: Mapped[datetime | None] = instant("Expected start")
    work_start: Mapped[datetime | None] = instant("Actual start")
    work_end: Mapped[datetime | None] = instant("Actual end")
    follow_up: Mapped[datetime | None] = instant("Follow up")
    activity_due: Mapped[datetime | None] = instant("Activity due")
    sla_due: Mapped[datetime | None] = instant("SLA due", is_read_only=True)
    approval_set: Mapped[datetime | None] = instant("Approval set")
    made_sla: Mapped[bool] = boolean("Made SLA", default=True)
    knowledge: Mapped[bool] = boolean("Knowledge", default=False)
    needs_attention: Mapped[bool] = boolean("Needs attention", default=False)
    upon_approval: Mapped[str] = choice("Upon approval", UPON_APPROVAL, default="proceed")
    upon_reject: Mapped[str] = choice("Upon reject", UPON_REJECT, default="cancel")
    action_status: Mapped[int | None] = integer_choice("Action status", ACTION_STATUSES)
    reassignment_count: Mapped[int] = integer("Reassignment count", is_read_only=True, default=0)
    order: Mapped[int | None] = integer("Order")
    route_reason: Mapped[int | None] = integer("Transfer reason")
    watch_list: Mapped[str | None] = glide_list("Watch list", "sys_user")
    work_notes_list: Mapped[str | None] = glide_list("Work notes list", "sys_user")
    additional_assignee_list: Mapped[str | None] = glide_list("Additional assignee list", "sys_user")
    group_list: Mapped[str | None] = glide_list("Group list", "sys_user_group")
    skills: Mapped[str | None] = glide_list("Skills", "cmn_skill")
    business_duration: Mapped[str | None] = string("Business duration", 40, is_read_only=True)
    calendar_duration: Mapped[str | None] = string("Duration", 40, is_read_only=True)
    time_worked: Mapped[str | None] = string("Time worked", 40)
    user_input: Mapped[str | None] = text("User input")
    delivery_plan: Mapped[str | None] = string("Delivery plan", 32)
    delivery_task: Mapped[str | None] = string("Delivery task", 32)
    rejection_goto: Mapped[str | None] = string("Rejection goto", 32)
    wf_activity: Mapped[str | None] = string("Workflow activity", 32)
    task_for: Mapped[str | None] = reference("Task for", "sys_user")
    # Provenance, copied from the exchange that issued the token: exchanges are deleted after a month, and the reference
    # is set to NULL when the integration is deleted.
    oauth_entity: Mapped[str | None] = reference("Created by integration", "oauth_entity", is_read_only=True)
    oauth_client_id: Mapped[str | None] = string("Client ID of integration", 32, is_read_only=True)
    oauth_issuer: Mapped[str | None] = string("Token issuer", 255, is_read_only=True)
    oauth_subject: Mapped[str | None] = string("Token subject", 255, is_read_only=True)
    oauth_exchange: Mapped[str | None] = string("Correlation ID of token", 32, is_read_only=True)
    source_repository: Mapped[str | None] = string("Source repository", 255, is_read_only=True)
    source_id: Mapped[str | None] = string("Source ID", 100, is_read_only=True)
    source_ref: Mapped[str | None] = string("Source ref", 255, is_read_only=True)
    source_commit: Mapped[str | None] = string("Source commit", 64, is_read_only=True)
    source_workflow: Mapped[str | None] = string("Source workflow", 500, is_read_only=True)
    source_run: Mapped[str | None] = string("Source run", 255, is_read_only=True)
    source_run_url: Mapped[str | None] = string("Source run URL", 1000, is_read_only=True)
    source_actor: Mapped[str | None] = string("Source actor", 100, is_read_only=True)
    source_email: Mapped[str | None] = string("Source email", 100, is_read_only=True, is_private=True)
    source_environment: Mapped[str | None] = string("Source environment", 255, is_read_only=True)


_COLUMNS = Task.__table__.c
# For searches by a reference, and for the foreign key checks when the referenced record is deleted. An integration's
# creations are also counted by time.
for _name, *_others in (
    ("parent",),
    ("universal_request",),
    ("service_offering",),
    ("business_service", "active", *_PAGE),
    ("assignment_group", *_PAGE),
    ("oauth_entity", "sys_created_on", "sys_id", "sys_class_name", "active"),
    ("closed_at", *_PAGE),
):
    index_of_filled(*(_COLUMNS[_column] for _column in (_name, *_others)))
# Begins with `active`, by which all open tasks are counted.
index_of_counts(
    "ix_task_active_counts", *(_COLUMNS[_column] for _column in ("active", "sys_class_name", "oauth_entity"))
)
# For those who watch open tasks; lists of watchers may be longer than an entry of an index.
_is_watched = _COLUMNS["watch_list"].is_not(None)
index_of_few("ix_task_watched", _is_watched, *(_COLUMNS[_column] for _column in ("active", *_PAGE)))
# For the searches of pipelines: the change they created, and those of a commit or a repository.
for _name, *_others in (("correlation_id",), ("source_repository", *_PAGE), ("source_commit",)):
    index_of_filled_text(*(_COLUMNS[_column] for _column in (_name, *_others)))
# For searches by the first words of a change.
index_of_beginnings(*(_COLUMNS[_column] for _column in ("short_description", *_PAGE)))
# SQLite would prefer it to the indexes that are sorted by time, since it begins with the class.
_NUMBER = ("sys_class_name", "number", "sys_id", "active")
index_on_postgres("ix_task_number_active", *(_COLUMNS[_column] for _column in _NUMBER))
