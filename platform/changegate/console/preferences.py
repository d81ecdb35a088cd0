"""Preferences: the settings of the signed-in user."""

from types import SimpleNamespace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.guards import caller, require_login
from changegate.console.sign_in import is_current_session, renew_session
from changegate.database import commit
from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.access.time_zones import time_zone_names
from changegate.services.users.accounts import change_password, set_time_zone
from changegate.services.users.sessions import end_session_of, list_sessions
from changegate.unproxied import current_request

bp = Blueprint("preferences", __name__, url_prefix="/preferences")
bp.before_request(require_login)


@bp.get("")
def form_view() -> str:
    """Show the form."""
    return _page(current_user.time_zone or "", {})


@bp.post("")
def save_view() -> ResponseReturnValue:
    """Set the time zone of the signed-in user; an empty value means UTC."""
    name = current_request().form.get("time_zone", "").strip()
    try:
        set_time_zone(current_user, name)
    except InputInvalid as problem:
        return _page(name, problem.fields), 400
    commit()
    flash(f"Your time zone is {current_user.time_zone or 'UTC'}.")
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
        return _page(current_user.time_zone or "", {}, problem.fields), 400
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
    """Show the form as sent, without saving it."""
    return _page(current_request().form.get("time_zone", ""), {})


def _page(name: str, errors: dict[str, list[str]], password_errors: dict[str, list[str]] | None = None) -> str:
    form = SimpleNamespace(values={"time_zone": name}, errors=errors, notices={})
    blank = dict.fromkeys(("current_password", "new_password", "repeated_password"), "")
    password_form = SimpleNamespace(values=blank, errors=password_errors or {}, notices={})
    sessions = [(found, is_current_session(found)) for found in list_sessions(current_user.sys_id)]
    return render_template(
        "console/preferences.html",
        form=form,
        password_form=password_form,
        names=time_zone_names().values(),
        sessions=sessions,
    )
