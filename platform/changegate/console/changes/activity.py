"""The activity of a change: comments, edits, moves, approvals, and files in one stream, newest first, by kind."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from changegate.console.records.history import FieldChange, RecordSave, list_saves
from changegate.console.records.people import Actor, People, user_name_of, workload_of
from changegate.services.access.caller import Caller
from changegate.services.approvals.rounds import CANCELLED
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, get_table

MOST_ENTRIES = 200
# The kinds of the history that the stream shows, each a predicate of the user; moves and edits are those of the audit
# trail.
WORDS: Mapping[str, str] = {
    "requested": "requested approval",
    "answered": "answered an approval",
    "decided": "completed the approval",
    "voided": "voided an answer",
    "expired": "ended an approval without an answer",
    "reminded": "reminded the approvers",
    "escalated": "escalated an approval",
    "deviated": "deviated from what was approved",
    "freeze_overridden": "overrode a freeze",
    "files_deleted": "deleted old files",
}
# A decision that ends a round without completing it.
CANCELED_ROUND = "cancelled the approval"
JOURNALS: Mapping[str, str] = {"comments": "commented", "work_notes": "added a work note"}


# The parts of the stream, by what their links send; an entry of a kind that is not listed belongs to the approvals.
PARTS: Mapping[str, str] = {
    "comments": "Comments",
    "work_notes": "Work notes",
    "edits": "Field changes",
    "approvals": "Approvals",
}
_PART_OF_KIND = {
    **{"comments": "comments", "work_notes": "work_notes", "edit": "edits", "create": "edits"},
    # Only in the whole stream.
    "files_deleted": "files",
}


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One thing that happened: when in local time, who, in words, with a text and changed fields.

    `acts_for` and `approver` are sys_ids of users. An answer has an `outcome`, and the name of its `policy`. `order`
    sorts entries of the same second.
    """

    at: str
    user_name: str
    words: str
    kind: str
    text: str = ""
    workload: Actor | None = None
    acts_for: str = ""
    outcome: str = ""
    approver: str = ""
    policy: str = ""
    changes: Sequence[FieldChange] = ()
    order: int = 0

    @property
    def part(self) -> str:
        """Return the part of the stream that the entry belongs to."""
        return _PART_OF_KIND.get(self.kind, "approvals")


@dataclass(frozen=True, slots=True)
class Activity:
    """Entries, newest first, and the people in them."""

    entries: Sequence[ActivityEntry]
    people: People


def list_activity(table: Table, caller: Caller, record: WireRecord, part: str = "") -> Activity:
    """Return the stream of a record or a part of it, as far as the caller may read it."""
    sys_id = record["sys_id"]["value"]
    recorded = list(_history(caller, sys_id))
    # Journals and the audit trail name the user only; the history of the same save names the workload as well.
    workloads = {(each.at, each.user_name): each.workload for each in reversed(recorded) if each.workload}
    entries = [
        *_journal(caller, sys_id),
        *(_edit(save) for save in list_saves(table, caller, record)),
        *(entry for entry in recorded if entry.words),
        _creation(record),
    ]
    shown = [
        replace(entry, workload=entry.workload or workloads.get((entry.at, entry.user_name)))
        for entry in entries
        if not part or entry.part == part
    ]
    return _with_people(sorted(shown, key=lambda entry: (entry.at, entry.order), reverse=True)[:MOST_ENTRIES], caller)


def list_notes(caller: Caller, sys_id: str) -> Activity:
    """Return the comments and work notes of a record, newest first."""
    return _with_people(list(_journal(caller, sys_id)), caller)


def _with_people(entries: list[ActivityEntry], caller: Caller) -> Activity:
    sys_ids = (sys_id for entry in entries for sys_id in (entry.acts_for, entry.approver) if sys_id)
    return Activity(entries, People(caller, (entry.user_name for entry in entries), sys_ids))


def _rows(table: str, caller: Caller, query: str, fields: tuple[str, ...]) -> Iterable[WireRecord]:
    """Return the records of a query, or none if the caller may not read the table."""
    found = get_table(table)
    if not found.access.admits("read", caller.permissions):
        return ()
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=fields)
    return read_page(found, caller, parse_encoded_query(query), shape, limit=MOST_ENTRIES, offset=0).records


def _journal(caller: Caller, sys_id: str) -> Iterator[ActivityEntry]:
    fields = ("element", "value", "sys_created_on", "sys_created_by")
    for row in _rows("sys_journal_field", caller, f"element_id={sys_id}^ORDERBYDESCsys_created_on", fields):
        element = row["element"]["value"]
        yield ActivityEntry(
            row["sys_created_on"]["display_value"],
            row["sys_created_by"]["value"],
            JOURNALS.get(element, f"wrote in {element}"),
            element,
            row["value"]["value"],
            order=1,
        )


def _edit(save: RecordSave) -> ActivityEntry:
    return ActivityEntry(save.at, save.user, "changed fields", "edit", changes=save.changes, order=2)


def _creation(record: WireRecord) -> ActivityEntry:
    provenance = {name: record[name]["value"] for name in record if name.startswith(("source_", "oauth_"))}
    created = record["sys_created_on"]["display_value"], record["sys_created_by"]["value"]
    return ActivityEntry(*created, "created the change", "create", workload=workload_of(provenance))


def _history(caller: Caller, sys_id: str) -> Iterator[ActivityEntry]:
    """Yield the entries of the history; those of a kind that the stream does not show have no words."""
    query = f"subject_id={sys_id}^subject_table=change_request^ORDERBYDESCseq"
    for row in _rows("chg_history", caller, query, ("kind", "actor", "facts", "sys_created_on")):
        actor, facts = json.loads(row["actor"]["value"]), json.loads(row["facts"]["value"])
        kind, outcome = row["kind"]["value"], str(facts.get("state") or facts.get("outcome") or "")
        yield ActivityEntry(
            row["sys_created_on"]["display_value"],
            user_name_of(actor),
            CANCELED_ROUND if (kind, outcome) == ("decided", CANCELLED) else WORDS.get(kind, ""),
            kind,
            _text_of(facts),
            workload_of(actor),
            str(actor.get("acts_for") or ""),
            outcome.capitalize(),
            str(facts.get("approver") or ""),
            str(facts.get("policy_name") or ""),
            order=3,
        )


def _text_of(facts: Mapping[str, Any]) -> str:
    """Return the texts among the facts of an entry: reasons, comments, and names of files."""
    reasons = [each["reason"] for each in facts.get("approvals") or () if isinstance(each, dict) and "reason" in each]
    files = [each["file_name"] for each in facts.get("files") or ()]
    return "\n".join(str(part) for part in (facts.get("reason"), facts.get("comments"), *reasons, *files) if part)
