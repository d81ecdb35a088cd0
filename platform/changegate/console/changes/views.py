"""Changes: the list, the record with its tabs, the form, and the moves; the same rules as over the APIs."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.approvals.block import blocks_of_change
from changegate.console.changes.activity import list_activity
from changegate.console.changes.files import PREVIEWED, files_of
from changegate.console.changes.planning import END, SLOT, START, PlanCheck, check_plan, keep_duration, take_slot
from changegate.console.changes.related import related_lists_of
from changegate.console.changes.ribbon import REASON, journal_inputs, ribbon_of
from changegate.console.changes.sections import IN_HEAD, NOT_COPIED, PROVENANCE, SECTIONS, sections_of_form
from changegate.console.errors import render_error
from changegate.console.guards import caller, require_login
from changegate.console.records import history
from changegate.console.records.cells import is_nameless
from changegate.console.records.list_views import list_page
from changegate.console.records.pages import list_url, record_url
from changegate.console.records.record_form import (
    FormField,
    RecordForm,
    changed_texts,
    fields_of,
    form_as_sent,
    form_of_defaults,
    form_of_record,
)
from changegate.console.records.reference_choices import explain_refusal, take_refusal
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import VERSION, was_seen
from changegate.database import commit
from changegate.errors import ChangegateError, InputInvalid, RecordNotFound, VersionOutdated
from changegate.models.base import version_of
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.approvals.rollup import REQUESTED
from changegate.services.process.comments import add_comment
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import get_row, open_record, require_operation
from changegate.services.tables.registry import Table, get_table
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
NOT_READABLE = (
    "There is no such change, or you may not read it. You see the changes that you have requested or opened. Users "
    "with one of the roles {} see all of them: ask one of them, or an administrator for a role."
)
SHAPE = Shape("", DisplayValue.ALL, exclude_reference_link=True)
bp = Blueprint("change_requests", __name__, url_prefix="/change-requests")
bp.before_request(require_login)


@bp.errorhandler(RecordNotFound)
def explain_view(error: RecordNotFound) -> Response:
    """Say which changes the user may read, and who may read the others."""
    table = _table()
    if caller().permissions.has_role(table.reads_all):
        return render_error(error)
    return render_error(error, not_found=NOT_READABLE.format(", ".join(sorted(table.reads_all))))


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of the changes that the user may see."""
    return list_page(_table())


@bp.get("/new")
def new_view() -> str:
    """Show the form of a new change: empty, with the fields of the URL, or a copy of the change in `copy`."""
    table, sent = _table(), current_request().args
    require_operation(table, caller().permissions, "create")
    sections = sections_of_form(table, caller(), is_new=True)
    fields = _inputs(sections)
    form = form_of_defaults(table, fields, sent)
    if sent.get("copy"):
        record, _ = _read(sent["copy"])
        copied = form_of_record(fields, record).values
        form.values |= {name: text for name, text in copied.items() if name not in NOT_COPIED}
    return _form_page(form, sections)


@bp.post("/new")
def create_view() -> ResponseReturnValue:
    """Create a change, or show the form with its errors."""
    table = _table()
    require_operation(table, caller().permissions, "create")
    sections = sections_of_form(table, caller(), is_new=True)
    form = form_as_sent(_inputs(sections), current_request().form)
    record = attempt(lambda: create_record(table, caller(), changed_texts(form, {}), input_display_value=True))
    if isinstance(record, ChangegateError):
        take_refusal(form, record, table, caller(), {})
        return _form_page(form, sections), record.status
    flash(f"{record['number']} created.")
    return redirect(url_for("change_requests.record_view", sys_id=record["sys_id"]))


@bp.post("/new/edit")
def edit_new_view() -> str:
    """Show the form of a new change as sent, without saving it."""
    require_operation(_table(), caller().permissions, "create")
    sections = sections_of_form(_table(), caller(), is_new=True)
    return _form_page(form_as_sent(_inputs(sections), current_request().form), sections)


@bp.post("/new/plan")
def plan_new_view() -> str:
    """Show the form of a new change with what speaks against its planned time, and free times to choose from."""
    require_operation(_table(), caller().permissions, "create")
    sections = sections_of_form(_table(), caller(), is_new=True)
    form = _planned_form(sections)
    return _form_page(form, sections, plan=check_plan(_table(), caller(), form, {}, {}))


