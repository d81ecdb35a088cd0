"""The form of a change: new, as a copy, stored, as sent, with what speaks against its planned time, and refused."""

from collections.abc import Mapping, Sequence

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.changes.planning import (
    END,
    SLOT,
    START,
    PlanCheck,
    check_order,
    check_plan,
    keep_duration,
    take_slot,
)
from changegate.console.changes.reading import explain_missing, read_change, stored_values
from changegate.console.changes.sections import NOT_COPIED, fold, sections_of_form
from changegate.console.guards import caller, require_login
from changegate.console.records import history
from changegate.console.records.record_form import (
    FormField,
    RecordForm,
    changed_texts,
    form_as_sent,
    form_of_defaults,
    form_of_record,
)
from changegate.console.records.reference_choices import take_refusal
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import VERSION, was_seen
from changegate.errors import ChangegateError, RecordNotFound, RequestUnreadable, VersionOutdated
from changegate.services.process.changes import changes_table
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.reading.records import require_operation
from changegate.services.tables.writing.inputs import changed_values
from changegate.services.tables.writing.records import create_record, update_record
from changegate.unproxied import current_request

NAME = "short_description"
NAMELESS = "Enter a short description: lists, notifications, and approvals name the change by it."
TEMPLATES_ONLY = "Your roles do not allow you to create a change without a template."
bp = Blueprint("change_forms", __name__, url_prefix="/change-requests")
bp.before_request(require_login)
bp.register_error_handler(RecordNotFound, explain_missing)


@bp.get("/new")
def new_view() -> ResponseReturnValue:
    """Show the form of a new change: empty, with the fields of the URL, or a copy of the change in `copy`.

    Users who may not create one are sent to the templates that they are offered.
    """
    table, sent = changes_table(), current_request().args
    if not table.access.admits("create", caller().permissions):
        flash(TEMPLATES_ONLY, "warning")
        return redirect(url_for("change_offers.list_view"))
    sections = sections_of_form(table, caller(), is_new=True)
    fields = _inputs(sections)
    form = form_of_defaults(table, fields, sent)
    if sent.get("copy"):
        record, _ = read_change(sent["copy"])
        copied = form_of_record(fields, record).values
        form.values |= {name: text for name, text in copied.items() if name not in NOT_COPIED}
    return _form_page(form, sections)


@bp.post("/new")
def create_view() -> ResponseReturnValue:
    """Create a change, or show the form with its errors."""
    table = changes_table()
    require_operation(table, caller().permissions, "create")
    sections = sections_of_form(table, caller(), is_new=True)
    form = form_as_sent(_inputs(sections), current_request().form)
    texts = changed_texts(form, {})
    if not _check_fields(form, texts, {}):
        return _form_page(form, sections), 400
    record = attempt(lambda: create_record(table, caller(), texts, input_display_value=True))
    if isinstance(record, ChangegateError):
        take_refusal(form, record, table, caller(), {})
        return _form_page(form, sections), record.status
    flash(f"{record['number']} created.")
    return redirect(url_for("change_requests.record_view", sys_id=record["sys_id"]))


@bp.post("/new/edit")
def edit_new_view() -> str:
    """Show the form of a new change as sent, without saving it."""
    require_operation(changes_table(), caller().permissions, "create")
    sections = sections_of_form(changes_table(), caller(), is_new=True)
    return _form_page(form_as_sent(_inputs(sections), current_request().form), sections)


@bp.post("/new/plan")
def plan_new_view() -> str:
    """Show the form of a new change with what speaks against its planned time, and free times to choose from."""
    require_operation(changes_table(), caller().permissions, "create")
    sections = sections_of_form(changes_table(), caller(), is_new=True)
    form = _planned_form(sections)
    return _form_page(form, sections, plan=check_plan(changes_table(), caller(), form, {}, {}), is_check=True)


