"""The fields of an integration as its owners see them: as text, without keys and secrets."""

from changegate.models import OAuthEntity
from changegate.models.integration_field import Field, Kind
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.integration_fields import texts_of_entity


def list_facts(entity: OAuthEntity) -> list[tuple[str, str]]:
    """Return label and text of the fields that have a value."""
    texts = texts_of_entity(entity)
    fields = connection_type_of(entity).fields.values()
    facts = [("Client ID", entity.client_id), *((field.label, _shown(field, texts[field.name])) for field in fields)]
    return [(label, text) for label, text in facts if text]


def _shown(field: Field, text: str) -> str:
    if field.kind == Kind.SWITCH:
        return text.capitalize()
    return field.choices.get(text, text) if field.kind == Kind.CHOICE else text
