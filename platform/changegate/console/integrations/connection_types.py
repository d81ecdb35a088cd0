"""The connection types on the page New Integration.

See docs/reference/inbound-integrations.md#connection-types.
"""

from dataclasses import dataclass

from changegate.errors import RecordNotFound
from changegate.models.connection_type import TYPES, ConnectionType
from changegate.models.integration_choices import CLIENT_CREDENTIALS, ID_TOKEN, JWT_BEARER, PASSWORD


@dataclass(frozen=True, slots=True)
class Offer:
    """A row of the page; without a connection, the type is not supported. `caution` is a short warning."""

    label: str
    description: str
    connection: ConnectionType | None = None
    caution: str = ""

    @property
    def is_recommended(self) -> bool:
        """Return whether it is the recommended type."""
        return self.connection is TYPES[JWT_BEARER]


def _offer(name: str, description: str, caution: str = "") -> Offer:
    return Offer(TYPES[name].label, description, TYPES[name], caution)


# The recommended type first, and what is not supported last.
OFFERS = (
    _offer(
        JWT_BEARER,
        "Automation exchanges a JWT that its identity provider signed for an access token.",
    ),
    _offer(ID_TOKEN, "An identity provider's token is sent to the API itself, without an exchange."),
    _offer(
        CLIENT_CREDENTIALS,
        "An application authenticates with only a stored secret.",
        "Stored secret",
    ),
    _offer(PASSWORD, "An application uses a user's password.", "Best avoided"),
    Offer(
        "OAuth - Authorization code grant",
        "A user signs in to Changegate and allows an application to act for them.",
    ),
)


def get_connection(slug: str) -> ConnectionType:
    """Return the connection type with a slug; raises `RecordNotFound`."""
    for connection in TYPES.values():
        if connection.slug == slug:
            return connection
    raise RecordNotFound
