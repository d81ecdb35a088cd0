"""Change tasks: the steps of a change, a class of task."""

from datetime import datetime

from sqlalchemy import Boolean
from sqlalchemy.orm import Mapped, mapped_column

from changegate.models.base import boolean, choice, index_of_filled, instant, reference, text
from changegate.models.change_request import CLOSE_CODES
from changegate.models.task import Task

CHANGE_TASK_STATES = {"-5": "Pending", "1": "Open", "2": "In Progress", "3": "Closed", "4": "Canceled"}
CHANGE_TASK_TYPES = {
    "planning": "Planning",
    "implementation": "Implementation",
    "testing": "Testing",
    "review": "Review",
}
ORIGINS = {"manual": "Manual", "workflow": "Workflow"}


class ChangeTask(Task):
    """A step of a change; it shares columns with change requests in one database table."""

    __mapper_args__ = {"polymorphic_identity": "change_task"}

    change_request: Mapped[str | None] = reference(
        "Change request", "change_request", stored_in="task", ondelete="CASCADE"
    )
    change_task_type: Mapped[str | None] = choice("Type", CHANGE_TASK_TYPES, default="planning")
    created_from: Mapped[str | None] = choice("Created from", ORIGINS, default="manual")
    planned_start_date: Mapped[datetime | None] = instant("Planned start date")
    planned_end_date: Mapped[datetime | None] = instant("Planned end date")
    close_code: Mapped[str | None] = choice("Close code", CLOSE_CODES, use_existing_column=True)
    on_hold: Mapped[bool | None] = boolean("On hold", default=False, use_existing_column=True)
    on_hold_reason: Mapped[str | None] = text("On hold reason", use_existing_column=True)
    # True if the task was put on hold with its change, which then also releases it.
    is_held_by_change: Mapped[bool | None] = mapped_column(Boolean)


index_of_filled(ChangeTask.__table__.c.change_request)
