"""Login, logout, and the sessions of signed-in users."""

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from changegate.console.carried_forms import carried_by_login, render_login, show_again
from changegate.console.guards import allow_anyone
from changegate.console.local_paths import local_path
from changegate.database import commit, rollback
from changegate.errors import NotAuthenticated, RateLimited
from changegate.extensions import db, login, now
from changegate.models import SysUser, SysUserSession
from changegate.models.oauth_exchange import new_correlation_id
from changegate.services.oauth.event_row import Attempt, RefusedCall
from changegate.services.oauth.events import record_refused_call
from changegate.services.single_sign_on.providers import find_provider
from changegate.services.single_sign_on.sign_in import sign_out_url
from changegate.services.users.accounts import authenticate_user
from changegate.services.users.sessions import (
    end_session,
    end_sessions,
    find_session_user,
    is_session_of,
    provider_of_session,
    start_session,
)
from changegate.unproxied import current_request

SESSION = "session_token"
REFUSAL = "The user name or password is wrong, or the account is not allowed to sign in."
bp = Blueprint("sign_in", __name__)
bp.before_request(allow_anyone)


@bp.get("/login")
def login_view() -> ResponseReturnValue:
    """Show the login form; redirect a user who is already signed in."""
    target = local_path(current_request().args.get("next"))
    if current_user.is_authenticated:
        return redirect(target or url_for("home.home_view"))
    return render_login(target, None)


@bp.post("/login")
def sign_in_view() -> ResponseReturnValue:
    """Sign a user in; raises `RateLimited` after too many wrong passwords."""
    sent = current_request()
    user_name, target = sent.form.get("user_name", "").strip(), local_path(sent.form.get("next"))
    carried = carried_by_login()
    try:
        proven = authenticate_user(
            user_name, sent.form.get("password", ""), sent.remote_addr or "", is_interactive=True
        )
    except RateLimited as refusal:
        write_login_event(refusal.reason)
        raise
    except NotAuthenticated as refusal:
        # The event is counted in another transaction, which on SQLite would wait for this one in vain.
        rollback()
        write_login_event(refusal.reason, refusal.user_name)
        return render_login(target, carried, user_name=user_name, refusal=REFUSAL)
    renew_session(db.session.get_one(SysUser, proven.sys_id))
    if carried is not None and (shown := show_again(carried)):
        return shown
    return redirect(target or url_for("home.home_view"))


@bp.post("/logout")
def logout_view() -> ResponseReturnValue:
    """End the session in the browser and on the server, so that a copy of its cookie stops working.

    A user who signed in with an identity provider goes on to its logout, if it has one.
    """
    provider = find_provider(provider_of_session(session.get(SESSION, "")) or "")
    # Before the session ends: the request may have to wait for the metadata of the provider, and then runs again.
    elsewhere = sign_out_url(provider) if provider else None
    _end_session()
    commit()
    if provider and elsewhere:
        return render_template("console/leaving.html", title="Logged out", name=provider.name, url=elsewhere)
    return redirect(url_for("sign_in.login_view"))


@bp.post("/logout/everywhere")
def logout_everywhere_view() -> ResponseReturnValue:
    """End every session of the signed-in user."""
    if current_user.is_authenticated:
        end_sessions(current_user.sys_id)
    _end_session()
    commit()
    return redirect(url_for("sign_in.login_view"))


def load_user(sys_id: str) -> SysUser | None:
    """Return the user of a session, or None if the session has ended or the user may no longer sign in."""
    user = find_session_user(session.get(SESSION, ""))
    is_stopped = user is None or user.sys_id != sys_id or not user.is_active or user.web_service_access_only
    return None if is_stopped else user


login.user_loader(load_user)


def write_login_event(reason: str, user_name: str | None = None, detail: str | None = None) -> str:
    """Write the event of a refused login, commit, and return its correlation ID."""
    at, http_request = now(), current_request()
    sent = f"{http_request.method} {http_request.path}"
    attempt = Attempt(http_request.remote_addr, new_correlation_id(at))
    record_refused_call(attempt, RefusedCall(sent, reason, detail, user_name=user_name), at)
    commit()
    return attempt.correlation_id


def is_current_session(found: SysUserSession) -> bool:
    """Return whether a session is that of the request."""
    return is_session_of(session.get(SESSION, ""), found)


def renew_session(user: SysUser, provider: str | None = None) -> None:
    """Begin a new session of a user, in place of the one of the request; `provider` is where they signed in."""
    # Clear everything from before the login, including the CSRF token, against session fixation.
    _end_session()
    login_user(user)
    session[SESSION] = start_session(user.sys_id, provider)
    commit()


def _end_session() -> None:
    if SESSION in session:
        end_session(session[SESSION])
    logout_user()
    session.clear()