@bp.get("/<sys_id>/edit")
def edit_view(sys_id: str) -> str:
    """Show the form of a change."""
    record, version = read_change(sys_id)
    require_operation(changes_table(), caller().permissions, "update")
    sections = sections_of_form(changes_table(), caller(), is_new=False)
    form = form_of_record(_inputs(sections), record)
    is_planned = form.values.get(START) and form.values.get(END)
    plan = check_plan(changes_table(), caller(), form, stored_values(sys_id), form.values) if is_planned else None
    return _form_page(form, sections, record=record, version=version, plan=plan, is_check=True)


@bp.post("/<sys_id>/edit")
def update_view(sys_id: str) -> ResponseReturnValue:
    """Save the changed fields; a change that another user has changed meanwhile is shown with the differences."""
    record, version = read_change(sys_id)
    require_operation(changes_table(), caller().permissions, "update")
    sections = sections_of_form(changes_table(), caller(), is_new=False)
    form = form_as_sent(_inputs(sections), current_request().form)
    before = form_of_record(_inputs(sections), record).values
    changes = changed_texts(form, before)
    if not _check_fields(form, changes, before):
        return _form_page(form, sections, record=record, version=version), 400
    saved = attempt(
        lambda: update_record(changes_table(), caller(), sys_id, changes, input_display_value=True, condition=was_seen)
    )
    if isinstance(saved, ChangegateError):
        return _refused_form(sys_id, form, sections, saved)
    flash(f"{record['number']['value']} saved.")
    return redirect(url_for("change_requests.record_view", sys_id=sys_id))


@bp.post("/<sys_id>/form")
def as_sent_view(sys_id: str) -> str:
    """Show the form of a change as sent, without saving it."""
    record, version = read_change(sys_id)
    sections = sections_of_form(changes_table(), caller(), is_new=False)
    form = form_as_sent(_inputs(sections), current_request().form)
    return _form_page(form, sections, record=record, version=version)


@bp.post("/<sys_id>/plan")
def plan_view(sys_id: str) -> str:
    """Show the form of a change with what speaks against its planned time, and free times to choose from."""
    record, version = read_change(sys_id)
    require_operation(changes_table(), caller().permissions, "update")
    sections = sections_of_form(changes_table(), caller(), is_new=False)
    form, before = _planned_form(sections), form_of_record(_inputs(sections), record).values
    plan = check_plan(changes_table(), caller(), form, stored_values(sys_id), before)
    return _form_page(form, sections, record=record, version=version, plan=plan, is_check=True)


def _inputs(sections: Mapping[str, Sequence[FormField]]) -> list[FormField]:
    return [field for fields in sections.values() for field in fields]


def _check_fields(form: RecordForm, texts: Mapping[str, str], before: Mapping[str, str]) -> bool:
    """Return whether the change has a short description and a possible window; all errors are put at their fields.

    `before` has the texts of a stored change. One that the APIs have created without a short description can be edited.
    """
    is_named = bool(form.values.get(NAME)) or before.get(NAME) == ""
    if check_order(form, texts) and is_named:
        return True
    try:
        changed_values(changes_table(), caller(), texts, {}, by_display=True)
    except RequestUnreadable as problem:
        take_refusal(form, problem, changes_table(), caller(), before)
    if not is_named:
        form.errors[NAME] = [NAMELESS]
    return False


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
    is_check: bool = False,
) -> str:
    return render_template(
        "console/changes/form.html",
        form=form,
        sections=fold(sections, form, record),
        record=record,
        version=current_request().form.get(VERSION, version),
        newer_version=version,
        stale=stale,
        is_stale=is_stale,
        plan=plan,
        is_check=is_check,
    )


def _refused_form(
    sys_id: str, form: RecordForm, sections: Mapping[str, Sequence[FormField]], problem: ChangegateError
) -> ResponseReturnValue:
    record, version = read_change(sys_id)
    if not isinstance(problem, VersionOutdated):
        take_refusal(form, problem, changes_table(), caller(), form_of_record(form.fields, record).values)
        return _form_page(form, sections, record=record, version=version), problem.status
    opened = current_request().form.get(VERSION, "")
    stale = history.differences_since(changes_table(), caller(), record, opened, form.values)
    return _form_page(form, sections, record=record, version=version, stale=stale, is_stale=True), 409
