"""Token introspection (RFC 7662): whether a token is active and what it grants."""

from flask import Blueprint, Response

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import NO_STORE, correlation_id, json_response
from changegate.api.oauth_clients import name_client, prove_client, refuse
from changegate.api.token_form import read_credentials, read_reference
from changegate.oauth_errors import InvalidClient, InvalidRequest, OAuthError
from changegate.services.oauth.client_authentication import ClientCredentials
from changegate.services.oauth.clients import Client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.introspection import introspect
from changegate.unproxied import current_request

PATH = "/oauth/introspect"
bp = Blueprint("oauth_introspection", __name__)
bp.before_request(allow_anyone)


@bp.post(PATH, strict_slashes=True)
def introspection_view() -> Response:
    """Return the state of a token to an authenticated client; an invalid token is inactive, not an error."""
    attempt = Attempt(current_request().remote_addr, correlation_id())
    try:
        params = read_reference()
        client = _prove(attempt, read_credentials(params))
        if params.token is None:
            raise InvalidRequest("body_malformed", "token is missing")
    except OAuthError as refusal:
        return refuse(attempt, refusal)
    body = dict(introspect(params.token, client))
    return json_response(body, headers={**NO_STORE, "X-Request-Id": correlation_id()})


def _prove(attempt: Attempt, credentials: ClientCredentials) -> Client:
    name_client(attempt, credentials.client_id)
    if credentials.secret is None and credentials.assertion is None:
        # A public client may exchange an assertion, but not introspect (RFC 7662 §2.1).
        raise InvalidClient("client_unproven", "the client must authenticate to introspect tokens")
    return prove_client(credentials)
