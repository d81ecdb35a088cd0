"""The content of a change that an approval covers: its governed fields, their hash, and differences in words."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import false, select

from changegate.database import connection
from changegate.database.dialects import Upsert
from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid
from changegate.models import ChgApprovalContent, SysAttachment, TaskCi
from changegate.models.base import Entry, utc_now
from changegate.services.tables.registry import find_table, get_table
from changegate.services.tables.values import render_value

CHANGE = "change_request"
# Rows of other tables that belong to the content, under the names of these tables.
AFFECTED_CIS, ATTACHMENTS = "task_ci", "sys_attachment"
GOVERNED_FIELDS = (
    *("implementation_plan", "backout_plan", "test_plan", "change_plan", "cmdb_ci", "start_date", "end_date"),
    *("risk", "std_change_producer_version", "source_commit", AFFECTED_CIS, ATTACHMENTS),
)
# Written by the process after people were asked: an answer that covered one of them, or a field `sys_…`, would be void.
_WRITTEN_BY_PROCESS = frozenset(
    {
        *("state", "active", "approval", "approval_set", "closed_at", "closed_by", "work_start", "work_end"),
        *("reassignment_count", "risk_value", "risk_explanation", "conflict_status", "conflict_last_run"),
    }
)
# Set by the process itself as well: such a write voids nothing as long as it selects the same policy.
RECALCULATED = frozenset({"risk"})
COLLECTIONS = {AFFECTED_CIS: "Affected CIs", ATTACHMENTS: "Attachments"}
# Characters of an old or new text that a difference shows, and of those before the first difference.
SHOWN, CONTEXT = 120, 20
Content = Mapping[str, Any]
_CONTENTS = ChgApprovalContent.__table__
_CIS = Prepared(select(TaskCi.ci_item).where(TaskCi.task == parameter("change")))
_FILES = Prepared(
    select(SysAttachment.file_name, SysAttachment.hash).where(
        SysAttachment.table_name == CHANGE, SysAttachment.table_sys_id == parameter("change")
    )
)
_STORED = Prepared(select(_CONTENTS.c["content"]).where(_CONTENTS.c["hash"] == parameter("hash")))
_STORE = Upsert(_CONTENTS, lambda _old, _new: false())


def parse_governed_fields(text: str | None, approver_field: str | None = None) -> frozenset[str]:
    """Return the fields that answers under a rule depend on, also the one that names the approvers.

    `text` contains names with commas between them; without a name, all governed fields are meant. Raises `InputInvalid`
    for an unknown name, and for a field that the process writes.
    """
    names = {name.strip() for name in (text or "").split(",")} - {""}
    if unknown := sorted(names - {*get_table(CHANGE).public_fields, *COLLECTIONS}):
        message = f"There is no field {unknown[0]} of a change. Enter names such as implementation_plan or task_ci."
        raise InputInvalid({"governed_fields": [message]})
    if written := sorted(name for name in names - COLLECTIONS.keys() if is_written_by_process(name)):
        message = (
            f"{written[0]} is written by the process. Enter fields that callers edit, such as implementation_plan."
        )
        raise InputInvalid({"governed_fields": [message]})
    fields = names if names else set(GOVERNED_FIELDS)
    return frozenset(fields | ({approver_field.partition(".")[0]} if approver_field else set()))


def labels_of(names: Iterable[str]) -> list[str]:
    """Return the labels of governed fields."""
    entries = get_table(CHANGE).entries
    return [COLLECTIONS[name] if name in COLLECTIONS else entries[name].label for name in names]


def is_written_by_process(name: str) -> bool:
    """Return whether the process writes a field of a change, so that no answer can cover it."""
    return name in _WRITTEN_BY_PROCESS or name.startswith("sys_")


def read_content(change: Mapping[str, Any], fields: Collection[str]) -> Content:
    """Return the values of some governed fields as texts; an empty value is None."""
    of_change, entries = {"change": change["sys_id"]}, get_table(CHANGE).entries
    stored = (name for name in fields if name not in COLLECTIONS)
    content: dict[str, Any] = {name: render_value(entries[name], change[name]) or None for name in stored}
    if AFFECTED_CIS in fields:
        content[AFFECTED_CIS] = sorted(row.ci_item for row in _CIS.all(of_change))
    if ATTACHMENTS in fields:
        content[ATTACHMENTS] = sorted([row.file_name, row.hash] for row in _FILES.all(of_change))
    return content


def store_content(content: Content) -> str:
    """Store a content, unless it is stored already, and return its hash."""
    text, digest = _text_of(content), hash_of_content(content)
    if _STORED.first({"hash": digest}) is None:
        _STORE.execute({"hash": digest, "content": text, "created_at": utc_now()})
    return digest


def hash_of_content(content: Content) -> str:
    """Return the SHA-256 of a content in hex."""
    return hashlib.sha256(_text_of(content).encode()).hexdigest()


def find_content(digest: str | None) -> Content | None:
    """Return a stored content by its hash, or None."""
    row = _STORED.first({"hash": digest})
    content: Content | None = orjson.loads(row.content) if row else None
    return content


def changed_fields(before: Content, after: Content) -> frozenset[str]:
    """Return the fields that differ, of those in both contents."""
    return frozenset(name for name in before.keys() & after.keys() if before[name] != after[name])


def describe_differences(before: Content, after: Content) -> list[str]:
    """Return a sentence without a full stop for each field that differs, in the order of `GOVERNED_FIELDS`."""
    changed = changed_fields(before, after)
    ordered = [name for name in GOVERNED_FIELDS if name in changed] + sorted(changed - set(GOVERNED_FIELDS))
    return [_describe(name, before[name], after[name]) for name in ordered]


def texts_of(content: Content) -> dict[str, str]:
    """Return the fields of a content that are not empty as texts, in the order of `GOVERNED_FIELDS`."""
    ordered = dict.fromkeys(name for name in (*GOVERNED_FIELDS, *sorted(content)) if content.get(name))
    return {name: _shown(name, content[name]) for name in ordered}


def _shown(name: str, value: Any) -> str:
    if name not in COLLECTIONS:
        return _text(get_table(CHANGE).entries[name], value)
    names = _names("cmdb_ci", value) if name == AFFECTED_CIS else {}
    return ", ".join(names.get(item, item) if isinstance(item, str) else item[0] for item in value)


def _text_of(content: Content) -> str:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


def _describe(name: str, old: Any, new: Any) -> str:
    if name in COLLECTIONS:
        return f"{COLLECTIONS[name]}: {_describe_items(name, old, new)}"
    entry = get_table(CHANGE).entries[name]
    was, now = _excerpts(_text(entry, old), _text(entry, new))
    return f"{entry.label} changed from {was} to {now}"


def _describe_items(name: str, old: list[Any], new: list[Any]) -> str:
    removed, added = ([item for item in ours if item not in others] for ours, others in ((old, new), (new, old)))
    names = _names("cmdb_ci", [*removed, *added]) if name == AFFECTED_CIS else {}
    changes = [*(("removed", item) for item in removed), *(("added", item) for item in added)]
    # A file is a pair of name and SHA-256: a file of the same name may have other bytes.
    return ", ".join(
        f"{word} {names.get(item, item) if isinstance(item, str) else f'{item[0]} (SHA-256 {item[1][:12]}…)'}"
        for word, item in changes
    )


def _text(entry: Entry, value: str | None) -> str:
    if value is None:
        return ""
    names = _names(str(entry.reference), [value]) if entry.kind == "reference" else entry.choices
    return names.get(value, value) if names else value


def _names(table_name: str, sys_ids: Iterable[str]) -> dict[str, str]:
    """Return display names by sys_id: those who may read the approval may read the names in it."""
    table = find_table(table_name)
    if table is None:
        return {}
    columns = table.source.c
    statement = select(columns["sys_id"], columns[table.display_field]).where(columns["sys_id"].in_(list(sys_ids)))
    return {sys_id: str(name) for sys_id, name in connection().execute(statement)}


def _excerpts(old: str, new: str) -> Iterator[str]:
    """Return the parts of two texts around their first difference, in quotes; "nothing" is an empty text."""
    same = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    first = min(len(old), len(new)) if same is None else same
    start = 0 if max(len(old), len(new)) <= SHOWN else max(0, first - CONTEXT)
    for text in (old, new):
        part = " ".join(text[start : start + SHOWN].split())
        cut = ("…" if start else "", "…" if start + SHOWN < len(text) else "")
        yield f'"{cut[0]}{part}{cut[1]}"' if text else "nothing"
