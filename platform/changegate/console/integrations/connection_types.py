"""The connection types as the page New Integration offers them.

See docs/reference/inbound-integrations.md#connection-types.
"""

from dataclasses import dataclass

from changegate.errors import RecordNotFound
from changegate.models.connection_type import TYPES, ConnectionType
from changegate.models.oauth_entity import CLIENT_CREDENTIALS, ID_TOKEN, JWT_BEARER, PASSWORD


@dataclass(frozen=True, slots=True)
class Offer:
    """A line of the page; without a connection it is not offered. `caution` is a word or two of warning."""

    label: str
    description: str
    connection: ConnectionType | None = None
    caution: str = ""

    @property
    def is_recommended(self) -> bool:
        """Return whether it is the one to choose where nothing speaks for another."""
        return self.connection is TYPES[JWT_BEARER]


def _offer(name: str, description: str, caution: str = "") -> Offer:
    return Offer(TYPES[name].label, description, TYPES[name], caution)


OFFERS = (
    Offer(
        "OAuth - Authorization code grant",
        "A user signs in to Changegate and allows an application to act for them.",
    ),
    _offer(
        CLIENT_CREDENTIALS,
        "An application authenticates with only a stored secret.",
        "Stored secret",
    ),
    _offer(
        JWT_BEARER,
        "Automation exchanges a JWT that its identity provider signed for an access token.",
    ),
    _offer(PASSWORD, "An application uses a user's password.", "Best avoided"),
    _offer(ID_TOKEN, "An identity provider's token is sent to the API itself, without an exchange."),
)


def get_connection(slug: str) -> ConnectionType:
    """Return a connection type by the last part of its form's path; raises `RecordNotFound`."""
    for one in TYPES.values():
        if one.slug == slug:
            return one
    raise RecordNotFound
