"""Preferences: the settings of the signed-in user."""

from types import SimpleNamespace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.guards import require_login
from changegate.database import commit
from changegate.errors import InputInvalid
from changegate.services.access.time_zones import time_zone_names
from changegate.services.users.accounts import set_time_zone
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


@bp.post("/edit")
def edit_view() -> str:
    """Show the form as sent, without saving it."""
    return _page(current_request().form.get("time_zone", ""), {})


def _page(name: str, errors: dict[str, list[str]]) -> str:
    form = SimpleNamespace(values={"time_zone": name}, errors=errors, notices={})
    return render_template("console/preferences.html", form=form, names=time_zone_names().values())
