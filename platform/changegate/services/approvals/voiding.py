"""Voiding: answers end when what they cover changes, or when their time is over."""

from collections.abc import Iterator

from changegate.extensions import now
from changegate.services.approvals.content import (
    RECALCULATED,
    changed_fields,
    describe_differences,
    store_content,
)
from changegate.services.approvals.eligibility import covered_fields
from changegate.services.approvals.rollup import APPROVED
from changegate.services.approvals.rounds import VOIDED, Round, Row, is_open
from changegate.services.tables.rules import Values
from changegate.services.tables.values import INSTANT_FORMAT


def void_after_edit(current: Round, edited: frozenset[str]) -> bool:
    """Void the answers that depend on fields that a caller has edited, and let open requests cover the new content.

    The change of the round has the values after the edit. An edit that leaves the content as it was when a person
    answered voids nothing. Returns whether an answer is void or a request covers another content now.
    """
    is_void = bool(void_uncovered(current, edited))
    refreshed = [row for row in current.rows if is_open(row) and _refresh(current, row)]
    current.remember_edit(edited & covered_fields(current))
    return is_void or bool(refreshed)


def void_uncovered(current: Round, edited: frozenset[str] | None = None) -> list[str]:
    """Void the answers that no longer count, and return the reasons.

    If a caller has `edited` fields, these are the answers that depend on them. Otherwise, their content has changed in
    any way, except by what the process recalculates, or their time is over.
    """
    author = "" if edited is None else f", by {current.caller.user_name}"
    voided = [(row, f"{reason}{author}") for row, reason in find_uncovered(current, edited)]
    current.end(voided, VOIDED)
    return [reason for _, reason in voided]


def find_uncovered(current: Round, edited: frozenset[str] | None = None) -> Iterator[tuple[Values, str]]:
    """Yield the answers of the round that no longer count, each with the reason; nothing is written."""
    for row in current.rows:
        if row["state"] == APPROVED and (reason := why_void(current, row, edited)):
            yield row, reason


def why_void(current: Round, row: Row, edited: frozenset[str] | None = None) -> str | None:
    """Return why an answer no longer counts, as a sentence without a full stop, or None."""
    if edited is None and row["expires"] is not None and row["expires"] <= now():
        return f"The approval was valid until {row['expires']:{INSTANT_FORMAT}}"
    return why_uncovered(current, row, edited)


def why_uncovered(current: Round, row: Row, edited: frozenset[str] | None = None) -> str | None:
    """Return how the content of the change differs from what an answer covers, or None."""
    approved = current.covered_by(row)
    if approved is None:
        return None
    present = current.content(approved)
    changed = changed_fields(approved, present)
    relevant = changed - RECALCULATED if edited is None else changed & edited
    pairs = ({name: content[name] for name in relevant} for content in (approved, present))
    return "; ".join(describe_differences(*pairs)) or None


def _refresh(current: Round, row: Values) -> bool:
    """Let an open request cover the present content; return whether it is another one.

    The new version of the row refuses answers to the old content.
    """
    covered = current.covered_by(row)
    digest = row["content_hash"] if covered is None else store_content(current.content(covered))
    if digest == row["content_hash"]:
        return False
    current.update(row, {"content_hash": digest})
    return True
