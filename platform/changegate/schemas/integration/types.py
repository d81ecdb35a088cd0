"""The schemas of the connection types, and their selection."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields

from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import (
    CLIENT_CREDENTIALS,
    ID_TOKEN,
    JWT_BEARER,
    PASSWORD,
    REPLAY_POLICIES,
    REUSABLE,
)
from changegate.schemas.integration.base import AccessTokenFields, IntegrationSchema, type_field
from changegate.schemas.integration.trust import TrustFields
from changegate.schemas.integration.values import choice, line, seconds, user

# Claims that are equal in all tokens of an issuer, or different in each, so they cannot identify a user.
NOT_A_USER = ("iss", "aud", "exp", "iat", "nbf", "jti", "typ")
LONGEST_REFRESH_SECONDS = 31_536_000


class JwtBearerSchema(TrustFields, AccessTokenFields, IntegrationSchema):
    """An *OAuth - JWT bearer grant* (docs/reference/inbound-integrations.md#fields)."""

    connection_type = JWT_BEARER

    type = type_field(JWT_BEARER)
    public_client = fields.Boolean(load_default=False)


class ClientCredentialsSchema(AccessTokenFields, IntegrationSchema):
    """An *OAuth - Client credentials grant*; `run_as` is its *OAuth Application User*.

    See docs/reference/inbound-integrations.md#connection-types.
    """

    connection_type = CLIENT_CREDENTIALS

    type = type_field(CLIENT_CREDENTIALS)
    run_as = user(required=True)


class PasswordSchema(AccessTokenFields, IntegrationSchema):
    """An *OAuth - Resource owner password credential grant*.

    See docs/reference/inbound-integrations.md#connection-types.
    """

    connection_type = PASSWORD

    type = type_field(PASSWORD)
    issue_refresh_tokens = fields.Boolean(load_default=False)
    refresh_token_lifespan_seconds = seconds(60, LONGEST_REFRESH_SECONDS, 8_640_000)


class IdTokenSchema(TrustFields, IntegrationSchema):
    """A *Third party ID token*, which is accepted for any number of calls unless JTI verification is on.

    See docs/reference/inbound-integrations.md#connection-types.
    """

    connection_type = ID_TOKEN

    type = type_field(ID_TOKEN)
    user_claim = line(100, load_default="sub", refused=NOT_A_USER, why="This claim does not identify a user.")
    require_email_verified = fields.Boolean(load_default=True)
    enable_jti_verification = fields.Boolean(load_default=False)
    replay_policy = choice(REPLAY_POLICIES, REUSABLE)


SCHEMAS: Mapping[str, IntegrationSchema] = MappingProxyType(
    {
        schema.connection_type: schema
        for schema in (ClientCredentialsSchema(), JwtBearerSchema(), PasswordSchema(), IdTokenSchema())
    }
)


def type_of(given: Mapping[str, Any]) -> str:
    """Return the connection type, JWT bearer by default; raises `ValidationError`.

    Capitals are accepted, and dashes instead of underscores: `client-credentials` is `client_credentials`.
    """
    said = given.get("type")
    if said is None or (isinstance(said, str) and not said.strip()):
        return JWT_BEARER
    name = said.strip().lower().replace("-", "_") if isinstance(said, str) else ""
    if name not in TYPES:
        raise ValidationError({"type": [f"Must be one of: {', '.join(TYPES)}."]})
    return name


def load_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an integration, validated by the schema of its type; raises `ValidationError`."""
    name = type_of(given)
    loaded: dict[str, Any] = SCHEMAS[name].load({**given, "type": name})
    return loaded
