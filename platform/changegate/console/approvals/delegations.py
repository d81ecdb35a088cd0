"""Delegations: who answers approvals for the user and for whom the user answers; a new one, and the end of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.approvals.block import ApprovalBlock, get_block
from changegate.console.guards import caller, require_login
from changegate.console.local_times import local
from changegate.console.records.pages import list_url
from changegate.console.records.record_form import (
    FormField,
    RecordForm,
    changed_texts,
    fields_of,
    form_as_sent,
    form_of_defaults,
)
from changegate.console.records.reference_choices import take_refusal
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import was_seen
from changegate.errors import ChangegateError, RecordNotFound
from changegate.extensions import now
from changegate.models.base import version_of
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import get_row, read_page
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.values import INSTANT_FORMAT
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.roles import ADMIN
from changegate.unproxied import current_request

MOST_DELEGATIONS = 100
FIELDS = ("sys_id", "user", "delegate", "starts", "ends", "approval", "sys_mod_count", "sys_updated_on")
# The heading of each list, and the field that names the signed-in user.
LISTS: Mapping[str, str] = {"user": "Who answers for you", "delegate": "For whom you answer"}
bp = Blueprint("delegations", __name__, url_prefix="/delegations")
bp.before_request(require_login)


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation with the names of its people, whether it has begun, and the version that its form is sent with."""

    record: WireRecord
    is_active: bool
    version: str


@bp.get("")
def list_view() -> str:
    """Show the delegations from and to the user that have not ended."""
    return render_template(
        "console/approvals/delegations.html",
        lists={field: _list(field) for field in LISTS},
        headings=LISTS,
        all_url=list_url("sys_user_delegate") if ADMIN in caller().roles else None,
    )


@bp.get("/new")
def new_view() -> str:
    """Show the form of a new delegation: of all approvals, or of the one in `approval`."""
    sent = current_request().args
    form = form_of_defaults(_table(), _inputs(sent), sent)
    begun = _beginning(sent.get("approval", ""))
    form.values |= {name: text for name, text in begun.items() if form.values.get(name) == ""}
    return _form_page(form)


@bp.post("/new")
def create_view() -> ResponseReturnValue:
    """Create a delegation, or show the form with its errors."""
    form = form_as_sent(_inputs(current_request().form), current_request().form)
    made = attempt(lambda: create_record(_table(), caller(), changed_texts(form, {}), input_display_value=True))
    if isinstance(made, ChangegateError):
        take_refusal(form, made, _table(), caller(), {})
        return _form_page(form), made.status
    flash("Delegated.")
    return redirect(url_for("delegations.list_view"))


@bp.post("/new/edit")
def edit_new_view() -> str:
    """Show the form of a new delegation as sent, without saving it."""
    return _form_page(form_as_sent(_inputs(current_request().form), current_request().form))


@bp.post("/<sys_id>/end")
def end_view(sys_id: str) -> ResponseReturnValue:
    """End a delegation now; one that has not begun is deleted."""
    [starts] = get_row(_table(), caller(), sys_id, ("starts",))
    ends = now().replace(microsecond=0)
    sent = {"ends": f"{ends:{INSTANT_FORMAT}}"}
    refusal: object = (
        attempt(lambda: delete_record(_table(), caller(), sys_id, condition=was_seen))
        if starts >= ends
        else attempt(lambda: update_record(_table(), caller(), sys_id, sent, condition=was_seen))
    )
    if isinstance(refusal, ChangegateError):
        flash(refusal.sentence, "danger")
    else:
        flash("The delegation has ended.")
    return redirect(url_for("delegations.list_view"))


def _table() -> Table:
    return get_table("sys_user_delegate")


def _list(field: str) -> list[Delegation]:
    query = parse_encoded_query(f"{field}={caller().sys_id}^ends>{now():{INSTANT_FORMAT}}^ORDERBYstarts")
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=FIELDS)
    found = read_page(_table(), caller(), query, shape, limit=MOST_DELEGATIONS, offset=0)
    return [_delegation(record) for record in found.records]


def _delegation(record: WireRecord) -> Delegation:
    starts = datetime.fromisoformat(record["starts"]["value"]).replace(tzinfo=UTC)
    version = version_of(record["sys_mod_count"]["value"], record["sys_updated_on"]["value"])
    return Delegation(record, starts <= now(), version)


def _beginning(approval: str) -> dict[str, str]:
    """Return what a new form has: from now on, for a week, or for one approval as long as its answer is valid."""
    start = now().replace(microsecond=0)
    whole = {"user": current_user.user_name, "starts": _local(start)}
    if not approval:
        return {**whole, "ends": _local(start + timedelta(days=7))}
    [approver] = get_row(get_table("sysapproval_approver"), caller(), approval, ("approver",))
    [user_name] = get_row(get_table("sys_user"), caller(), approver, ("user_name",))
    return {**whole, "user": user_name}


def _local(at: datetime) -> str:
    return f"{local(at):%Y-%m-%d %H:%M:%S}"


def _inputs(sent: Mapping[str, str]) -> list[FormField]:
    """Return the inputs; users delegate for themselves, and administrators for every user.

    A delegation of one approval begins now and ends automatically.
    """
    left_out = {"approvals"} | (set() if ADMIN in caller().roles else {"user"})
    left_out |= {"starts", "ends"} if sent.get("approval") else set()
    return [field for field in fields_of(_table(), caller(), is_new=True) if field.name not in left_out]


def _form_page(form: RecordForm) -> str:
    return render_template("console/approvals/new_delegation.html", form=form, block=_handed_over(form))


def _handed_over(form: RecordForm) -> ApprovalBlock | None:
    try:
        return get_block(form.values["approval"], caller()) if form.values.get("approval") else None
    except RecordNotFound:
        return None
