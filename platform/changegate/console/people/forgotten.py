"""Forgotten passwords: a link by mail, with the same answer whether or not there is such a user."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.guards import allow_anyone
from changegate.database import commit
from changegate.errors import RecordNotFound
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.users.credentials import request_password
from changegate.unproxied import current_request

bp = Blueprint("forgotten_password", __name__, url_prefix="/forgotten-password")
bp.before_request(allow_anyone)


@bp.get("")
def ask_view() -> str:
    """Show the form for a forgotten password. Raises `RecordNotFound` without a mail server."""
    _require_mail()
    return render_template("console/people/forgotten.html", is_sent=False)


@bp.post("")
def send_view() -> ResponseReturnValue:
    """Have a link sent, and give the same answer whether or not there is such a user."""
    _require_mail()
    sent = current_request()
    request_password(sent.form.get("user_name", "").strip(), sent.remote_addr or "")
    commit()
    return render_template("console/people/forgotten.html", is_sent=True)


def _require_mail() -> None:
    if not mail_is_configured():
        raise RecordNotFound
