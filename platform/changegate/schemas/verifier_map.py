"""The schema of JWT verifier maps, for the form, the command line, files, and the admin API."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from changegate.printable import printable
from changegate.schemas.one_line import is_one_line
from changegate.schemas.pasted_keys import refuse_private_key, refuse_what_is_no_secret

MAX_CERTIFICATE_LENGTH = 20_000
MAX_SHARED_KEY_LENGTH = 1000
# The minimum number of different characters; a key with fewer was not generated randomly.
MIN_DIFFERENT_CHARACTERS = 8


def _is_a_secret(text: str) -> None:
    refuse_what_is_no_secret(text)
    is_one_line(text)
    if text != text.strip():
        raise ValidationError("There is white space around the key, which would be part of it. Remove it.")
    if len(set(text)) < MIN_DIFFERENT_CHARACTERS:
        raise ValidationError("A shared key is drawn at random; this one repeats a few characters.")


def _line(length: int, **options: Any) -> fields.String:
    return fields.String(
        validate=[validate.Length(max=length, error="At most {max} characters."), is_one_line], **options
    )


class VerifierMapSchema(Schema):
    """A key of an integration, which is a certificate or a shared key (docs/reference/inbound-integrations.md#keys).

    `certificate` is PEM, or DER in base64. `shared_key` is the key as UTF-8 text. If `shared_key` or `active` is not
    given, the value stored under the same name stays.
    """

    class Meta:
        """Refuse unknown fields: a misspelled `enforce_dates` must not mean its default."""

        unknown = RAISE

    name = _line(100, required=True, error_messages={"required": "Give the map a name."})
    kid = _line(256, load_default=None, allow_none=True)
    certificate = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=MAX_CERTIFICATE_LENGTH, error="At most {max} characters."), refuse_private_key],
    )
    shared_key = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=MAX_SHARED_KEY_LENGTH, error="At most {max} characters."), _is_a_secret],
    )
    enforce_dates = fields.Boolean(load_default=True)
    active = fields.Boolean(load_default=None, allow_none=True)

    @pre_load
    def tidy(self, data: Any, **_kwargs: Any) -> Any:
        """Trim texts and drop empty ones; a shared key is not trimmed."""
        if not isinstance(data, Mapping):
            return data
        trimmed = {name: _trimmed(name, value) for name, value in data.items()}
        return {name: value for name, value in trimmed.items() if value not in ("", None)}

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Add the name of the map to the messages: its index is lost where errors are shown by field."""
        name = data.get("name") if isinstance(data, Mapping) else None
        if not isinstance(name, str) or not name.strip() or not isinstance(error.messages, dict):
            return
        shown = printable(name.strip(), 60)
        messages = {
            field: [f"Map {shown}: {text}" for text in texts] if isinstance(texts, list) else texts
            for field, texts in error.messages.items()
        }
        raise ValidationError(messages, data=data, valid_data=error.valid_data)


def _trimmed(name: str, value: Any) -> Any:
    return value.strip() if isinstance(value, str) and name != "shared_key" else value
