"""Grant types, and the integrations that may use them (RFC 6749 §5.2)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from changegate.extensions import settings
from changegate.models import integration_choices
from changegate.models.connection_type import REFRESH
from changegate.oauth_errors import InvalidClient, UnauthorizedClient
from changegate.services.assertions.report import RuleCheck
from changegate.services.oauth.clients import Client
from changegate.services.oauth.issuing import Exchange
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT

CLIENT_CREDENTIALS, PASSWORD = "client_credentials", "password"
REFRESH_TOKEN = REFRESH
# The connection type whose integrations may use a grant.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        JWT_BEARER_GRANT: integration_choices.JWT_BEARER,
        CLIENT_CREDENTIALS: integration_choices.CLIENT_CREDENTIALS,
        PASSWORD: integration_choices.PASSWORD,
        REFRESH_TOKEN: integration_choices.PASSWORD,
    }
)


def list_grant_types() -> list[str]:
    """Return the grant types that this instance serves."""
    return [
        name for name, of in TYPES.items() if of != integration_choices.PASSWORD or settings().password_grant_enabled
    ]


def require_grant(exchange: Exchange, grant_type: str) -> None:
    """Raise `UnauthorizedClient` for a client that may not use a grant, before anything else is checked.

    Grants without an assertion require an authenticated client: raises `InvalidClient` for a public client. The report
    of an allowed JWT bearer exchange has no entry for this rule, because its other rules show the grant.
    """
    client = exchange.client
    if grant_type == JWT_BEARER_GRANT and client.type == integration_choices.JWT_BEARER:
        return
    allowed = [*allowed_grants(client)]
    reason = None if grant_type in allowed else "grant_not_allowed"
    check = RuleCheck("grant allowed", reason, ", ".join(allowed) or "none", grant_type)
    exchange.require(check, UnauthorizedClient)
    unproven = "client_unproven" if client.is_public else None
    received = "a public one" if unproven else "one"
    exchange.require(RuleCheck("client", unproven, "a client with a secret", received), InvalidClient)


def allowed_grants(client: Client) -> Iterator[str]:
    """Yield the grants that a client may use now."""
    served = list_grant_types()
    for name, of in TYPES.items():
        is_on = name in served and (name != REFRESH_TOKEN or client.refresh_token_lifespan is not None)
        if of == client.type and is_on:
            yield name
