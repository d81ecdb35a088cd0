"""Access checks of the console's blueprints; each has exactly one of these functions as `before_request`."""

from flask import g, session
from flask.sessions import NullSession
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from changegate.console.carried_forms import answer_old_form, ask_to_sign_in, is_of_earlier_session
from changegate.database import count_for
from changegate.errors import AccessRefused
from changegate.extensions import SAFE_METHODS, csrf
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.users.accounts import caller_of
from changegate.services.users.roles import ADMIN
from changegate.unproxied import current_application, current_request

# The maximum size of a form from a user who is not signed in.
MOST_FORM_BYTES = 64 * 1024


def protect_forms() -> ResponseReturnValue | None:
    """Require a CSRF token for every write outside the APIs, which accept no session."""
    sent = current_request()
    if sent.method in SAFE_METHODS or isinstance(session, NullSession):
        return None
    if not current_user.is_authenticated:
        sent.max_content_length = MOST_FORM_BYTES
    if current_application().config["WTF_CSRF_ENABLED"]:
        try:
            csrf.protect()
        except CSRFError:
            if not is_of_earlier_session():
                raise
            return answer_old_form()
    return None


def allow_anyone() -> None:
    """Admit every caller: the page is public, or the view checks access itself."""


def require_login() -> ResponseReturnValue | None:
    """Admit signed-in users; send others to the login page and back afterward."""
    if current_user.is_authenticated:
        return None
    return ask_to_sign_in()


def require_integration_administrator() -> ResponseReturnValue | None:
    """Admit users who may manage integrations; raises `AccessRefused` for other signed-in users."""
    refusal = require_login()
    if refusal is None and not caller().permissions.has_role(INTEGRATION_ADMINISTRATORS):
        raise AccessRefused("You need the role oauth_admin, mi_admin, or admin to manage integrations.")
    return refusal


def require_administrator() -> ResponseReturnValue | None:
    """Admit administrators; raises `AccessRefused` for other signed-in users."""
    refusal = require_login()
    if refusal is None and not caller().permissions.has_role({ADMIN}):
        raise AccessRefused("You need the role admin for this page.")
    return refusal


def caller() -> Caller:
    """Return the signed-in caller; requires that the guard of the blueprint has run."""
    if "caller" not in g:
        g.caller = caller_of(current_user)
        count_for(g.caller.account)
    found: Caller = g.caller
    return found
