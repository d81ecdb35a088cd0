"""Detection: the conflicts of a change, stored for both changes, with the status of each.

    a save of the change ──detect──> rows of this change and of the others   (in the transaction of the save)
                                     └─ others whose status no longer fits ──FAN_OUT──> RECHECK, a job for each change
    many items or overlaps ──> RECHECK of the change itself; until then, the stored conflicts are as of the last run

Two changes that are saved at the same time must find each other. Therefore, detection begins with a lock that ends with
the transaction. Its holder locks no row of another change, so that it never waits for a writer that waits for the lock.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, or_, select

from changegate.database import connection
from changegate.database.dialects import lock_number
from changegate.database.prepared import Prepared, parameter
from changegate.errors import RecordChanged
from changegate.models import Conflict, TaskCi
from changegate.models.base import new_sys_id, utc_now
from changegate.models.cmdb_ci import CI_CLASSES
from changegate.services.conflicts.overlaps import MIRRORED, Overlap, count_overlaps, find_overlaps, is_planned
from changegate.services.conflicts.windows import list_closed_times
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue, is_waiting
from changegate.services.tables.values import INSTANT_FORMAT

# Fields of a change on which its conflicts depend.
RELEVANT_FIELDS = frozenset({"cmdb_ci", "assigned_to", "start_date", "end_date", "exclude_from_conflict_detection"})
RECHECK, FAN_OUT = "conflicts.recheck", "conflicts.fan_out"
NOT_RUN, CONFLICT, NO_CONFLICT = "Not Run", "Conflict", "No Conflict"
# Affected CIs and overlaps of a change above which a save does not wait for the detection.
MOST_ITEMS, MOST_OVERLAPS = 100, 2000
# Stored conflicts of one change, and those with schedules among them. Further ones are only counted.
MOST_STORED, MOST_OF_SCHEDULES = 200, 20
CONFLICTS_AT_ONCE = 500
# The number of an advisory lock: any number that no other lock uses.
_LOCK = 0x636F6E666C696374
_CONFLICTS, _AFFECTED = Conflict.__table__, TaskCi.__table__
_FIELDS_OF_ITEMS = ("configuration_item", "related_configuration_item")
_FIELDS_OF_USERS = ("assigned_to",)
_STORED = Prepared(
    select(_CONFLICTS).where(
        or_(_CONFLICTS.c["change"] == parameter("change"), _CONFLICTS.c["conflicting_change"] == parameter("change"))
    )
)
_SOME_AFFECTED = select(_AFFECTED.c["sys_id"]).where(_AFFECTED.c["task"] == parameter("change")).limit(MOST_ITEMS + 1)
_COUNT_AFFECTED = Prepared(select(func.count().label("how_many")).select_from(_SOME_AFFECTED.subquery()))


class Found(NamedTuple):
    """A conflict, by the columns of its row that distinguish it from others."""

    change: str
    type: str
    conflicting_change: str | None = None
    configuration_item: str | None = None
    related_configuration_item: str | None = None
    assigned_to: str | None = None
    schedule: str | None = None


def status_of_new(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new change that its conflicts determine. If it has conflicts, `detect` stores them."""
    if not is_planned(values) or not (values.get("cmdb_ci") or values.get("assigned_to")):
        return {}
    lock_number(_LOCK)
    start, end = values["start_date"], values["end_date"]
    return _outcome(bool(find_overlaps(values, start, end, limit=1) or list_closed_times(values, start, end)))


def detect(
    change: Mapping[str, Any], *, before: Mapping[str, Any] | None = None, is_job: bool = False
) -> dict[str, Any]:
    """Store the conflicts of a locked change, and return its fields that they determine.

    `before` has the stored values of a change that is about to be saved. A change with many items or conflicts is left
    to a job, unless this is the job.
    """
    affected = count_affected(change["sys_id"])
    if affected > MOST_ITEMS and not is_job:
        promise_recheck([change["sys_id"]])
        return {}
    if not is_planned(change) or not (affected or change.get("cmdb_ci") or change.get("assigned_to")):
        if before is not None and not is_planned(before):
            return {}
        withdraw(change["sys_id"])
        return {"conflict_status": NOT_RUN}
    lock_number(_LOCK)
    start, end = change["start_date"], change["end_date"]
    overlaps = find_overlaps(change, start, end)
    if len(overlaps) > MOST_OVERLAPS and not is_job:
        promise_recheck([change["sys_id"]])
        return {}
    closed = find_closed(change)
    _store(change["sys_id"], overlaps, closed)
    return _outcome(bool(overlaps or closed))


def find_closed(change: Mapping[str, Any]) -> list[Found]:
    """Return the conflicts of a planned change with schedules, each once."""
    times = list_closed_times(change, change["start_date"], change["end_date"])
    of_change = partial(Found, change["sys_id"])
    found = (
        of_change(
            each.type,
            configuration_item=each.item,
            related_configuration_item=each.related,
            schedule=each.schedule,
        )
        for each in times
    )
    return list(dict.fromkeys(found))


def withdraw(change: str) -> None:
    """Delete the conflicts of a locked change that has ended or is about to be deleted, also those of other changes."""
    lock_number(_LOCK)
    _store(change, [], [])


