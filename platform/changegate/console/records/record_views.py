"""The page of a record of any table: form, creation, deletion, history, and suggestions for its references."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.records import history
from changegate.console.records.extensions import extension_of
from changegate.console.records.form_parts import parts_of
from changegate.console.records.list_state import page_number
from changegate.console.records.pages import (
    OWN_PAGES,
    WRITTEN_AS,
    label_of_table,
    list_url,
    noun_of,
    plural_of,
    record_url,
)
from changegate.console.records.parts import Whole, list_part_tables, whole_of, whole_url
from changegate.console.records.people import STAMPS, People
from changegate.console.records.record_form import (
    RecordForm,
    changed_texts,
    fields_of,
    form_as_sent,
    form_of_defaults,
    form_of_record,
)
from changegate.console.records.reference_choices import name_references, suggest, take_refusal
from changegate.console.records.related_lists import list_related
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import VERSION, was_seen
from changegate.errors import ChangegateError, VersionOutdated
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import open_record, require_operation
from changegate.services.tables.registry import NOBODY, Table, find_table, get_table, lineage_of
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.unproxied import current_request

DETAILS, RELATED, HISTORY = "details", "related", "history"
bp = Blueprint("record_pages", __name__, url_prefix="/records")
bp.before_request(require_login)
SHOWN = Shape("", DisplayValue.ALL, exclude_reference_link=True)


@bp.get("/<table_name>/new")
def new_view(table_name: str) -> str:
    """Show the form of a new record: empty, with the fields of the URL, or a copy of the record in `copy`."""
    table, sent = get_table(table_name), current_request().args
    require_operation(table, caller().permissions, "create")
    fields = fields_of(table, caller(), is_new=True)
    form = form_of_defaults(table, fields, sent)
    name_references(form, caller())
    if sent.get("copy"):
        form = form_of_record(fields, _read(table, sent["copy"])[0])
    named = {name: {"value": sent[name], "display_value": text} for name, text in form.values.items() if name in sent}
    return _new_page(table, form, whole_of(table, named))


@bp.post("/<table_name>/new")
def create_view(table_name: str) -> ResponseReturnValue:
    """Create a record, or show the form with its errors."""
    table = get_table(table_name)
    form = form_as_sent(fields_of(table, caller(), is_new=True), current_request().form)
    record = attempt(lambda: create_record(table, caller(), changed_texts(form, {}), input_display_value=True))
    if isinstance(record, ChangegateError):
        take_refusal(form, record, table, caller(), {})
        return _new_page(table, form), record.status
    flash(f"{label_of_table(table)} created.")
    return redirect(whole_url(table, record) or record_url(table.name, record["sys_id"]) or list_url(table.name))


@bp.post("/<table_name>/new/edit")
def edit_new_view(table_name: str) -> str:
    """Show the form of a new record as sent, without saving it."""
    table = get_table(table_name)
    require_operation(table, caller().permissions, "create")
    return _new_page(table, form_as_sent(fields_of(table, caller(), is_new=True), current_request().form))


@bp.post("/<table_name>/<sys_id>/edit")
def edit_view(table_name: str, sys_id: str) -> str:
    """Show the form of a record as sent, without saving it."""
    table = get_table(table_name)
    record, version = _read(table, sys_id)
    form = form_as_sent(fields_of(table, caller(), is_new=False), current_request().form)
    return _record_page(table, record, version, form)


@bp.get("/<table_name>/<sys_id>")
def record_view(table_name: str, sys_id: str) -> ResponseReturnValue:
    """Show a tab of a record, on the page of its class; raises `RecordNotFound`."""
    table, sent = get_table(table_name), current_request().args
    if table_name in OWN_PAGES or table_name in WRITTEN_AS:
        return redirect(record_url(table_name, sys_id) or "")
    record, version = _read(table, sys_id)
    if (written := _written_table(table, record)) is not table:
        return redirect(record_url(written.name, sys_id) or "")
    form = form_of_record(fields_of(table, caller(), is_new=False), record)
    return _record_page(table, record, version, form, tab=sent.get("tab", DETAILS))


@bp.post("/<table_name>/<sys_id>")
def update_view(table_name: str, sys_id: str) -> ResponseReturnValue:
    """Save the changed fields; a record that another user has changed meanwhile is shown with the differences."""
    table, sent = get_table(table_name), current_request()
    record, _ = _read(table, sys_id)
    fields = fields_of(table, caller(), is_new=False)
    form = form_as_sent(fields, sent.form)
    changes = changed_texts(form, form_of_record(fields, record).values)
    saved = attempt(
        lambda: update_record(table, caller(), sys_id, changes, input_display_value=True, condition=was_seen)
    )
    if isinstance(saved, ChangegateError):
        return _refused_page(table, sys_id, form, saved)
    flash(f"{label_of_table(table)} saved.")
    return redirect(url_for("record_pages.record_view", table_name=table.name, sys_id=sys_id))


@bp.post("/<table_name>/<sys_id>/delete")
def delete_view(table_name: str, sys_id: str) -> ResponseReturnValue:
    """Delete a record in the version that the user has seen."""
    table = get_table(table_name)
    refusal = attempt(lambda: delete_record(table, caller(), sys_id, condition=was_seen))
    if refusal is not None:
        flash(refusal.detail or refusal.message, "danger")
        return redirect(url_for("record_pages.record_view", table_name=table.name, sys_id=sys_id))
    flash(f"{label_of_table(table)} deleted.")
    return redirect(list_url(table.name))


@bp.get("/<table_name>/suggestions")
def suggestions_view(table_name: str) -> Mapping[str, list[dict[str, str]]]:
    """Return the records whose names contain a text, for the inputs of references."""
    table, typed = get_table(table_name), current_request().args.get("q", "").strip()
    return {"suggestions": [{"value": each.text, "label": each.full_name} for each in suggest(table, caller(), typed)]}


def _read(table: Table, sys_id: str) -> tuple[WireRecord, str]:
    opened = open_record(table, caller(), sys_id, SHOWN)
    return opened.render(), opened.version


def _written_table(table: Table, record: WireRecord) -> Table:
    """Return the table by which a record is written: its own, that of its class, or one that it extends."""
    of_class = find_table(record["sys_class_name"]["value"]) if "sys_class_name" in record else None
    others = [each for each in (of_class, *lineage_of(table)) if each is not None]
    return next((each for each in (table, *others) if each.access.update is not NOBODY), table)


def _new_page(table: Table, form: RecordForm, whole: Whole | None = None) -> str:
    facts = {"table": table, "noun": noun_of(table), "plural": plural_of(table), "whole": whole}
    return render_template(
        "console/records/new.html", form=form, parts=parts_of(table, form), list_url=list_url, **facts
    )


def _refused_page(table: Table, sys_id: str, form: RecordForm, problem: ChangegateError) -> ResponseReturnValue:
    record, version = _read(table, sys_id)
    stale = []
    status = problem.status
    if isinstance(problem, VersionOutdated):
        opened = current_request().form.get(VERSION, "")
        stale = history.differences_since(table, caller(), record, opened, form.values)
        status = 409
    else:
        take_refusal(form, problem, table, caller(), form_of_record(form.fields, record).values)
    return _record_page(table, record, version, form, stale=stale, is_stale=status == 409), status


def _record_page(
    table: Table,
    record: WireRecord,
    version: str,
    form: RecordForm,
    *,
    stale: list[history.FieldDifference] | None = None,
    is_stale: bool = False,
    tab: str = DETAILS,
) -> str:
    sys_id, who = record["sys_id"]["value"], caller()
    permissions = who.permissions
    tabs = {DETAILS: "Details", RELATED: "Related lists"}
    if history.has_history(table, who):
        tabs[HISTORY] = "History"
    tab = tab if tab in tabs else DETAILS
    extension, facts = extension_of(table.name), _facts_of_tab(tab, table, record)
    saves = facts[HISTORY].saves if HISTORY in facts else ()
    return render_template(
        extension.template,
        **extension.facts(who, record),
        **facts,
        people=People(who, (*(record[name]["value"] for name in STAMPS), *(save.user for save in saves))),
        tabs=tabs,
        tab=tab,
        whole=whole_of(table, record),
        table=table,
        label=label_of_table(table),
        plural=plural_of(table),
        record=record,
        # A form that is shown again keeps the version that it was opened on.
        version=current_request().form.get(VERSION, version),
        newer_version=version,
        name=record[table.display_field]["display_value"] or sys_id,
        form=form,
        parts=parts_of(table, form),
        stale=stale,
        is_stale=is_stale,
        may_update=table.access.admits("update", permissions),
        may_create=table.access.admits("create", permissions),
        may_delete=table.access.admits("delete", permissions),
        list_url=list_url,
        record_url=record_url,
    )


def _facts_of_tab(tab: str, table: Table, record: WireRecord) -> Mapping[str, Any]:
    sys_id = record["sys_id"]["value"]
    if tab == HISTORY:
        before = page_number(current_request().args.get("before", "")) or None
        return {"history": history.list_history(table, caller(), record, before)}
    if tab == RELATED:
        return {"related": list_related(table, sys_id, caller())}
    return {"part_tables": list_part_tables(table, sys_id, caller())}
