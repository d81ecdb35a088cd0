"""The schemas of the connection types, and their selection."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, validate
from marshmallow.exceptions import SCHEMA

from changegate.models.connection_type import TYPES, ConnectionType
from changegate.models.integration_choices import JWT_BEARER
from changegate.schemas.integration.base import IntegrationSchema
from changegate.schemas.integration.trust import RULES, ProviderSchema
from changegate.schemas.integration.values import Rule, schema_field
from changegate.schemas.presets import find_pin_faults, is_pin_claim, refuse_new_mistakes


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


def load_fields(given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields of an integration, validated by the schema of its type; raises `ValidationError`.

    Mistakes that are `stored` already are accepted: an integration of an earlier release can be saved with other
    changes.
    """
    name = type_of(given)
    try:
        loaded: dict[str, Any] = SCHEMAS[name].load({**given, "type": name})
    except ValidationError as problem:
        valid = problem.valid_data if isinstance(problem.valid_data, Mapping) else {}
        messages = _joined(problem.messages_dict, _mistakes(name, valid, stored))
        raise ValidationError(_joined(messages, _missing_pins(name, given, valid, problem.messages_dict))) from None
    mistakes = _mistakes(name, loaded, stored)
    if mistakes:
        raise ValidationError({**mistakes})
    return loaded


def _mistakes(name: str, fields: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, list[str]]:
    return refuse_new_mistakes(fields, stored) if TYPES[name].has_provider else {}


def _missing_pins(
    name: str, given: Mapping[str, Any], fields: Mapping[str, Any], messages: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the messages about missing conditions, which the schema leaves out if a field is refused."""
    if not TYPES[name].has_provider or not isinstance(fields.get("issuer"), str):
        return {}
    in_rows = messages.get("claim_conditions")
    refused = in_rows if isinstance(in_rows, Mapping) else {}
    rows = [*(fields.get("claim_conditions") or [])]
    # The schema leaves out null rows, and keeps the valid fields of every other row that it refuses.
    for place in sorted(place for place in refused if given["claim_conditions"][place] is None):
        rows.insert(place, {})
    sound = [row for place, row in enumerate(rows) if place not in refused]
    faults = find_pin_faults(fields["issuer"], fields.get("preset"), sound, fields.get("audiences", ()))
    if any(SCHEMA in texts or is_pin_claim(fields["issuer"], rows[place]) for place, texts in refused.items()):
        # The required condition exists, and its errors are reported already.
        faults.pop("claim_conditions", None)
    return {field: texts for field, texts in faults.items() if field == "claim_conditions" or field not in messages}


def _joined(messages: Mapping[str, Any], others: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return all messages by field; beside those of list items, others have the key `SCHEMA`."""
    joined = {**others, **messages}
    for name, texts in others.items():
        if isinstance(messages.get(name), list):
            joined[name] = list(dict.fromkeys([*messages[name], *texts]))
        elif isinstance(messages.get(name), Mapping):
            joined[name] = {**messages[name], SCHEMA: texts}
    return joined
