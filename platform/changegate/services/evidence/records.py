"""The records themselves, compared with what was recorded: their present values, and what was approved."""

from collections.abc import Iterator, Sequence

from sqlalchemy import String, func, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgHistory, Task
from changegate.services.approvals.bound import is_bound
from changegate.services.approvals.content import CHANGE, RECALCULATED
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED
from changegate.services.approvals.rounds import Round
from changegate.services.approvals.voiding import why_uncovered
from changegate.services.evidence.four_eyes import HistoryEntry
from changegate.services.evidence.observation import Observation
from changegate.services.history.chain import CHANGES, CREATED
from changegate.services.process.recording import RECORDED, rendered
from changegate.services.state_models.stored import model_of

_TASKS = Task.__table__
# The row, and the number of entries in its history, in one statement: the change may move meanwhile.
_PRESENT = Prepared(
    select(
        _TASKS,
        select(func.count())
        .where(ChgHistory.subject_table == CHANGE, ChgHistory.subject_id == _TASKS.c["sys_id"])
        .scalar_subquery()
        .label("entries"),
    ).where(_TASKS.c["sys_id"] == parameter("change", String), _TASKS.c["sys_class_name"] == CHANGE)
)


def compare(sys_id: str, entries: Sequence[HistoryEntry]) -> Iterator[Observation]:
    """Yield how the present row of a change differs from what its history contains, and from what was approved.

    A change with further entries is not compared: it was written after its history was read.
    """
    present = _PRESENT.first({"change": sys_id})
    if present is None or present.entries != len(entries):
        return
    change = dict(zip(_TASKS.c.keys(), present, strict=False))
    recorded = _recorded_values(entries)
    values = rendered(change, recorded)
    if "state" in recorded and values.get("state") != recorded["state"]:
        sentence = f"The change is in state {values.get('state')}, to which no recorded move leads."
        yield Observation("state_differs", sentence)
    # The deletion of a record empties references to it.
    emptied = {name for name in recorded if name not in values and _TASKS.c[name].info["entry"].kind == "reference"}
    differing = sorted(name for name in recorded.keys() - emptied - {"state"} if values.get(name) != recorded[name])
    if differing:
        yield Observation("fields_differ", f"No recorded edit led to the values of {', '.join(differing)}.")
    reasons = "; ".join(_uncovered(Round(change))) if is_bound(change) else ""
    # An edit that voids answers has appended entries.
    if reasons and (again := _PRESENT.first({"change": sys_id})) and again.entries == len(entries):
        yield Observation("content_differs", f"An approval does not cover the change as it is: {reasons}.")


def _recorded_values(entries: Sequence[HistoryEntry]) -> dict[str, str | None]:
    """Return the values that the history of a change leads to; nothing if its creation was not recorded."""
    if not entries or entries[0].kind != CREATED:
        return {}
    values = {name: entries[0].facts.get(name) for name in RECORDED if name not in {"approval", *RECALCULATED}}
    for entry in entries:
        values |= {name: new for name, (_, new) in entry.facts.get(CHANGES, {}).items() if name in values}
    return values


def _uncovered(current: Round) -> Iterator[str]:
    for row in current.rows:
        if row["state"] == APPROVED and (reason := why_uncovered(current, row)):
            yield reason


def find_without_history() -> Iterator[Observation]:
    """Yield the changes without a history that are not as a change begins.

    They are older than the first event of any history, or were written past the product.
    """
    history, columns = ChgHistory.__table__.c, ("sys_id", "state", "approval", "type", "chg_model", "sys_created_on")
    of_change = (history["subject_table"] == CHANGE, history["subject_id"] == _TASKS.c["sys_id"])
    statement = select(*(_TASKS.c[name] for name in columns)).where(
        _TASKS.c["sys_class_name"] == CHANGE, ~select(history["seq"]).where(*of_change).exists()
    )
    # Not of all entries: `created` has the time of the creation, which may be long before its history began.
    events = select(func.min(history["sys_created_on"])).where(history["kind"] != CREATED)
    first = connection().execute(events).scalar()
    initial: dict[tuple[str | None, str | None], int | None] = {}
    for row in connection().execute(statement.order_by(_TASKS.c["sys_id"])).mappings():
        model = (row["chg_model"], row["type"])
        if model not in initial:
            initial[model] = model_of(dict(row)).initial
        if (row["state"], row["approval"]) != (initial[model], NOT_REQUESTED):
            sentence = f"The change is in state {row['state']} with approval {row['approval']}, and has no history."
            is_older = first is None or row["sys_created_on"] < first
            yield Observation("history_missing" if is_older else "state_differs", sentence, CHANGE, row["sys_id"])
