"""Changes: the list, the record with its tabs, the moves, and comments; the same rules as over the APIs."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.approvals.block import blocks_of_change
from changegate.console.changes.activity import PARTS, list_activity
from changegate.console.changes.files import PREVIEWED, files_of
from changegate.console.changes.reading import explain_missing, read_change, stored_values
from changegate.console.changes.related import count_related, related_lists_of
from changegate.console.changes.ribbon import REASON, journal_inputs, ribbon_of
from changegate.console.changes.sections import EMPTY, IN_HEAD, PROVENANCE, SECTIONS
from changegate.console.guards import caller, require_login
from changegate.console.records.cells import is_nameless
from changegate.console.records.list_views import list_page
from changegate.console.records.pages import list_url, record_url
from changegate.console.records.people import STAMPS, People
from changegate.console.records.record_form import fields_of
from changegate.console.records.reference_choices import explain_refusal
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import was_seen
from changegate.database import commit
from changegate.errors import ChangegateError, InputInvalid, RateLimited, RecordNotFound, VersionOutdated
from changegate.extensions import limiter
from changegate.models.base import version_of
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.approvals.rollup import REQUESTED
from changegate.services.process.changes import changes_table
from changegate.services.process.comments import COMMENTS, add_comment
from changegate.services.process.watching import WATCH_LIST, set_watching
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import get_table
from changegate.services.tables.versions import VersionCheck
from changegate.services.tables.writing.records import create_record, update_record
from changegate.unproxied import current_request

TABS: Mapping[str, str] = {
    "details": "Details",
    "approvals": "Approvals",
    "tasks": "Tasks",
    "items": "CIs and conflicts",
    "files": "Files",
    "activity": "Activity",
}
bp = Blueprint("change_requests", __name__, url_prefix="/change-requests")
bp.before_request(require_login)
bp.register_error_handler(RecordNotFound, explain_missing)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of the changes that the user may see."""
    return list_page(changes_table())


@bp.get("/<sys_id>")
def record_view(sys_id: str) -> str:
    """Show a change; raises `RecordNotFound`."""
    return _record_page(sys_id)


@bp.post("/<sys_id>/move")
def move_view(sys_id: str) -> ResponseReturnValue:
    """Move a change to a state, with the fields that the move needs; a refusal says what is missing."""
    sent = current_request().form
    writable = {field.name for field in fields_of(changes_table(), caller(), is_new=False) if not field.is_read_only}
    fields = {name: text for name, text in sent.items() if text and (name in writable or name == REASON)}
    return _write(sys_id, {**fields, "state": sent.get("state", "")}, "details", "Moved.", condition=was_seen)


@bp.post("/<sys_id>/comment")
def comment_view(sys_id: str) -> ResponseReturnValue:
    """Add a comment or a work note."""
    sent = current_request().form
    journal = sent.get("journal", "")
    if journal not in changes_table().journals_for(caller().permissions):
        raise InputInvalid({"journal": ["Choose comments or work notes."]})
    if refusal := _too_many(COMMENTS, "added too many comments"):
        return _record_page(sys_id, refusal=refusal, tab="activity", comment=sent.get("text", "")), 429
    if not changes_table().access.admits("update", caller().permissions):
        add_comment(sys_id, sent.get("text", ""), caller())
        commit()
        return redirect(_url(sys_id, "activity"))
    return _write(sys_id, {journal: sent.get("text", "")}, "activity", "Added.")


@bp.post("/<sys_id>/watch")
def watch_view(sys_id: str) -> ResponseReturnValue:
    """Add the user to the watch list of a change that they may read, or remove them."""
    if refusal := _too_many(WATCH_LIST, "changed too many watch lists"):
        return _record_page(sys_id, refusal=refusal), 429
    set_watching(sys_id, caller(), is_watching=current_request().form.get("watching") == "1")
    commit()
    return redirect(_url(sys_id, "details"))


