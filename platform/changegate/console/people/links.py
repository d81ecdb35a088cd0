"""The pages that the links of accounts open: a new password, and the confirmation of an email."""

from types import SimpleNamespace

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.carried_forms import ask_to_sign_in
from changegate.console.guards import allow_anyone
from changegate.database import commit
from changegate.errors import InputInvalid
from changegate.models import AccountLink, SysUser
from changegate.services.users.account_links import EMAIL, INVITATION, PATH, read_link
from changegate.services.users.credentials import confirm_email, set_password_by_link
from changegate.unproxied import current_request

bp = Blueprint("account_links", __name__, url_prefix=PATH)
bp.before_request(allow_anyone)


@bp.after_request
def hide_path(response: Response) -> Response:
    """Let no request of the page name its path, which has the secret, as the referrer."""
    # Not no-referrer: over TLS, Flask-WTF's CSRF check compares the origin of the referrer with the host.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@bp.get("/<token>")
def link_view(token: str) -> ResponseReturnValue:
    """Show what the link does; opening it does nothing. Raises `LinkEnded`."""
    user, link = read_link(token, current_request().remote_addr or "")
    if link.purpose == EMAIL and not current_user.is_authenticated:
        return ask_to_sign_in()
    return _page(token, user, link, {})


@bp.post("/<token>")
def use_view(token: str) -> ResponseReturnValue:
    """Set the password, or confirm the email. Raises `LinkEnded`, also for the link of another user's email."""
    sent = current_request()
    address = sent.remote_addr or ""
    user, link = read_link(token, address)
    if link.purpose == EMAIL:
        if not current_user.is_authenticated:
            return ask_to_sign_in()
        try:
            flash(f"Your email is {confirm_email(token, current_user.sys_id, address)}.")
        except InputInvalid as problem:
            flash(" ".join(problem.fields["email"]), "danger")
        commit()
        return redirect(url_for("preferences.form_view"))
    password, repeated = (sent.form.get(name, "") for name in ("new_password", "repeated_password"))
    try:
        set_password_by_link(token, password, repeated, address)
    except InputInvalid as problem:
        return _page(token, user, link, problem.fields), problem.status
    commit()
    flash("Your password is set. Log in with it.")
    return redirect(url_for("sign_in.login_view"))


def _page(token: str, user: SysUser, link: AccountLink, errors: dict[str, list[str]]) -> str:
    blank = dict.fromkeys(("new_password", "repeated_password"), "")
    return render_template(
        "console/people/link.html",
        token=token,
        user=user,
        link=link,
        form=SimpleNamespace(values=blank, errors=errors, notices={}),
        is_invitation=link.purpose == INVITATION,
        is_email=link.purpose == EMAIL,
    )
