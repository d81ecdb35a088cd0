"""The hours of a rule: when an answer expires, and the deadlines of an approval that waits for one."""

from datetime import datetime, timedelta

from changegate.extensions import now
from changegate.services.approvals.rounds import Row

REMIND, ESCALATE, EXPIRE = "reminder_hours", "escalation_hours", "expiry_hours"
# Of each of the hours of a rule; the greatest number is a year.
LEAST_HOURS, MOST_HOURS = 1, 8760


def expiry_of(change: Row, definition: Row) -> datetime | None:
    """Return when an answer that is given now expires: after the hours of its rule, or else at the planned end."""
    if definition["valid_hours"] is not None:
        return now().replace(microsecond=0) + timedelta(hours=_limited(definition["valid_hours"]))
    end: datetime | None = change["end_date"]
    return end


def steps_of(definition: Row) -> list[tuple[int, str]]:
    """Return the steps that follow without an answer, each with its hours, in their order."""
    hours = {step: definition[step] for step in (REMIND, ESCALATE, EXPIRE) if definition[step] is not None}
    return sorted((_limited(hours[step]), step) for step in hours)


def first_deadline(definition: Row) -> datetime | None:
    """Return the `due_date` of an approval that is requested now."""
    steps = steps_of(definition)
    return now() + timedelta(hours=steps[0][0]) if steps else None


def _limited(hours: int) -> int:
    # Rules from before the limits were validated may exceed them.
    return min(max(hours, LEAST_HOURS), MOST_HOURS)