def count_conflicts(change: Mapping[str, Any]) -> int:
    """Return how many conflicts with other changes a change has with these values, which need not be stored.

    For a change with many items, the conflicts are those of the last run.
    """
    if not is_planned(change):
        return 0
    own = change["sys_id"]
    if not is_large(own):
        return count_overlaps(change)
    return sum(found.change == own and found.conflicting_change is not None for found in _read_stored(own))


def forget_record(table: str, sys_ids: Sequence[str]) -> None:
    """Delete the conflicts about deleted items or people, and enqueue checks of their changes."""
    named = _FIELDS_OF_USERS if table == "sys_user" else _FIELDS_OF_ITEMS
    if table not in ("sys_user", *CI_CLASSES):
        return
    columns = _CONFLICTS.c
    is_about = or_(*(columns[name].in_(sys_ids) for name in named))
    changes = connection().execute(select(columns["change"]).where(is_about).distinct()).scalars().all()
    if changes:
        connection().execute(delete(_CONFLICTS).where(is_about))
        promise_recheck(changes)


def promise_recheck(changes: Iterable[str]) -> None:
    """Promise to detect the conflicts of changes again, each in a transaction of its own."""
    ordered = sorted(set(changes))
    if len(ordered) == 1:
        enqueue(RECHECK, {"change": ordered[0]}, key=ordered[0])
    elif ordered:
        enqueue(FAN_OUT, {"changes": ordered})


@handles(FAN_OUT)
def fan_out(payload: Mapping[str, Any]) -> None:
    """Promise a job for each change."""
    for change in payload["changes"]:
        promise_recheck([change])


def _outcome(has_conflict: bool) -> dict[str, Any]:
    return {"conflict_status": CONFLICT if has_conflict else NO_CONFLICT, "conflict_last_run": utc_now()}


def count_affected(change: str) -> int:
    """Return the number of affected CIs, up to one more than `MOST_ITEMS`."""
    row = _COUNT_AFFECTED.first({"change": change})
    return int(row.how_many) if row else 0


def is_large(change: str) -> bool:
    """Return whether the conflicts of a change are those of the last run, because it has many items."""
    return count_affected(change) > MOST_ITEMS


def require_free(change: Mapping[str, Any], start: datetime, end: datetime) -> None:
    """Check, until the end of the transaction, that a change has no conflict at a time. Raises `RecordChanged`."""
    lock_number(_LOCK)
    if find_overlaps(change, start, end, limit=1) or list_closed_times(change, start, end):
        raise RecordChanged(f"The time from {start:{INSTANT_FORMAT}} to {end:{INSTANT_FORMAT}} UTC was just taken.")


def is_promised(change: str) -> bool:
    """Return whether a job is about to detect the conflicts of a change."""
    return is_waiting(RECHECK, change)


def stored_closed(change: str) -> set[Found]:
    """Return the stored conflicts of a change with schedules."""
    return {found for found in _read_stored(change) if found.change == change and found.schedule}


def _read_stored(change: str) -> dict[Found, str]:
    """Return the stored conflicts of a change, and those of others with it, with their sys_ids."""
    rows = _STORED.all({"change": change})
    return {Found(*(getattr(row, name) for name in Found._fields)): row.sys_id for row in rows}


def _store(change: str, overlaps: Sequence[Overlap], closed: list[Found]) -> None:
    """Make the stored conflicts of a change equal to the overlaps and closed times, and those of others with it."""
    own = closed[:MOST_OF_SCHEDULES]
    own += [Found(change, each.type, each.change, each.item, each.related, each.person) for each in overlaps]
    mirrored = [
        Found(each.change, MIRRORED[each.type], change, each.related, each.item, each.person) for each in overlaps
    ]
    del own[MOST_STORED:]
    stored = _read_stored(change)
    obsolete = stored.keys() - set(own) - set(mirrored)
    _delete([stored[key] for key in obsolete])
    lost = Counter(key.change for key in obsolete if key.change != change)
    gained = [each for each in mirrored if each not in stored]
    room = _room_of({*lost, *(each.change for each in gained)})
    # Before any insertion: a change that has lost its last conflict, or of which further ones were only counted.
    unfit = {other for other, count in lost.items() if room[other] == MOST_STORED or room[other] <= count}
    new = [each for each in own if each not in stored]
    for each in gained:
        if room[each.change] > 0:
            room[each.change] -= 1
            new.append(each)
    _insert(new)
    promise_recheck(unfit | {each.change for each in overlaps if each.status != CONFLICT})


def _room_of(changes: Iterable[str]) -> dict[str, int]:
    """Return how many further conflicts can be stored for each change."""
    columns, room = _CONFLICTS.c, dict.fromkeys(changes, MOST_STORED)
    for some in _chunks([*room]):
        counted = select(columns["change"], func.count()).where(columns["change"].in_(some)).group_by(columns["change"])
        for change, count in connection().execute(counted):
            room[change] -= count
    return room


def _delete(sys_ids: list[str]) -> None:
    for some in _chunks(sys_ids):
        connection().execute(delete(_CONFLICTS).where(_CONFLICTS.c["sys_id"].in_(some)))


def _insert(conflicts: list[Found]) -> None:
    if conflicts:
        connection().execute(insert(_CONFLICTS), [{"sys_id": new_sys_id(), **each._asdict()} for each in conflicts])


def _chunks(items: list[str]) -> Iterator[list[str]]:
    return (items[at : at + CONFLICTS_AT_ONCE] for at in range(0, len(items), CONFLICTS_AT_ONCE))
