"""Access checks of blueprints; each blueprint has exactly one of these functions as `before_request`."""

from flask import g

from changegate.api.id_tokens import find_id_token_caller
from changegate.database import count_for
from changegate.errors import AccessRefused, NotAuthenticated, ScopeMissing, TokenRefused
from changegate.models.auth_scope import REST_APIS
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.access.scope_policy import ApiCall
from changegate.services.oauth.access_tokens import find_token_caller, is_foreign
from changegate.services.tables.registry import find_table
from changegate.services.tables.visibility import knows_integrations
from changegate.services.users.accounts import authenticate_user
from changegate.unproxied import current_request


def allow_anyone() -> None:
    """Admit every caller: the view authenticates them itself, or is public."""


def require_caller() -> None:
    """Authenticate by Basic (user) or Bearer (access token or third-party ID token), never by a browser session.

    Raises `NotAuthenticated`, and `RateLimited` after too many wrong passwords or ID tokens.
    """
    sent = current_request()
    if sent.method == "OPTIONS":
        return
    credentials = sent.authorization
    if credentials is None:
        raise NotAuthenticated
    if credentials.type == "bearer" and credentials.token:
        g.caller = _bearer_caller(credentials.token)
    elif credentials.type == "basic":
        user_name, password = (credentials.parameters.get(name) or "" for name in ("username", "password"))
        g.caller = authenticate_user(user_name, password, sent.remote_addr or "")
    else:
        raise NotAuthenticated
    count_for(g.caller.account)


def _bearer_caller(token: str) -> Caller:
    """Return the caller of a token. The format of the token selects the verifier; there is no fallback."""
    if is_foreign(token):
        return find_id_token_caller(token)
    found = find_token_caller(token)
    if found is None:
        raise TokenRefused
    return found


def require_integration_administrator() -> None:
    """Admit users with Basic who may manage integrations.

    Access tokens are refused: the holder of a token from one integration must not be able to create another. Raises
    `NotAuthenticated`, `RateLimited`, and `AccessRefused`.
    """
    require_caller()
    if current_request().method == "OPTIONS":
        return
    if caller().grant is not None:
        raise AccessRefused(
            "Operation Failed", "Access tokens cannot manage integrations; use a user's name and password"
        )
    caller().permissions.require_role(INTEGRATION_ADMINISTRATORS, "You need the role oauth_admin, mi_admin, or admin")


def caller() -> Caller:
    """Return the caller; requires that `require_caller` of the blueprint has run."""
    found: Caller = g.caller
    return found


def api_call(rest_api: str, table: str) -> ApiCall:
    """Return the request in the form that scope rules match."""
    sent = current_request()
    method = "GET" if sent.method == "HEAD" else sent.method
    # A path without a version means the newest one (docs/reference/table-api.md#paths-and-methods).
    version = "v1" if sent.path.startswith("/api/now/v1/") else REST_APIS[rest_api].versions[-1]
    return ApiCall(rest_api, method, table, version)


def require_scope(rest_api: str, table: str) -> Caller:
    """Return the caller, limited to what the token's scopes allow; raises `ScopeMissing` if they allow nothing."""
    who = caller()
    if who.grant is None:
        return who
    call = api_call(rest_api, table)
    who = who.require_scope(call)
    if who.permissions.only_own_records:
        served = find_table(table)
        if served is None or not knows_integrations(served):
            raise ScopeMissing(call)  # records of this table have no integration that could own them
    g.caller = who
    return who
