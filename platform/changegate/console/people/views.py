"""What administrators do with accounts: invite, deactivate, unlock, end sessions, and send a link for a password."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.records.saving import attempt
from changegate.console.stale_forms import was_seen
from changegate.database import commit
from changegate.errors import ChangegateError, RecordNotFound, VersionOutdated
from changegate.extensions import db, now
from changegate.models import SysUser
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.tables.change_history import note_act
from changegate.services.tables.reading.records import require_operation
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from changegate.services.users.account_links import INVITATION, LIFETIMES, RESET, create_link, mail_link
from changegate.services.users.sessions import sign_out
from changegate.unproxied import current_request

# What the buttons of a user's page write, and what they did.
STEPS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "deactivate": ({"active": "false"}, "{} is deactivated. Their sessions, tokens, and links have ended."),
    "activate": ({"active": "true"}, "{} is active."),
    "lock": ({"locked_out": "true"}, "{} is locked out. Their sessions, tokens, and links have ended."),
    "unlock": ({"locked_out": "false"}, "{} is unlocked."),
}
bp = Blueprint("people", __name__, url_prefix="/people")
bp.before_request(require_login)


@bp.post("/<sys_id>/step")
def step_view(sys_id: str) -> ResponseReturnValue:
    """Deactivate, activate, lock out, or unlock a user, by the rules of the table."""
    user = _get_user(sys_id)
    if (step := STEPS.get(current_request().form.get("step", ""))) is None:
        raise RecordNotFound
    fields, done = step
    refusal = attempt(lambda: update_record(get_table("sys_user"), caller(), sys_id, fields, condition=was_seen))
    if isinstance(refusal, VersionOutdated):
        flash("Nothing was done: the user has been changed since you opened the page. Look at it again.", "danger")
    elif isinstance(refusal, ChangegateError):
        flash(refusal.detail or refusal.message, "danger")
    else:
        flash(done.format(user.name))
    return redirect(_page_of(sys_id))


@bp.post("/<sys_id>/sign-out")
def sign_out_view(sys_id: str) -> ResponseReturnValue:
    """End every session of a user in the console."""
    user = _get_user(sys_id)
    sign_out(user, by=caller().user_name)
    commit()
    flash(f"The sessions of {user.name} have ended.")
    return redirect(_page_of(sys_id))


@bp.post("/<sys_id>/link")
def link_view(sys_id: str) -> ResponseReturnValue:
    """Make a link with which a user sets a password, and send it to their email, or show it once."""
    user = _get_user(sys_id)
    if not user.is_active:
        flash(f"{user.name} is inactive or locked out. Activate and unlock the account first.", "danger")
        return redirect(_page_of(sys_id))
    return give_link(user, RESET if user.user_password else INVITATION, is_sent="send" in current_request().form)


def give_link(user: SysUser, purpose: str, *, is_sent: bool) -> ResponseReturnValue:
    """Send a new link by mail, if the user has an email and there is a mail server; otherwise show it once."""
    is_sent = is_sent and bool(user.email) and mail_is_configured()
    # Who has the link sets the password: the audit trail names the administrator who had it made.
    note_act(user, {"password_link": ("", "Sent by mail" if is_sent else "Shown")}, by=caller().user_name)
    if is_sent and user.email:
        mail_link(user, purpose, user.email)
        commit()
        flash(f"A link was sent to {user.email}.")
        return redirect(_page_of(user.sys_id))
    url = create_link(user.sys_id, purpose)
    commit()
    facts = {"user": user, "url": url, "expires_at": now() + LIFETIMES[purpose], "is_invitation": purpose == INVITATION}
    return render_template("console/people/link_made.html", back=_page_of(user.sys_id), **facts)


def _get_user(sys_id: str) -> SysUser:
    """Return a user whom the caller may administer. Raises `AccessRefused` and `RecordNotFound`."""
    require_operation(get_table("sys_user"), caller().permissions, "update")
    user = db.session.get(SysUser, sys_id)
    if user is None:
        raise RecordNotFound
    return user


def _page_of(sys_id: str) -> str:
    return url_for("record_pages.record_view", table_name="sys_user", sys_id=sys_id)
