"""What follows from the connection type of an integration."""

from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES, ConnectionType


def connection_type_of(entity: OAuthEntity) -> ConnectionType:
    """Return what the connection type of an integration comes to."""
    return TYPES[entity.type]


def has_secret(entity: OAuthEntity) -> bool:
    """Tell whether the clients of an integration prove themselves with a secret."""
    return connection_type_of(entity).has_secret and not entity.public_client


def require_provider(entity: OAuthEntity, what: str, field: str) -> None:
    """Refuse what only an integration has for which an identity provider signs; raises `InputInvalid`."""
    if not connection_type_of(entity).has_provider:
        raise InputInvalid({field: [f"{connection_type_of(entity).noun} has no {what}."]})
