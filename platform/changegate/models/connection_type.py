"""Connection types, and the methods of requesting tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from changegate.models.integration_choices import CLIENT_CREDENTIALS, CONNECTION_TYPES, ID_TOKEN, JWT_BEARER, PASSWORD
from changegate.models.integration_field import Field
from changegate.models.integration_fields import FIELDS_OF


@dataclass(frozen=True, slots=True)
class ConnectionType:
    """A connection type; `noun` begins sentences about it.

    `has_provider` is True if an identity provider signs for it, so that it has an issuer, keys, and conditions.
    `has_secret` is True if its clients authenticate, unless they are public.
    """

    name: str
    noun: str
    short: str
    has_provider: bool = False
    has_secret: bool = True

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return the fields of its integrations by name, in the order of the list."""
        return FIELDS_OF[self.name]

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
            ConnectionType(CLIENT_CREDENTIALS, "A client credentials integration", "Client credentials"),
            ConnectionType(JWT_BEARER, "A JWT bearer integration", "JWT bearer", has_provider=True),
            ConnectionType(PASSWORD, "A password integration", "Password"),
            ConnectionType(ID_TOKEN, "An ID token integration", "ID token", has_provider=True, has_secret=False),
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
