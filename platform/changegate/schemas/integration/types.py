"""The schemas of the connection types, and their selection."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, validate

from changegate.models.connection_type import TYPES, ConnectionType
from changegate.models.integration_choices import JWT_BEARER
from changegate.schemas.integration.base import IntegrationSchema
from changegate.schemas.integration.trust import RULES, ProviderSchema
from changegate.schemas.integration.values import Rule, schema_field


def _schema(connection: ConnectionType) -> IntegrationSchema:
    parent = ProviderSchema if connection.has_provider else IntegrationSchema
    members = {name: schema_field(field, _rules(name, connection)) for name, field in connection.fields.items()}
    made: type[Any] = parent.from_dict(members, name=f"Integration_{connection.name}")
    schema: IntegrationSchema = made(connection)
    return schema


def _rules(name: str, connection: ConnectionType) -> list[Rule]:
    if name == "type":
        return [validate.Equal(connection.name, error=f"Must be {connection.name} here.")]
    return [RULES[name]] if name in RULES else []


SCHEMAS: Mapping[str, IntegrationSchema] = MappingProxyType(
    {name: _schema(connection) for name, connection in TYPES.items()}
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
