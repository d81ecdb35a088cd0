"""Preferences: the settings of the signed-in user."""

from collections.abc import Mapping
from types import SimpleNamespace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.guards import caller, require_login
from changegate.console.local_times import DATE_FORMAT, DATE_FORMATS, ISO, date_format_choices
from changegate.console.records.record_form import FormField, RecordForm
from changegate.console.records.saving import attempt
from changegate.console.sign_in import is_current_session, renew_session
from changegate.console.stale_forms import was_seen
from changegate.database import commit
from changegate.errors import ChangegateError, InputInvalid, RecordNotFound, VersionOutdated
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.access.time_zones import time_zone_names
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.tables.registry import get_table
from changegate.services.tables.versions import VersionCheck
from changegate.services.users.credentials import change_password, request_email
from changegate.services.users.preferences import find_preference, set_preference
from changegate.services.users.profile import FIELDS as PROFILE
from changegate.services.users.profile import save_profile
from changegate.services.users.sessions import end_session_of, list_sessions
from changegate.unproxied import current_request

bp = Blueprint("preferences", __name__, url_prefix="/preferences")
bp.before_request(require_login)


@bp.get("")
def form_view() -> str:
    """Show the forms."""
    return _page()


@bp.post("")
def save_view() -> ResponseReturnValue:
    """Save the name and the time zone of the signed-in user."""
    form = _sent_profile()
    refusal = attempt(lambda: _save(form.values, condition=was_seen))
    if isinstance(refusal, VersionOutdated):
        refusal = InputInvalid({"form": ["Your profile has been changed since you opened the page. Save again."]})
    if isinstance(refusal, ChangegateError):
        form.take_error(refusal)
        return _page(form), refusal.status
    db.session.refresh(current_user)
    flash(f"Your profile is saved. Your time zone is {current_user.time_zone or 'UTC'}.")
    return redirect(url_for("preferences.form_view"))


@bp.post("/email")
def email_view() -> ResponseReturnValue:
    """Have a link sent to a new email; the old one stays until the link is used."""
    sent = current_request()
    email, password = sent.form.get("email", "").strip(), sent.form.get("email_password", "")
    if not mail_is_configured():
        raise RecordNotFound
    try:
        request_email(db.session.get_one(SysUser, caller().sys_id), email, password, sent.remote_addr or "")
    except InputInvalid as problem:
        return _page(email=email, errors=problem.fields), problem.status
    commit()
    flash(f"A link was sent to {email}. Open it while you are logged in to confirm the email.")
    return redirect(url_for("preferences.form_view"))


@bp.post("/password")
def password_view() -> ResponseReturnValue:
    """Change the password of the signed-in user, and end their other sessions."""
    sent = current_request()
    current, password = (sent.form.get(name, "") for name in ("current_password", "new_password"))
    try:
        if password != sent.form.get("repeated_password"):
            raise InputInvalid({"repeated_password": ["The passwords differ."]})
        # Not `current_user`, which stands for nobody between two sessions.
        user = db.session.get_one(SysUser, caller().sys_id)
        change_password(user, current, password, sent.remote_addr or "")
    except InputInvalid as problem:
        return _page(errors=problem.fields), 400
    renew_session(user)
    flash("Your password is changed. All other sessions have ended.")
    return redirect(url_for("preferences.form_view"))


@bp.post("/sessions/<token_hash>/end")
def end_session_view(token_hash: str) -> ResponseReturnValue:
    """End one session of the signed-in user."""
    end_session_of(current_user.sys_id, token_hash)
    commit()
    flash("The session has ended.")
    return redirect(url_for("preferences.form_view"))


@bp.post("/edit")
def edit_view() -> str:
    """Show the profile as sent, without saving it."""
    return _page(_sent_profile())


def _save(values: Mapping[str, str], condition: VersionCheck) -> None:
    """Save the profile and the date format."""
    if values[DATE_FORMAT] not in DATE_FORMATS:
        raise InputInvalid({DATE_FORMAT: ["Choose one of the formats."]})
    save_profile(caller(), values, condition=condition)
    set_preference(caller(), DATE_FORMAT, values[DATE_FORMAT])


def _sent_profile() -> RecordForm:
    sent = current_request().form
    return RecordForm(_profile_fields(), {name: sent.get(name, "").strip() for name in (*PROFILE, DATE_FORMAT)})


def _profile_fields() -> list[FormField]:
    entries = get_table("sys_user").entries
    return [
        FormField(name, entries[name].label, "string", entries[name], is_required=name == "name") for name in PROFILE
    ]


def _page(
    profile: RecordForm | None = None, *, email: str | None = None, errors: Mapping[str, list[str]] | None = None
) -> str:
    """Return the page with its forms; `errors` are those of the forms for the password and the email."""
    stored = {name: getattr(current_user, name) or "" for name in PROFILE}
    stored[DATE_FORMAT] = find_preference(current_user.sys_id, DATE_FORMAT) or ISO
    typed = dict.fromkeys(("current_password", "new_password", "repeated_password", "email_password"), "")
    typed["email"] = (current_user.email or "") if email is None else email
    return render_template(
        "console/preferences.html",
        form=profile or RecordForm(_profile_fields(), stored),
        other_form=SimpleNamespace(values=typed, errors=errors or {}, notices={}),
        names=time_zone_names().values(),
        date_formats=date_format_choices(),
        sends_mail=mail_is_configured(),
        sessions=[(found, is_current_session(found)) for found in list_sessions(current_user.sys_id)],
    )
