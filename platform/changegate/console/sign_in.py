"""Login and logout, and what keeps somebody signed in."""

import hashlib
import hmac
from datetime import timedelta

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from changegate.console.guards import allow_anyone, local_path
from changegate.errors import NotAuthenticated
from changegate.extensions import db, login, now
from changegate.models import SysUser
from changegate.services.users import authenticate_user

SESSION_LIFETIME = timedelta(hours=12)
REFUSAL = "The user name or password is not right, or the account may not sign in here."
bp = Blueprint("sign_in", __name__)
bp.before_request(allow_anyone)


@bp.get("/login")
def login_view() -> ResponseReturnValue:
    """Show the login form, or go on for somebody who is signed in already."""
    wanted = local_path(request.args.get("next"))
    if current_user.is_authenticated:
        return redirect(wanted or url_for("home.home_view"))
    return render_template("console/login.html", user_name="", next=wanted, refusal=None)


@bp.post("/login")
def sign_in_view() -> ResponseReturnValue:
    """Sign somebody in; raises `RateLimited` after too many wrong passwords."""
    user_name, wanted = request.form.get("user_name", "").strip(), local_path(request.form.get("next"))
    try:
        proven = authenticate_user(
            user_name, request.form.get("password", ""), request.remote_addr or "", is_interactive=True
        )
    except NotAuthenticated:
        return render_template("console/login.html", user_name=user_name, next=wanted, refusal=REFUSAL), 403
    _start_session(db.session.get_one(SysUser, proven.sys_id))
    return redirect(wanted or url_for("home.home_view"))


@bp.post("/logout")
def logout_view() -> ResponseReturnValue:
    """Forget who was signed in."""
    logout_user()
    session.clear()
    return redirect(url_for("sign_in.login_view"))


def load_user(sys_id: str) -> SysUser | None:
    """Return the user of a session that still holds: in time, able to act, with an unchanged password."""
    user = db.session.get(SysUser, sys_id)
    if user is None or not user.is_active or session.get("password_mark") != _password_mark(user):
        return None
    age = now().timestamp() - session.get("signed_in_at", 0)
    return user if 0 <= age < SESSION_LIFETIME.total_seconds() else None


login.user_loader(load_user)


def _start_session(user: SysUser) -> None:
    # Nothing that was planted before the login survives it, the CSRF token included.
    session.clear()
    login_user(user)
    session["signed_in_at"] = now().timestamp()
    session["password_mark"] = _password_mark(user)


def _password_mark(user: SysUser) -> str:
    """Return what changes with the password and tells nothing about it."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, (user.user_password or "").encode(), hashlib.sha256).hexdigest()[:32]
