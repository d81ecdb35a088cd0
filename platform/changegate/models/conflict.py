"""Conflicts of changes, and the workers of the Change Management API."""

from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, choice, index_of_filled, integer_choice, reference, text

CI_SCHEDULED, PARENT_SCHEDULED, CHILD_SCHEDULED, ASSIGNEE_SCHEDULED = (
    "ci_already_scheduled",
    "parent_ci_already_scheduled",
    "child_ci_already_scheduled",
    "assigned_to_already_scheduled",
)
CONFLICT_TYPES = {
    CI_SCHEDULED: "CI Already Scheduled",
    PARENT_SCHEDULED: "Parent CI Already Scheduled",
    CHILD_SCHEDULED: "Child CI Already Scheduled",
    ASSIGNEE_SCHEDULED: "Assigned To Already Scheduled",
    "blackout": "Blackout",
    "parent_blackout": "Parent Blackout",
    "child_blackout": "Child Blackout",
    "not_in_maintenance_window": "Not In Maintenance Window",
    "parent_not_in_maintenance_window": "Parent Not In Maintenance Window",
    "child_not_in_maintenance_window": "Child Not In Maintenance Window",
}
WAITING, IN_PROGRESS, COMPLETE, ERROR = 1, 2, 3, 4
WORKER_STATES = {"1": "Waiting", "2": "In-Progress", "3": "Complete", "4": "Error"}
WORKER_TYPES = {
    "affected": "Affected CIs",
    "impacted": "Impacted services",
    "offering": "Service offerings",
    "conflict": "Conflicts",
    "schedule": "Schedule",
}


class Conflict(Record, Base):
    """A conflict of a change: one row for each configuration item and cause.

    The references have no foreign keys: a change that is saved would otherwise wait for the deletion of a record that
    its conflicts name. The deletion of such a record also deletes its conflicts.
    """

    __tablename__ = "conflict"

    change: Mapped[str] = reference("Change", "change_request", is_stored_loose=True, index=True)
    type: Mapped[str] = choice("Type", CONFLICT_TYPES)
    conflicting_change: Mapped[str | None] = reference("Conflicting change", "change_request", is_stored_loose=True)
    configuration_item: Mapped[str | None] = reference("Affected CI", "cmdb_ci", is_stored_loose=True)
    related_configuration_item: Mapped[str | None] = reference("Related CI", "cmdb_ci", is_stored_loose=True)
    assigned_to: Mapped[str | None] = reference("Assigned to", "sys_user", is_stored_loose=True)
    schedule: Mapped[str | None] = reference("Schedule", "cmn_schedule", is_stored_loose=True)


for _name in ("conflicting_change", "configuration_item", "assigned_to"):
    index_of_filled(Conflict.__table__.c[_name])


class ChgMgtWorker(Record, Base):
    """Work that a caller of the Change Management API has asked for, and its outcome.

    `request`, `payload`, and `messages` are JSON. The state of work under way is that of its job.
    """

    __tablename__ = "chg_mgt_worker"

    type: Mapped[str] = choice("Type", WORKER_TYPES)
    state: Mapped[int] = integer_choice("State", WORKER_STATES, default=WAITING)
    change: Mapped[str | None] = reference("Change", "change_request", is_stored_loose=True, index=True)
    user: Mapped[str | None] = reference("User", "sys_user", index=True)
    oauth_entity: Mapped[str | None] = reference("Created by integration", "oauth_entity")
    request: Mapped[str] = text("Request", 1_000_000)
    payload: Mapped[str | None] = text("Payload", 1_000_000)
    messages: Mapped[str | None] = text("Messages")
