"""Chains of history entries: each record has one, and each entry holds the hash of the entry before it.

    created <── moved <── requested <── answered <── decided        `previous_hash` points to the left

The writers of one chain must hold the lock of its record (a change, a policy, a model), so that they take turns; the
unique key of subject and number refuses the second of two writers that do not. There is no lock for all chains.

A chain begins with the first entry after the creation, so that a creation costs nothing: `describe_beginning` registers
how to describe the creation of a record, as the first entry of its chain. See decision 0026.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed, RecordChanged
from changegate.models import ChgHistory
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.services.tables.writing.written_rows import KEY_EXISTS

VERSION = 1
# The previous hash of the first entry of a chain.
START = "0" * 64
CREATED = "created"
# The member of facts with the changed fields: old and new value by field.
CHANGES = "changes"
_HISTORY = ChgHistory.__table__
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a record: `kind` and `facts` with values of JSON, the actor (`actors.actor_of`), and when.

    Changed fields are in `facts["changes"]`: `[old, new]` by field.
    """

    kind: str
    facts: Facts
    actor: Mapping[str, Any]
    at: datetime | None = None


_beginnings: dict[str, Callable[[str], Event | None]] = {}


def describe_beginning(subject_table: str, describe: Callable[[str], Event | None]) -> None:
    """Register the function that returns the creation of a record, described from its present row, or None."""
    _beginnings[subject_table] = describe


def append(
    subject_table: str,
    subject_id: str,
    kind: str,
    facts: Facts,
    actor: Mapping[str, Any],
    at: datetime | None = None,
) -> None:
    """Append an entry to the chain of a record, in the transaction of the unit of work. The caller holds its lock."""
    append_events(subject_table, subject_id, [Event(kind, facts, actor, at)])


def begin(subject_table: str, subject_id: str) -> None:
    """Begin the chain of a record that is created in another state than usual."""
    append_events(subject_table, subject_id, ())


def append_events(subject_table: str, subject_id: str, events: Iterable[Event]) -> None:
    """Append several entries with two statements: one reads the last entry, one inserts.

    Raises `RecordChanged` for a writer that did not wait for another one.
    """
    fresh = list(events)
    head = _HEAD.first({"subject_table": subject_table, "subject_id": subject_id})
    if head is None:
        fresh = [*_begin(subject_table, subject_id, fresh), *fresh]
    seq, previous = (head.seq, head.hash) if head else (0, START)
    numbered: dict[str, Any] = {}
    for at, event in enumerate(fresh):
        row = _row(subject_table, subject_id, event) | {"seq": seq + at + 1, "previous_hash": previous}
        row["hash"] = previous = hash_of(row)
        numbered |= {f"{name}_{at}": value for name, value in row.items()}
    try:
        _insert_statement(len(fresh)).execute(numbered)
    except IntegrityError:
        raise RecordChanged("Another caller wrote to the history of the record at the same time.") from None


def require_no_history(sys_id: str) -> None:
    """Refuse the sys_id of a record that was deleted, whose history and approvals a new record would continue.

    Raises `OperationFailed`.
    """
    if _ANY.first({"subject_id": sys_id}):
        raise OperationFailed(KEY_EXISTS)


def canonical(value: Any) -> str:
    """Return the canonical JSON of a value: no spaces, members sorted, UTF-8, times in UTC to the second."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
    return orjson.dumps(value, option=options).decode()


def hash_of(row: Mapping[str, Any]) -> str:
    """Return the hash of an entry, from its columns by name.

    Actor and facts are hashed on their own, so that a chain can be verified after personal data in them was erased.
    """
    covered = [row[name] for name in _COVERED]
    return digest_of(canonical([VERSION, *covered, digest_of(row["actor"]), digest_of(row["facts"])]))


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _begin(subject_table: str, subject_id: str, events: list[Event]) -> Iterable[Event]:
    """Return the creation as an event, with the values from before the given events; nothing if it is unknown."""
    describe = _beginnings.get(subject_table)
    created = describe(subject_id) if describe else None
    if created is None:
        return
    facts = dict(created.facts)
    # The row may already have been written: the first event knows the values before it.
    for event in reversed(events):
        facts |= {name: old for name, (old, _) in event.facts.get(CHANGES, {}).items() if name in facts}
    yield replace(created, facts=facts)


def _row(subject_table: str, subject_id: str, event: Event) -> dict[str, Any]:
    at = utc_now() if event.at is None else event.at.astimezone(UTC).replace(microsecond=0)
    user = event.actor.get("user_name") or "system"
    return {
        "sys_id": new_ordered_sys_id(),
        "sys_created_on": at,
        "sys_created_by": user,
        "sys_updated_on": at,
        "sys_updated_by": user,
        "sys_mod_count": 0,
        "subject_table": subject_table,
        "subject_id": subject_id,
        "kind": event.kind,
        "actor": canonical(event.actor),
        "facts": canonical(event.facts),
    }


@lru_cache(maxsize=128)
def _insert_statement(how_many: int) -> Prepared:
    columns = _HISTORY.c.items()
    rows = [{name: parameter(f"{name}_{at}", type_=column.type) for name, column in columns} for at in range(how_many)]
    return Prepared(insert(_HISTORY).values(rows))


# The columns that a hash covers, in this order; never change it without a new VERSION.
_COVERED = (
    *("previous_hash", "subject_table", "subject_id", "seq", "kind"),
    *("sys_id", "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count"),
)
_HEAD = Prepared(
    select(_HISTORY.c.seq, _HISTORY.c.hash)
    .where(_HISTORY.c.subject_id == parameter("subject_id"), _HISTORY.c.subject_table == parameter("subject_table"))
    .order_by(_HISTORY.c.seq.desc())
    .limit(1)
    # SQLite has one lock for all writers: taken before the read, so that the chain cannot grow in between.
    .execution_options(locks_rows=True)
)
_ANY = Prepared(select(_HISTORY.c.seq).where(_HISTORY.c.subject_id == parameter("subject_id")).limit(1))
