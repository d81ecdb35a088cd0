"""Invitations: a new user with roles and a group, and the link with which they choose their password."""

from collections.abc import Sequence

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.people.roles import list_roles
from changegate.console.people.views import give_link
from changegate.console.records.pages import list_url
from changegate.console.records.record_form import FormField, RecordForm, fields_of, form_as_sent
from changegate.console.records.reference_choices import take_refusal
from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError, InputInvalid, OperationFailed
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.tables.reading.records import require_operation
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.tables.writing.written_rows import KEY_EXISTS
from changegate.services.users.account_links import INVITATION
from changegate.unproxied import current_request

FIELDS = ("first_name", "last_name", "user_name", "email", "title", "time_zone")
GROUP, ROLE = "group", "role"
bp = Blueprint("invitations", __name__, url_prefix="/people/invite")
bp.before_request(require_login)


@bp.before_request
def require_administrator() -> None:
    """Refuse callers who may not create users."""
    require_operation(get_table("sys_user"), caller().permissions, "create")


@bp.get("")
def form_view() -> str:
    """Show the form."""
    fields = _fields()
    return _page(RecordForm(fields, {each.name: "" for each in fields}), ())


@bp.post("")
def invite_view() -> ResponseReturnValue:
    """Create the user with their roles and group, and send the link or show it."""
    sent = current_request().form
    form, roles = form_as_sent(_fields(), sent), sent.getlist(ROLE)
    made = attempt(lambda: _create(form, roles))
    if isinstance(made, OperationFailed) and made.detail == KEY_EXISTS:
        made = InputInvalid({"user_name": ["There is a user with this user ID already."]})
    if isinstance(made, ChangegateError):
        take_refusal(form, made, get_table("sys_user_grmember"), caller(), {})
        return _page(form, roles), made.status
    return give_link(db.session.get_one(SysUser, made), INVITATION, is_sent="send" in sent)


@bp.post("/edit")
def edit_view() -> str:
    """Show the form as sent, without inviting anybody."""
    sent = current_request().form
    return _page(form_as_sent(_fields(), sent), sent.getlist(ROLE))


def _fields() -> list[FormField]:
    own = {each.name: each for each in fields_of(get_table("sys_user"), caller(), is_new=True)}
    entry = get_table("sys_user_grmember").entries[GROUP]
    return [*(own[name] for name in FIELDS), FormField(GROUP, "Group", "reference", entry)]


def _create(form: RecordForm, roles: Sequence[str]) -> str:
    """Create the records of an invited user by the rules of their tables, and return the user's sys_id."""
    values = {name: form.values[name] for name in FIELDS if form.values[name]}
    if not values.get("user_name"):
        raise InputInvalid({"user_name": ["Enter a user ID, such as maria.keller."]})
    user = str(create_record(get_table("sys_user"), caller(), values, input_display_value=True)["sys_id"])
    assigned = [("sys_user_has_role", ROLE, name) for name in roles]
    if form.values[GROUP]:
        assigned.append(("sys_user_grmember", GROUP, form.values[GROUP]))
    for table, field, name in assigned:
        create_record(get_table(table), caller(), {"user": user, field: name}, input_display_value=True)
    return user


def _page(form: RecordForm, roles: Sequence[str]) -> str:
    facts = {"roles": list_roles(), "chosen": roles, "list_url": list_url, "sends_mail": mail_is_configured()}
    return render_template("console/people/invite.html", form=form, **facts)
