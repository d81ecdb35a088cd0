"""The calculated risk of a change, as its rules and later events need it.

An explicit risk, which a caller has sent, is kept. A calculated one follows the edits that its conditions depend on,
until the change is implemented.
"""

from collections.abc import Collection, Mapping
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.conflicts.detection import RELEVANT_FIELDS, count_conflicts
from changegate.services.process.changes import changes_table
from changegate.services.process.recording import record_edits
from changegate.services.risk.calculation import calculate, depends_on, is_calculated
from changegate.services.risk.conditions import CONFLICTS, active_conditions
from changegate.services.state_models.shipped import CANCELED, CLOSED, IMPLEMENT, REVIEW
from changegate.services.tables.rules import Values
from changegate.services.tables.writing.records import write_changes

# In these states, a risk stays as it is.
SETTLED_STATES = frozenset({IMPLEMENT, REVIEW, CLOSED, CANCELED})
RISK, EXPLANATION = "risk", "risk_explanation"


def begin_risk(values: Values) -> None:
    """Set the risk of a new change, unless it was sent or comes from its template or model."""
    if values.get(RISK) is None and values["state"] not in SETTLED_STATES:
        values |= {name: value for name, value in risk_of(values).items() if value is not None}


def follow_edit(record: Mapping[str, Any], changes: Values) -> None:
    """Complete the changes with the risk that follows from them, or keep an explicit risk."""
    if RISK in changes:
        changes[EXPLANATION] = None
    elif record["state"] not in SETTLED_STATES and is_calculated(record):
        facts = {CONFLICTS} if RELEVANT_FIELDS & changes.keys() else set()
        if depends_on(changes.keys() | facts):
            changes |= risk_of({**record, **changes})


def follow_fact(change: Values, edited: Collection[str], caller: Caller) -> bool:
    """Write the risk that follows from affected CIs or computed facts; return whether it was written.

    The change is locked.
    """
    if change["state"] in SETTLED_STATES or not is_calculated(change) or not depends_on(edited):
        return False
    return write_risk(change, caller)


def write_risk(change: Values, caller: Caller) -> bool:
    """Calculate and write the risk of a locked change; return whether it or its explanation was another one."""
    changes = {name: value for name, value in risk_of(change).items() if value != change[name]}
    if changes:
        record_edits(change, changes, caller)
        write_changes(changes_table(), change, changes, caller)
    return bool(changes)


def risk_of(change: Mapping[str, Any]) -> Values:
    """Return the calculated risk of a change and its explanation."""
    conditions = active_conditions()
    is_needed = CONFLICTS in conditions.facts
    return calculate(conditions, change, {CONFLICTS: count_conflicts(change)} if is_needed else {})


def edited_by_caller(changes: Mapping[str, Any]) -> frozenset[str]:
    """Return the changed fields without a recalculated risk, which voids no answer by itself."""
    is_explicit = changes.get(RISK) is not None and changes.get(EXPLANATION) is None
    return frozenset(changes) - (frozenset() if is_explicit else {RISK})