@bp.get("/<sys_id>")
def record_view(sys_id: str) -> str:
    """Show a change; raises `RecordNotFound`."""
    return _record_page(sys_id)


@bp.get("/<sys_id>/edit")
def edit_view(sys_id: str) -> str:
    """Show the form of a change."""
    record, version = _read(sys_id)
    require_operation(_table(), caller().permissions, "update")
    sections = sections_of_form(_table(), caller(), is_new=False)
    form = form_of_record(_inputs(sections), record)
    is_planned = form.values.get(START) and form.values.get(END)
    plan = check_plan(_table(), caller(), form, _values(sys_id), form.values) if is_planned else None
    return _form_page(form, sections, record=record, version=version, plan=plan)


@bp.post("/<sys_id>/edit")
def update_view(sys_id: str) -> ResponseReturnValue:
    """Save the changed fields; a change that another user has changed meanwhile is shown with the differences."""
    record, _ = _read(sys_id)
    sections = sections_of_form(_table(), caller(), is_new=False)
    form = form_as_sent(_inputs(sections), current_request().form)
    changes = changed_texts(form, form_of_record(_inputs(sections), record).values)
    saved = attempt(
        lambda: update_record(_table(), caller(), sys_id, changes, input_display_value=True, condition=was_seen)
    )
    if isinstance(saved, ChangegateError):
        return _refused_form(sys_id, form, sections, saved)
    flash(f"{record['number']['value']} saved.")
    return redirect(url_for("change_requests.record_view", sys_id=sys_id))


@bp.post("/<sys_id>/form")
def as_sent_view(sys_id: str) -> str:
    """Show the form of a change as sent, without saving it."""
    record, version = _read(sys_id)
    sections = sections_of_form(_table(), caller(), is_new=False)
    form = form_as_sent(_inputs(sections), current_request().form)
    return _form_page(form, sections, record=record, version=version)


@bp.post("/<sys_id>/plan")
def plan_view(sys_id: str) -> str:
    """Show the form of a change with what speaks against its planned time, and free times to choose from."""
    record, version = _read(sys_id)
    require_operation(_table(), caller().permissions, "update")
    sections = sections_of_form(_table(), caller(), is_new=False)
    form, before = _planned_form(sections), form_of_record(_inputs(sections), record).values
    plan = check_plan(_table(), caller(), form, _values(sys_id), before)
    return _form_page(form, sections, record=record, version=version, plan=plan)


@bp.post("/<sys_id>/move")
def move_view(sys_id: str) -> ResponseReturnValue:
    """Move a change to a state, with the fields that the move needs; a refusal says what is missing."""
    sent = current_request().form
    writable = {field.name for field in fields_of(_table(), caller(), is_new=False) if not field.is_read_only}
    fields = {name: text for name, text in sent.items() if text and (name in writable or name == REASON)}
    return _write(sys_id, {**fields, "state": sent.get("state", "")}, "details", "Moved.", condition=was_seen)


@bp.post("/<sys_id>/comment")
def comment_view(sys_id: str) -> ResponseReturnValue:
    """Add a comment or a work note."""
    sent = current_request().form
    journal = sent.get("journal", "")
    if journal not in _table().journals_for(caller().permissions):
        raise InputInvalid({"journal": ["Choose comments or work notes."]})
    if not _table().access.admits("update", caller().permissions):
        add_comment(sys_id, sent.get("text", ""), caller())
        commit()
        return redirect(_url(sys_id, "activity"))
    return _write(sys_id, {journal: sent.get("text", "")}, "activity", "Added.")


def _write(
    sys_id: str, fields: Mapping[str, str], tab: str, done: str, *, condition: VersionCheck | None = None
) -> ResponseReturnValue:
    written = attempt(
        lambda: update_record(_table(), caller(), sys_id, fields, input_display_value=True, condition=condition)
    )
    if isinstance(written, ChangegateError):
        return _refused(sys_id, written, tab, fields)
    flash(done)
    return redirect(_url(sys_id, tab))


def _refused(sys_id: str, problem: ChangegateError, tab: str, sent: Mapping[str, str]) -> ResponseReturnValue:
    """Show the change again with what was refused."""
    status = 409 if isinstance(problem, VersionOutdated) else problem.status
    return _record_page(sys_id, refusal=explain_refusal(problem, _table(), caller(), sent), tab=tab), status


