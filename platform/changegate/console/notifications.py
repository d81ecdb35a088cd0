"""The notifications of the signed-in user, and the channels of each kind."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.guards import caller, require_login
from changegate.console.records.pages import record_url
from changegate.database import commit
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.notifications.inbox import count_unread, list_notifications, mark_read
from changegate.services.notifications.kinds import CHANNELS, KINDS
from changegate.services.notifications.settings import channels_of, choose_channels
from changegate.unproxied import current_request

NOTIFICATIONS_AT_ONCE = 50
bp = Blueprint("notifications", __name__)
bp.before_request(require_login)


@bp.get("/notifications")
def list_view() -> str:
    """Show the notifications, newest first, or those older than the one `before`."""
    before = current_request().args.get("before", "")
    # One more, which shows whether there are older ones.
    found = list_notifications(caller(), limit=NOTIFICATIONS_AT_ONCE + 1, before=before if before.isalnum() else "")
    shown = found[:NOTIFICATIONS_AT_ONCE]
    return render_template(
        "console/notifications.html",
        entries=[(each, record_url(each.table, each.record) if each.title else None) for each in shown],
        unread=count_unread(caller().sys_id),
        older=shown[-1].sys_id if len(found) > len(shown) else None,
        is_first=not before,
    )


@bp.post("/notifications/<sys_id>/read")
def read_view(sys_id: str) -> ResponseReturnValue:
    """Mark one notification as read; those of other users stay as they are."""
    if sys_id.isalnum():
        mark_read(caller().sys_id, sys_id)
        commit()
    return redirect(url_for("notifications.list_view"))


@bp.post("/notifications/read")
def read_all_view() -> ResponseReturnValue:
    """Mark all notifications as read."""
    mark_read(caller().sys_id)
    commit()
    return redirect(url_for("notifications.list_view"))


@bp.get("/preferences/notifications")
def settings_view() -> str:
    """Show the channels of each kind."""
    return render_template(
        "console/notification_settings.html",
        kinds=KINDS,
        channels=CHANNELS,
        chosen=channels_of(caller().sys_id),
        has_server=mail_is_configured(),
        has_address=bool(current_user.email),
    )


@bp.post("/preferences/notifications")
def save_settings_view() -> ResponseReturnValue:
    """Store the channels of each kind."""
    sent = current_request().form
    choose_channels(caller(), {kind: sent.getlist(kind) for kind in KINDS})
    commit()
    flash("Your notifications are saved.")
    return redirect(url_for("notifications.settings_view"))
