"""Properties that follow from the connection type of an integration."""

from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES, ConnectionType


def connection_type_of(entity: OAuthEntity) -> ConnectionType:
    """Return the connection type of an integration."""
    return TYPES[entity.type]


def has_secret(entity: OAuthEntity) -> bool:
    """Return whether the client of an integration authenticates with a secret."""
    return connection_type_of(entity).has_secret and not entity.public_client


def require_provider(entity: OAuthEntity, what: str, field: str) -> None:
    """Raise `InputInvalid` unless an identity provider signs for the integration; `what` and `field` are reported."""
    if not connection_type_of(entity).has_provider:
        raise InputInvalid({field: [f"{connection_type_of(entity).noun} has no {what}."]})
