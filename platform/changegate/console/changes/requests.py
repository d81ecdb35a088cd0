"""Request a change: the templates that the user is offered, the form of one, and the changes they have requested."""

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.changes.planning import check_order
from changegate.console.guards import caller, require_login
from changegate.console.records.pages import list_url
from changegate.console.records.record_form import FormField, RecordForm, changed_texts, form_as_sent, input_of
from changegate.console.records.reference_choices import name_references, take_refusal
from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError
from changegate.services.process.changes import changes_table
from changegate.services.process.requested_changes import OfferedChange, get_offer, list_offers, request_change
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.unproxied import current_request

MOST_SHOWN_CHANGES = 10
FIELDS = ("sys_id", "number", "short_description", "state", "start_date")
bp = Blueprint("change_offers", __name__, url_prefix="/request-a-change")
bp.before_request(require_login)


@bp.get("")
def list_view() -> str:
    """Show what the user is offered, and the latest changes that they have requested."""
    query = f"requested_by={caller().sys_id}"
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=FIELDS)
    latest = parse_encoded_query(f"{query}^ORDERBYDESCsys_created_on")
    return render_template(
        "console/changes/offers.html",
        offers=list_offers(caller()),
        page=read_page(changes_table(), caller(), latest, shape, limit=MOST_SHOWN_CHANGES, offset=0),
        all_url=list_url("change_request", sysparm_query=query),
    )


@bp.get("/<template_id>")
def form_view(template_id: str) -> str:
    """Show the form of a change from a template, with the values of the template."""
    offer = get_offer(template_id, caller())
    fields = _inputs(offer)
    form = RecordForm(fields, {each.name: offer.preset.get(each.name, "") for each in fields})
    name_references(form, caller())
    return _form_page(offer, form)


@bp.post("/<template_id>")
def create_view(template_id: str) -> ResponseReturnValue:
    """Create the change, or show the form with its errors."""
    offer = get_offer(template_id, caller())
    form = form_as_sent(_inputs(offer), current_request().form)
    texts = changed_texts(form, {})
    if not check_order(form, texts):
        return _form_page(offer, form), 400
    made = attempt(lambda: request_change(offer, texts, caller()), raised=())
    if isinstance(made, ChangegateError):
        take_refusal(form, made, changes_table(), caller(), {})
        return _form_page(offer, form), made.status
    flash(f"{made['number']} is requested.")
    return redirect(url_for("change_requests.record_view", sys_id=made["sys_id"]))


@bp.post("/<template_id>/edit")
def edit_view(template_id: str) -> str:
    """Show the form as sent, without saving it."""
    offer = get_offer(template_id, caller())
    return _form_page(offer, form_as_sent(_inputs(offer), current_request().form))


def _inputs(offer: OfferedChange) -> list[FormField]:
    table = changes_table()
    choosing = [name for name in offer.entered if table.entries[name].choices is not None]
    choices = find_choices(table.name, choosing, active_only=True)
    required = {"short_description", *offer.mandatory}
    inputs = (input_of(table, name, choices.get(name, {})) for name in offer.entered)
    return [replace(each, is_required=each.name in required) for each in inputs]


def _form_page(offer: OfferedChange, form: RecordForm) -> str:
    entries = changes_table().entries
    decided = {
        entries[name].label: (entries[name].choices or {}).get(text, text)
        for name, text in offer.preset.items()
        if name in offer.fixed and entries[name].kind != "reference"
    }
    return render_template("console/changes/request.html", offer=offer, form=form, decided=decided)
