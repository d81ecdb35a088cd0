"""The rules for writes of overrides of freezes, and the moves that are made when a freeze ends."""

from collections.abc import Mapping
from typing import Any

from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.jobs.handlers import handles
from changegate.services.process.changes import lock_change
from changegate.services.process.moves import settle
from changegate.services.process.recording import CHANGE
from changegate.services.schedules.overrides import begin_override
from changegate.services.schedules.row_rules import RELEASE
from changegate.services.tables.rules import Rules, Values

OVERRIDDEN = "freeze_overridden"


class FreezeOverrideRules(Rules):
    """Rules of chg_freeze_override (docs/schedules.md#overrides)."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an override by a person who asked for the change, or who does not have the role."""
        change = lock_change(values.get("change_request") or "")
        if change is not None and values.get("freeze") and values.get("reason"):
            begin_override(values, change, caller)

    def after_create(self, values: Values, caller: Caller) -> None:
        """Record the override with its reason, and make the move that the freeze has stopped."""
        facts = {name: values[name] for name in ("freeze", "freeze_version", "reason")}
        append(CHANGE, values["change_request"], OVERRIDDEN, facts, actor_of(caller))
        _settle(values["change_request"], caller)


@handles(RELEASE)
def release_frozen(payload: Mapping[str, Any]) -> None:
    """Make the automatic move of a change that a freeze has stopped; if it is still stopped, enqueue the job again."""
    _settle(payload["change"], SYSTEM_CALLER)


def _settle(sys_id: str, caller: Caller) -> None:
    change = lock_change(sys_id)
    if change is not None:
        settle(change, caller)
