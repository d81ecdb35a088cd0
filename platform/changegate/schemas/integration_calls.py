"""The request bodies of actions on an integration."""

from marshmallow import RAISE, Schema, fields, validate

MAX_OVERLAP_HOURS = 720
MAX_TRIED_LENGTH = 64 * 1024


class SecretRotationSchema(Schema):
    """How long the old client secret stays valid."""

    class Meta:
        """Refuse unknown fields: a misspelled overlap would cut clients off at once."""

        unknown = RAISE

    overlap_hours = fields.Integer(
        load_default=0,
        strict=True,
        validate=validate.Range(0, MAX_OVERLAP_HOURS, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
    )


class TrialRequestSchema(Schema):
    """An assertion for a dry run."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE

    assertion = fields.String(
        required=True,
        validate=validate.Length(min=1, max=MAX_TRIED_LENGTH, error="This is longer than any assertion, or empty."),
        error_messages={"required": "Send the assertion."},
    )
