"""Freezes in the process: facts about them, their description, edits that leave them, moves that wait for their end."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from changegate.extensions import database_now
from changegate.services.access.caller import Caller
from changegate.services.approvals.bound import is_bound
from changegate.services.approvals.content import is_written_by_process
from changegate.services.jobs.queue import enqueue
from changegate.services.schedules.freezes import (
    FreezeSubject,
    FrozenSpan,
    compared_fields,
    freezes_over,
    list_covering,
    read_subject,
)
from changegate.services.schedules.overrides import MANAGER, without_overridden
from changegate.services.schedules.row_rules import RELEASE
from changegate.services.schedules.spans import HORIZON
from changegate.services.schedules.stored import read_schedules
from changegate.services.state_models.conditions import Facts
from changegate.services.state_models.decision import Decision
from changegate.services.state_models.model import TransitionCondition
from changegate.services.tables.values import INSTANT_FORMAT

PLANNED, NOW = "freeze.planned", "freeze.now"
FREEZE_FACTS = frozenset({PLANNED, NOW, f"{PLANNED}_hard", f"{NOW}_hard"})
# The member of the facts with the freezes themselves, by the name of the fact that counts them.
FREEZES = "freezes"
# Freezes that are named; the others are counted.
MOST_NAMED_FREEZES = 20
LEAVING_REFUSED = (
    "The freeze {} covers this change, and only change managers take a change out of a freeze. Ask one, or plan another"
    " window"
)
# An edit of the window makes approvals void: anyone who may edit a change may plan it for a time outside of a freeze.
_WINDOW = frozenset({"start_date", "end_date"})
_MOMENT = timedelta(seconds=1)


def freeze_facts(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of freezes that cover a change and are not overridden, and the freezes."""
    freezes: dict[str, list[FrozenSpan]] = {PLANNED: [], NOW: []}
    if read_schedules().freezes:
        subject, at = read_subject(change), database_now()
        window = planned_window(change, at)
        freezes[PLANNED] = without_overridden(change, freezes_over(subject, *window) if window else [])
        freezes[NOW] = without_overridden(change, freezes_over(subject, at, at + _MOMENT))
    hard = {f"{name}_hard": sum(each.freeze.is_hard for each in spans) for name, spans in freezes.items()}
    return {name: len(spans) for name, spans in freezes.items()} | hard | {FREEZES: freezes}


def planned_window(change: Mapping[str, Any], at: datetime) -> tuple[datetime, datetime] | None:
    """Return the part of the planned window that is not over, or None; without an end, it is a moment."""
    start, end = change["start_date"], change["end_date"]
    if start is None:
        return None
    end = start + _MOMENT if end is None or end <= start else end
    return (max(start, at), end) if end > at else None


def keep_edited_in_freezes(record: Mapping[str, Any], changes: Mapping[str, Any], caller: Caller) -> None:
    """Refuse an edit that takes a change out of a freeze."""
    edited = {name for name in changes.keys() - _WINDOW if not is_written_by_process(name)}
    if is_bound(record) and not compared_fields().isdisjoint(edited):
        after = {**record, **{name: changes[name] for name in edited}}
        _keep_in_freezes(read_subject(record), read_subject(after), caller)


def keep_removed_in_freezes(
    before: Mapping[str, Any], removed: Iterable[str], after: Mapping[str, Any], caller: Caller
) -> None:
    """Refuse a removal of items, which are not stored any more, that takes a change out of a freeze."""
    if is_bound(before) and read_schedules().freezes:
        _keep_in_freezes(read_subject(before, removed), read_subject(after), caller)


def _keep_in_freezes(before: FreezeSubject, after: FreezeSubject, caller: Caller) -> None:
    """Refuse callers other than change managers who take a change out of a freeze.

    Freezes outside of the planned window count too, because some approvals are valid after it.
    """
    at = database_now()
    covering = [each.freeze for each in freezes_over(before, at, at + HORIZON)]
    kept = set(list_covering(after, covering))
    if left := [freeze.name for freeze in covering if freeze not in kept]:
        caller.permissions.require_role({MANAGER}, LEAVING_REFUSED.format(left[0]))


def list_freezes(condition: TransitionCondition, facts: Facts) -> Iterator[tuple[FrozenSpan, str]]:
    """Yield the freezes because of which a condition failed, each with a sentence."""
    for name in condition.condition.fields:
        only_hard = name.endswith("_hard")
        spans: Iterable[FrozenSpan] = facts.get(FREEZES, {}).get(name.removesuffix("_hard"), ())
        for each in spans:
            if each.freeze.is_hard or not only_hard:
                yield each, _sentence(each, is_planned=name.startswith(PLANNED))


def describe_freezes(condition: TransitionCondition, facts: Facts) -> list[str]:
    """Return the sentences about the freezes because of which a condition failed."""
    sentences = [sentence for _, sentence in list_freezes(condition, facts)]
    more = len(sentences) - MOST_NAMED_FREEZES
    return [*sentences[:MOST_NAMED_FREEZES], f"There are {more} more freezes."] if more > 0 else sentences


def await_thaw(change: Mapping[str, Any], decision: Decision) -> None:
    """Promise a job if nothing but freezes stops an automatic move; it runs when they end, or when one is edited."""
    waiting = (move.missing for move in decision.moves if move.transition.is_automatic)
    stopped = [missing for missing in waiting if missing and all(_is_about_freezes(each) for each in missing)]
    if not stopped:
        return
    conditions = (condition for missing in stopped for condition in missing)
    ends = (each.end for condition in conditions for each, _ in list_freezes(condition, decision.facts))
    # Freezes after the horizon are not known; the job then enqueues itself again.
    due_at = min(max(ends), database_now() + HORIZON)
    enqueue(RELEASE, {"change": change["sys_id"]}, key=change["sys_id"], due_at=due_at)


def _is_about_freezes(condition: TransitionCondition) -> bool:
    return FREEZE_FACTS.issuperset(condition.condition.fields)


def _sentence(span: FrozenSpan, *, is_planned: bool) -> str:
    what = "overlaps with the planned window" if is_planned else "is in force"
    kind = "hard" if span.freeze.is_hard else "soft"
    until = f" until {span.known_end:{INSTANT_FORMAT}} UTC" if span.known_end else ""
    return f"The {kind} freeze {span.freeze.name} {what}{until}."
