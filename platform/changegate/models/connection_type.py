"""Connection types, each with the fields that its integrations have."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from changegate.models.integration_choices import CLIENT_CREDENTIALS, CONNECTION_TYPES, ID_TOKEN, JWT_BEARER, PASSWORD

_TRUST = (
    *("preset", "issuer", "audiences", "audience_claim", "allow_additional_audiences"),
    *("key_source", "jwks_url", "jwks", "verifier_maps", "allow_missing_kid", "algorithms", "required_typ"),
    *("claim_conditions", "replay_policy", "enable_jti_verification", "jti_claim", "max_assertion_lifetime_seconds"),
    *("clock_skew_seconds", "jwks_cache_lifespan_minutes"),
)
_REACH = ("scopes", "scope_restriction", "enforce_token_restriction")
_TOKENS = ("token_format", "access_token_lifespan_seconds")
_CARE = ("active", "creations_per_hour", "creations_per_day", "owner", "review_date", "comments")


@dataclass(frozen=True, slots=True)
class ConnectionType:
    """A connection type: `noun` begins sentences about it; `fields` are those of its schema, in the order of the form.

    `has_provider` is True if an identity provider signs for it, so that it has an issuer, keys, and conditions.
    `has_secret` is True if its clients authenticate, unless they are public.
    """

    name: str
    noun: str
    short: str
    fields: tuple[str, ...]
    has_provider: bool = False
    has_secret: bool = True

    @property
    def label(self) -> str:
        """Return ServiceNow's name of the type."""
        return CONNECTION_TYPES[self.name]

    @property
    def slug(self) -> str:
        """Return its name in paths and options."""
        return self.name.replace("_", "-")


TYPES: Mapping[str, ConnectionType] = MappingProxyType(
    {
        connection.name: connection
        for connection in (
            ConnectionType(
                CLIENT_CREDENTIALS,
                "A client credentials integration",
                "Client credentials",
                ("name", "type", "provider_name", "run_as", *_REACH, *_TOKENS, *_CARE),
            ),
            ConnectionType(
                JWT_BEARER,
                "A JWT bearer integration",
                "JWT bearer",
                (
                    *("name", "type", "provider_name", *_TRUST, "run_as", "user_field"),
                    *(*_REACH, *_TOKENS, "public_client", *_CARE),
                ),
                has_provider=True,
            ),
            ConnectionType(
                PASSWORD,
                "A password integration",
                "Password",
                (
                    *("name", "type", "provider_name", *_REACH, *_TOKENS),
                    *("issue_refresh_tokens", "refresh_token_lifespan_seconds", *_CARE),
                ),
            ),
            ConnectionType(
                ID_TOKEN,
                "An ID token integration",
                "ID token",
                (
                    *("name", "type", "provider_name", *_TRUST, "user_claim", "require_email_verified"),
                    *("run_as", "user_field", *_REACH, *_CARE),
                ),
                has_provider=True,
                has_secret=False,
            ),
        )
    }
)

# Methods of requesting tokens: a connection type or the refresh grant, with its client authentication. A client without
# a secret signs (private_key_jwt) or is public; with an ID token, there is no client authentication.
REFRESH = "refresh_token"
SECRET, PRIVATE_KEY_JWT, PUBLIC = "secret", "private_key_jwt", "public"
AUTHENTICATION_METHODS: tuple[tuple[str, str | None], ...] = (
    (JWT_BEARER, SECRET),
    (JWT_BEARER, PRIVATE_KEY_JWT),
    (JWT_BEARER, PUBLIC),
    (CLIENT_CREDENTIALS, SECRET),
    (PASSWORD, SECRET),
    (REFRESH, SECRET),
    (ID_TOKEN, None),
)