def _url(sys_id: str, tab: str) -> str:
    return url_for("change_requests.record_view", sys_id=sys_id, tab=None if tab == "details" else tab)


def _table() -> Table:
    return get_table("change_request")


def _read(sys_id: str) -> tuple[WireRecord, str]:
    opened = open_record(_table(), caller(), sys_id, SHAPE)
    return opened.render(), opened.version


def _values(sys_id: str) -> dict[str, Any]:
    fields = tuple(_table().columns)
    return dict(zip(fields, get_row(_table(), caller(), sys_id, fields), strict=True))


def _inputs(sections: Mapping[str, Sequence[FormField]]) -> list[FormField]:
    return [field for fields in sections.values() for field in fields]


def _planned_form(sections: Mapping[str, Sequence[FormField]]) -> RecordForm:
    """Return the form as sent, with the free time that was chosen, or the end moved with the start."""
    sent = current_request().form
    form = form_as_sent(_inputs(sections), sent)
    if sent.get(SLOT):
        take_slot(form, sent[SLOT])
    else:
        keep_duration(form, sent)
    return form


def _form_page(
    form: RecordForm,
    sections: Mapping[str, Sequence[FormField]],
    *,
    plan: PlanCheck | None = None,
    record: WireRecord | None = None,
    version: str = "",
    stale: Sequence[history.FieldDifference] = (),
    is_stale: bool = False,
) -> str:
    return render_template(
        "console/changes/form.html",
        form=form,
        sections=sections,
        record=record,
        version=current_request().form.get(VERSION, version),
        newer_version=version,
        stale=stale,
        is_stale=is_stale,
        plan=plan,
    )


def _refused_form(
    sys_id: str, form: RecordForm, sections: Mapping[str, Sequence[FormField]], problem: ChangegateError
) -> ResponseReturnValue:
    record, version = _read(sys_id)
    if not isinstance(problem, VersionOutdated):
        take_refusal(form, problem, _table(), caller(), form_of_record(form.fields, record).values)
        return _form_page(form, sections, record=record, version=version), problem.status
    opened = current_request().form.get(VERSION, "")
    stale = history.differences_since(_table(), caller(), record, opened, form.values)
    return _form_page(form, sections, record=record, version=version, stale=stale, is_stale=True), 409


def _filled_sections(record: WireRecord) -> dict[str, list[str]]:
    """Return the fields that have a value by section; the head of the page shows some already."""
    sections = {
        title: [name for name in names if name in record and record[name]["value"] not in {"", "false"}]
        for title, names in SECTIONS.items()
    }
    return {title: [name for name in names if name not in IN_HEAD] for title, names in sections.items() if names}


def _record_page(sys_id: str, *, refusal: str = "", tab: str = "") -> str:
    table, who = _table(), caller()
    record, _ = _read(sys_id)
    change = _values(sys_id)
    shown = tab or current_request().args.get("tab", "")
    shown = shown if shown in TABS else "details"
    fields = {field.name: field for field in fields_of(table, who, is_new=False)}
    journals = {name: table.journal_fields[name] for name in table.journals_for(who.permissions)}
    provenance = [
        name for name in PROVENANCE if record[name]["value"] and not is_nameless(table.entries[name], record[name])
    ]
    return render_template(
        "console/changes/record.html",
        record=record,
        version=version_of(change["sys_mod_count"], change["sys_updated_on"]),
        ribbon=ribbon_of(change, {**fields, **journal_inputs(table)}),
        refusal=refusal,
        tabs=TABS,
        tab=shown,
        sections=_filled_sections(record),
        provenance=provenance,
        entries=table.entries,
        may_update=table.access.admits("update", who.permissions),
        may_create=table.access.admits("create", who.permissions),
        # Owners have no role, and read the names of their own integrations only.
        opens_integration="oauth_entity" in provenance or who.permissions.has_role(INTEGRATION_ADMINISTRATORS),
        related=related_lists_of(shown, sys_id, who),
        blocks=blocks_of_change(change, who) if change["approval"] == REQUESTED else (),
        files=files_of(sys_id, who) if shown == "files" else (),
        previewed=PREVIEWED,
        activity=list_activity(table, who, record) if shown == "activity" else (),
        journals=journals,
        record_url=record_url,
        list_url=list_url,
    )
