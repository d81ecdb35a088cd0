"""Signing in with an identity provider: the way there, and the answer (docs/single-sign-on.md)."""

from flask import Blueprint, Response, flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from changegate.console.guards import allow_anyone
from changegate.console.local_paths import local_path
from changegate.console.sign_in import renew_session, write_login_event
from changegate.database import commit, rollback
from changegate.extensions import settings
from changegate.services.single_sign_on.attempts import ATTEMPT_LIFETIME
from changegate.services.single_sign_on.failures import SignOnFailed
from changegate.services.single_sign_on.providers import PATH
from changegate.services.single_sign_on.sign_in import begin, finish
from changegate.unproxied import current_request

COOKIE = "changegate_sign_on"
bp = Blueprint("single_sign_on", __name__, url_prefix=PATH)
bp.before_request(allow_anyone)


@bp.post("/<alias>")
def start_view(alias: str) -> ResponseReturnValue:
    """Go to a provider's page."""
    return leave_for(alias, local_path(current_request().form.get("next")))


@bp.get("/<alias>/callback")
def callback_view(alias: str) -> ResponseReturnValue:
    """Sign in the user that the provider's answer stands for.

    The only page that begins a session by GET, since the provider sends people back by a redirect. The state of the
    answer and the cookie are its protection against forgery.
    """
    sent = current_request()
    who = current_user.sys_id if current_user.is_authenticated else None
    try:
        provider, attempt, user = finish(
            alias, sent.args, sent.cookies.get(COOKIE, ""), address=sent.remote_addr or "", signed_in=who
        )
    except SignOnFailed as refusal:
        return refused_page(refusal)
    if attempt.user is not None:
        commit()
        flash(f"Your account at {provider.name} is linked. You can sign in with it from now on.")
        return _without_cookie(redirect(url_for("sign_on_links.list_view")))
    renew_session(user, provider.sys_id)
    return _without_cookie(redirect(attempt.target or url_for("home.home_view")))


def leave_for(alias: str, target: str | None, user: str | None = None) -> ResponseReturnValue:
    """Return the page that leads to a provider, with the cookie of the attempt; `user` links their account."""
    try:
        provider, attempt, url = begin(alias, address=current_request().remote_addr or "", target=target, user=user)
    except SignOnFailed as refusal:
        return refused_page(refusal)
    # Not a redirect: browsers apply the rule form-action of our pages to the redirects that answer a form, too.
    page = render_template("console/leaving.html", title=f"Log in with {provider.name}", name=provider.name, url=url)
    response = make_response(page)
    response.set_cookie(
        COOKIE,
        attempt.sealed(),
        max_age=ATTEMPT_LIFETIME,
        path=PATH,
        httponly=True,
        samesite="Lax",
        secure=settings().base_url.startswith("https:"),
    )
    return response


def refused_page(refusal: SignOnFailed) -> ResponseReturnValue:
    """Undo the request, write the event of a refused login, and return the page that says what to do."""
    rollback()
    correlation_id = write_login_event(refusal.reason, refusal.user_name, refusal.detail)
    page = render_template("console/sign_on_refused.html", advice=refusal.advice, correlation_id=correlation_id)
    return _without_cookie(make_response(page, refusal.status))


def _without_cookie(response: ResponseReturnValue) -> Response:
    answered = make_response(response)
    answered.delete_cookie(COOKIE, path=PATH)
    return answered
