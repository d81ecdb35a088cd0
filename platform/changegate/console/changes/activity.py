"""The activity of a change: comments, edits, moves, approvals, and files in one stream, newest first."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changegate.console.records.history import FieldChange, RecordSave, list_saves
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import find_names
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
JOURNALS: Mapping[str, str] = {"comments": "commented", "work_notes": "added a work note"}


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One thing that happened: when in local time, who, in words, with a text and changed fields.

    `workload` names the pipeline if a token acted. `order` sorts entries of the same second.
    """

    at: str
    who: str
    words: str
    kind: str
    text: str = ""
    workload: str = ""
    changes: Sequence[FieldChange] = ()
    order: int = 0


def list_activity(table: Table, caller: Caller, record: WireRecord) -> list[ActivityEntry]:
    """Return the stream of a record, as far as the caller may read its parts."""
    sys_id = record["sys_id"]["value"]
    entries = [
        *list_notes(caller, sys_id),
        *(_edit(save) for save in list_saves(table, caller, record)),
        *_history(caller, sys_id),
        _creation(record),
    ]
    return sorted(entries, key=lambda entry: (entry.at, entry.order), reverse=True)[:MOST_ENTRIES]


def _rows(table: str, caller: Caller, query: str, fields: tuple[str, ...]) -> Iterable[WireRecord]:
    """Return the records of a query, or none if the caller may not read the table."""
    found = get_table(table)
    if not found.access.admits("read", caller.permissions):
        return ()
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=fields)
    return read_page(found, caller, parse_encoded_query(query), shape, limit=MOST_ENTRIES, offset=0).records


def list_notes(caller: Caller, sys_id: str) -> list[ActivityEntry]:
    """Return the comments and work notes of a record, newest first."""
    return list(_journal(caller, sys_id))


def _journal(caller: Caller, sys_id: str) -> Iterator[ActivityEntry]:
    fields = ("element", "value", "sys_created_on", "sys_created_by")
    for row in _rows("sys_journal_field", caller, f"element_id={sys_id}^ORDERBYDESCsys_created_on", fields):
        element = row["element"]["value"]
        yield ActivityEntry(
            row["sys_created_on"]["display_value"],
            row["sys_created_by"]["display_value"],
            JOURNALS.get(element, f"wrote in {element}"),
            element,
            row["value"]["value"],
            order=1,
        )


def _edit(save: RecordSave) -> ActivityEntry:
    return ActivityEntry(save.at, save.user, "changed fields", "edit", changes=save.changes, order=2)


def _creation(record: WireRecord) -> ActivityEntry:
    workload = record["source_workflow"]["value"] or record["oauth_subject"]["value"]
    created = record["sys_created_on"]["display_value"], record["sys_created_by"]["display_value"]
    return ActivityEntry(*created, "created the change", "create", workload=workload)


def _history(caller: Caller, sys_id: str) -> Iterator[ActivityEntry]:
    query = f"subject_id={sys_id}^subject_table=change_request^ORDERBYDESCseq"
    rows = _rows("chg_history", caller, query, ("kind", "actor", "facts", "sys_created_on"))
    found = [(row, json.loads(row["actor"]["value"]), json.loads(row["facts"]["value"])) for row in rows]
    names = _people(caller, (sys_id for _, actor, facts in found for sys_id in _sys_ids(actor, facts)))
    for row, actor, facts in found:
        if (kind := row["kind"]["value"]) in WORDS:
            yield ActivityEntry(
                row["sys_created_on"]["display_value"],
                _who(actor, names),
                WORDS[kind],
                kind,
                _text_of(facts, names),
                str(actor.get("source_workflow") or actor.get("oauth_subject") or ""),
                order=3,
            )


def _sys_ids(actor: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    people = [actor.get("acts_for"), facts.get("approver"), *(facts.get("approvers") or ())]
    return [each for each in people if isinstance(each, str)]


def _people(caller: Caller, sys_ids: Iterable[str]) -> Mapping[str, str]:
    return find_names({"sys_user": set(sys_ids)}, caller).get("sys_user", {})


def _who(actor: Mapping[str, Any], names: Mapping[str, str]) -> str:
    acts_for = actor.get("acts_for")
    name = str(actor.get("user_name") or "system")
    return f"{name} for {names.get(acts_for, acts_for)}" if acts_for else name


def _text_of(facts: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return what the facts of an entry add in words: the answer, for whom, the policy, reasons, files."""
    approver = names.get(str(facts.get("approver")), "")
    answer = str(facts.get("state") or facts.get("outcome") or "").capitalize()
    policy = facts.get("policy_name")
    head = " ".join(
        part for part in (answer, f"for {approver}" if approver else "", f"by “{policy}”" if policy else "") if part
    )
    reasons = [each["reason"] for each in facts.get("approvals") or () if isinstance(each, dict) and "reason" in each]
    files = [each["file_name"] for each in facts.get("files") or ()]
    return "\n".join(str(part) for part in (head, facts.get("reason"), facts.get("comments"), *reasons, *files) if part)
