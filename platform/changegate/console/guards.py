"""Access checks of the console's blueprints; each has exactly one of these functions as `before_request`."""

from flask import g
from flask.sessions import NullSession
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from changegate.console.carried_forms import answer_old_form, ask_to_sign_in, is_of_earlier_session
from changegate.database import count_for
from changegate.errors import AccessRefused, RecordNotFound
from changegate.extensions import SAFE_METHODS, csrf
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.tables.queries.encoded_query import EncodedQuery, equal_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import caller_of
from changegate.services.users.roles import ADMIN
from changegate.unproxied import current_application, current_request, request_context

# The maximum size of a form from a user who is not signed in.
MOST_FORM_BYTES = 64 * 1024
# What owners of integrations open as well as administrators: lists of what is theirs, and pages about one of theirs.
LISTS_FOR_OWNERS = frozenset(
    {
        "inbound_integrations.list_view",
        "token_events.list_view",
        "manage_tokens.list_view",
        "manage_tokens.refresh_tokens_view",
    }
)
PAGES_FOR_OWNERS = frozenset(
    {
        "inbound_integrations.record_view",
        "inbound_integrations.by_sys_id_view",
        "inbound_integrations.run_view",
        "inbound_integrations.run_status_view",
        "integration_keys.list_view",
        "integration_tabs.events_view",
        "integration_tabs.history_view",
        "form_fragments.try_token_view",
        "token_events.record_view",
    }
)
# The table and the field that an argument of their paths identifies.
_NAMED_BY = {
    "client_id": ("oauth_entity", "client_id"),
    "sys_id": ("oauth_entity", "sys_id"),
    "correlation_id": ("oauth_exchange", "sys_id"),
}


def protect_forms() -> ResponseReturnValue | None:
    """Require a CSRF token for every write outside the APIs, which accept no session."""
    sent = current_request()
    if sent.method in SAFE_METHODS or isinstance(request_context().session, NullSession):
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
    """Admit users who may manage integrations, and owners to the pages that are for them too.

    Raises `AccessRefused` for other signed-in users, and `RecordNotFound` if a page for owners is not about what is
    theirs.
    """
    refusal = require_login()
    if refusal is None and not manages_integrations():
        _require_owner()
    return refusal


def require_administrator() -> ResponseReturnValue | None:
    """Admit administrators; raises `AccessRefused` for other signed-in users."""
    refusal = require_login()
    if refusal is None and not caller().permissions.has_role({ADMIN}):
        raise AccessRefused("You need the role admin for this page.")
    return refusal


def manages_integrations() -> bool:
    """Return whether the signed-in user may manage every integration."""
    return caller().permissions.has_role(INTEGRATION_ADMINISTRATORS)


def owns_integrations() -> bool:
    """Return whether the signed-in user owns an integration, also as a member of an owner group."""
    if "owns_integrations" not in g:
        g.owns_integrations = count_records(get_table("oauth_entity"), caller(), EncodedQuery(())) > 0
    return bool(g.owns_integrations)


def _require_owner() -> None:
    sent = current_request()
    arguments = [name for name in _NAMED_BY if name in (sent.view_args or {})]
    if sent.endpoint in PAGES_FOR_OWNERS and arguments:
        [name] = arguments
        table, field = _NAMED_BY[name]
        query = equal_query(field, (sent.view_args or {})[name])
        if not count_records(get_table(table), caller(), query):
            raise RecordNotFound
    elif sent.endpoint not in LISTS_FOR_OWNERS or not owns_integrations():
        raise AccessRefused("You need the role oauth_admin, mi_admin, or admin to manage integrations.")


def caller() -> Caller:
    """Return the signed-in caller; requires that the guard of the blueprint has run."""
    if "caller" not in g:
        g.caller = caller_of(current_user)
        count_for(g.caller.account)
    found: Caller = g.caller
    return found
