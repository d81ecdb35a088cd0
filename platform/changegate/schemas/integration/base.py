"""The schema of integrations of every connection type, and the refusal of fields that a type does not have."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load

from changegate.models.connection_type import ConnectionType
from changegate.models.integration_field import Kind
from changegate.models.integration_fields import FIELDS

UNKNOWN = "Unknown field."


class IntegrationSchema(Schema):
    """The fields of every integration; names and defaults follow ServiceNow's forms.

    See docs/reference/inbound-integrations.md#fields.

    Users are user names, and `scopes` are names.
    """

    class Meta:
        """Refuse unknown fields: a misspelled option must not mean its default."""

        unknown = RAISE

    def __init__(self, connection: ConnectionType) -> None:
        super().__init__()
        self.connection = connection

    @pre_load
    def tidy(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Trim texts, drop empty ones, and drop empty fields of other types."""
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        given = {name: value for name, value in trimmed.items() if value not in ("", None)}
        given = {name: value for name, value in given.items() if not (self.is_foreign(name) and _says_no(value))}
        if isinstance(given.get("token_format"), str):
            given["token_format"] = given["token_format"].lower()
        return self.completed(given)

    def completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the fields with derived ones."""
        return given

    @post_load
    def tidy_lists(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop repeated and empty items."""
        for name, field in self.connection.fields.items():
            if field.kind in (Kind.LINES, Kind.NAMES):
                data[name] = [item for item in dict.fromkeys(item.strip() for item in data[name]) if item]
        return data

    def is_foreign(self, name: str) -> bool:
        """Return whether a field exists only in other connection types."""
        return name in FIELDS and name not in self.fields

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Replace "Unknown field." for fields of other connection types by a message that names this type."""
        if not isinstance(error.messages, dict):
            return
        messages = {name: self._said(name, texts) for name, texts in error.messages.items()}
        raise ValidationError(messages, data=data, valid_data=error.valid_data)

    def _said(self, name: str, texts: Any) -> Any:
        if texts != [UNKNOWN] or not self.is_foreign(name):
            return texts
        return [f"{self.connection.noun} {FIELDS[name].lack}."]


def _says_no(value: Any) -> bool:
    """Return whether a value means that a thing is absent."""
    if isinstance(value, str):
        return value in fields.Boolean.falsy
    return value is False or value == []