@bp.post("/<sys_id>/items")
def add_item_view(sys_id: str) -> ResponseReturnValue:
    """Add a configuration item to those that the change affects."""
    read_change(sys_id)
    item = current_request().form.get("ci_item", "")
    affected = get_table("task_ci")
    # The change by its sys_id, and the item by its name.
    fields = {"task": sys_id, "ci_item": item}
    added = attempt(lambda: create_record(affected, caller(), fields, input_display_value=True))
    if isinstance(added, ChangegateError):
        refusal = explain_refusal(added, affected, caller(), fields)
        return _record_page(sys_id, refusal=refusal, tab="items", item=item), added.status
    return redirect(_url(sys_id, "items"))


def _too_many(kind: str, words: str) -> str:
    """Count what a user has done, and return a refusal if it is too often: each can send mail, or grow the history."""
    try:
        limiter.require_room_to_fail(caller().sys_id, kind)
    except RateLimited as limit:
        return f"You have {words} within a minute. Try again in {limit.retry_after} seconds."
    limiter.count(caller().sys_id, kind)
    return ""


def _write(
    sys_id: str, fields: Mapping[str, str], tab: str, done: str, *, condition: VersionCheck | None = None
) -> ResponseReturnValue:
    written = attempt(
        lambda: update_record(changes_table(), caller(), sys_id, fields, input_display_value=True, condition=condition)
    )
    if isinstance(written, ChangegateError):
        return _refused(sys_id, written, tab, fields)
    flash(done)
    return redirect(_url(sys_id, tab))


def _refused(sys_id: str, problem: ChangegateError, tab: str, sent: Mapping[str, str]) -> ResponseReturnValue:
    """Show the change again with what was refused."""
    status = 409 if isinstance(problem, VersionOutdated) else problem.status
    return _record_page(sys_id, refusal=explain_refusal(problem, changes_table(), caller(), sent), tab=tab), status


def _url(sys_id: str, tab: str) -> str:
    return url_for("change_requests.record_view", sys_id=sys_id, tab=None if tab == "details" else tab)


def _filled_sections(record: WireRecord) -> dict[str, list[str]]:
    """Return the fields that have a value by section; the head of the page shows some already."""
    sections = {
        title: [name for name in names if name in record and record[name]["value"] not in EMPTY]
        for title, names in SECTIONS.items()
    }
    return {title: [name for name in names if name not in IN_HEAD] for title, names in sections.items() if names}


def _record_page(sys_id: str, *, refusal: str = "", tab: str = "", comment: str = "", item: str = "") -> str:
    table, who = changes_table(), caller()
    record, _ = read_change(sys_id)
    change = stored_values(sys_id)
    shown = tab or current_request().args.get("tab", "")
    shown = shown if shown in TABS else "details"
    part = current_request().args.get("show", "")
    part = part if part in PARTS else ""
    fields = {field.name: field for field in fields_of(table, who, is_new=False)}
    journals = {name: table.journal_fields[name] for name in table.journals_for(who.permissions)}
    provenance = [
        name for name in PROVENANCE if record[name]["value"] and not is_nameless(table.entries[name], record[name])
    ]
    files = files_of(sys_id, who) if shown == "files" else ()
    authors = (*(record[name]["value"] for name in STAMPS), *(file.sys_created_by for file in files))
    return render_template(
        "console/changes/record.html",
        people=People(who, authors),
        record=record,
        version=version_of(change["sys_mod_count"], change["sys_updated_on"]),
        ribbon=ribbon_of(change, {**fields, **journal_inputs(table)}),
        refusal=refusal,
        tabs=TABS,
        tab=shown,
        counts=count_related(sys_id, who),
        parts={name: label for name, label in PARTS.items() if name != "work_notes" or name in journals},
        part=part,
        comment=comment,
        item=item,
        sections=_filled_sections(record),
        provenance=provenance,
        entries=table.entries,
        may_update=table.access.admits("update", who.permissions),
        may_create=table.access.admits("create", who.permissions),
        # Owners have no role, and read the names of their own integrations only.
        opens_integration="oauth_entity" in provenance or who.permissions.has_role(INTEGRATION_ADMINISTRATORS),
        related=related_lists_of(shown, sys_id, who),
        blocks=blocks_of_change(change, who) if change["approval"] == REQUESTED else (),
        files=files,
        previewed=PREVIEWED,
        activity=list_activity(table, who, record, part) if shown == "activity" else None,
        journals=journals,
        record_url=record_url,
        list_url=list_url,
    )
