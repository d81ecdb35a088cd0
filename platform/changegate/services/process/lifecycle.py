"""The rules that all classes of tasks share."""

from collections.abc import Callable, Mapping
from typing import Any

from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.history.chain import require_no_history
from changegate.services.process.numbering import next_number
from changegate.services.process.recording import record_deletion
from changegate.services.provenance.creation_quota import require_creation_quota
from changegate.services.provenance.provenance import provenance_of
from changegate.services.tables.rules import Rules, Values

CLOSED, CANCELED = 3, 4
CLOSED_STATES = frozenset({CLOSED, CANCELED})


class TaskRules(Rules):
    """Base class of the rules of tasks, which store the integration and workload that created them."""

    def origin_of(self, caller: Caller) -> Mapping[str, Any]:
        """Return the fields of a new task that name the integration and workload that create it."""
        if caller.grant is None:
            return {}
        return {"oauth_entity": caller.grant.entity, **(provenance_of(caller.origin) if caller.origin else {})}

    def require_unused(self, sys_id: str) -> None:
        """Refuse the sys_id of a deleted change, whose history stays."""
        require_no_history(sys_id)

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Record the deletion in the history of the change."""
        record_deletion(record, caller)


def is_import(caller: Caller) -> bool:
    """Return whether a caller may create tasks in any state, as administrators without a token do when they import."""
    return "admin" in caller.roles and caller.grant is None


def begin_task(values: Values, caller: Caller, *, table: str) -> None:
    """Set the number of a new task, who opened it, and when. Raises `QuotaReached`.

    See docs/reference/change-records.md#numbers-and-defaults.
    """
    require_creation_quota(caller, values)
    values["number"] = values["task_effective_number"] = next_number(table)
    values["active"] = values["state"] not in CLOSED_STATES
    values.setdefault("opened_at", utc_now())
    # A job acts in the name of no user: its caller has an empty sys_id.
    values.setdefault("opened_by", caller.sys_id or None)


def follow_state(
    record: Mapping[str, Any], changes: Values, caller: Caller, ends: Callable[[int], bool] = CLOSED_STATES.__contains__
) -> None:
    """Update the fields that depend on the state, and count reassignments. `ends` returns whether a state is an end."""
    if "state" in changes or "active" in changes:
        # `active` follows from the state: if only `active` is sent, it is overwritten.
        state = changes["state"] if "state" in changes else record["state"]
        is_closed = ends(state)
        changes["active"] = not is_closed
        is_closing = is_closed and "state" in changes
        closing = {"closed_at": utc_now(), "closed_by": caller.sys_id or None} if is_closing else {}
        changes |= {name: value for name, value in closing.items() if record[name] is None and name not in changes}
    if record["assignment_group"] and "assignment_group" in changes:
        changes["reassignment_count"] = record["reassignment_count"] + 1
