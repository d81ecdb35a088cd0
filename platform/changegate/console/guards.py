"""Who may call a blueprint. Each one says it with exactly one of the functions below as `before_request`."""

from flask import current_app, g, request, session
from flask.sessions import NullSession
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from changegate.console.carried_forms import answer_old_form, ask_to_sign_in, is_of_earlier_session
from changegate.database import count_for
from changegate.errors import AccessRefused
from changegate.extensions import csrf
from changegate.services.access.caller import INTEGRATION_ADMINISTRATORS, Caller
from changegate.services.users.accounts import caller_of

# A caller who is not signed in may send a form of at most this size.
MOST_FORM_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def protect_forms() -> ResponseReturnValue | None:
    """Require a form's token of whatever writes where a browser's session counts: an API has none to be abused."""
    if request.method in SAFE_METHODS or isinstance(session, NullSession):
        return None
    if not current_user.is_authenticated:
        request.max_content_length = MOST_FORM_BYTES
    if current_app.config["WTF_CSRF_ENABLED"]:
        try:
            csrf.protect()
        except CSRFError:
            if not is_of_earlier_session():
                raise
            return answer_old_form()
    return None


def allow_anyone() -> None:
    """Admit everybody: there is nothing to hide, or the view itself decides."""


def require_login() -> ResponseReturnValue | None:
    """Admit who is signed in; send everybody else to the login page and back afterwards."""
    if current_user.is_authenticated:
        return None
    return ask_to_sign_in()


def require_integration_administrator() -> ResponseReturnValue | None:
    """Admit who may manage integrations; raises `AccessRefused` for others who are signed in."""
    refusal = require_login()
    if refusal is None and not caller().has_role(INTEGRATION_ADMINISTRATORS):
        raise AccessRefused("You need the role oauth_admin, mi_admin, or admin to manage integrations.")
    return refusal


def caller() -> Caller:
    """Return who is signed in; the blueprint's guard has run."""
    if "caller" not in g:
        g.caller = caller_of(current_user)
        count_for(g.caller.account)
    found: Caller = g.caller
    return found
