"""The schema of searches for token events, for the command line and the admin API."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from changegate.errors import InputInvalid
from changegate.schemas.field_errors import field_errors
from changegate.schemas.one_line import is_one_line

OUTCOMES = ("accepted", "refused", "would_refuse")
DEFAULT_EVENTS = 50
MAX_EVENTS = 500


def _says(description: str) -> dict[str, str]:
    return {"description": description}


def _line(length: int, description: str) -> fields.String:
    size = validate.Length(max=length, error="At most {max} characters.")
    return fields.String(load_default=None, validate=[size, is_one_line], metadata=_says(description))


def _correlation_id(description: str, form: str = r"[0-9a-f]{32}\Z") -> fields.String:
    is_valid = validate.Regexp(form, error="Give the correlation ID of an event.")
    return fields.String(load_default=None, validate=is_valid, metadata=_says(description))


class TimestampField(fields.Field[datetime]):
    """A time in ISO 8601, in UTC by default; loaded as an aware datetime."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            time = datetime.fromisoformat(value)
            aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise ValidationError("Write a time as 2030-01-31T08:30.") from None
        if aware.timestamp() < 0:
            raise ValidationError("Give a time after 1970.")
        return aware


class EventQuerySchema(Schema):
    """Filters of the event log and a position in it; a missing filter matches every event."""

    class Meta:
        """Refuse unknown fields: a misspelled filter must not match every event."""

        unknown = RAISE

    client_id = _line(32, "The client ID of the integration.")
    outcome = fields.String(
        load_default=None,
        validate=validate.OneOf(OUTCOMES, error=f"Must be one of: {', '.join(OUTCOMES)}."),
        metadata=_says("The outcome; `would_refuse` is what report-only conditions would have refused."),
    )
    reason = _line(40, "The reason of a refusal, such as aud_mismatch.")
    text = _line(255, "Part of the subject, user name, address, request, issuer, kid, or client ID.")
    since = TimestampField(
        load_default=None,
        metadata=_says("Only events from this time on, such as 2030-01-31T08:30; UTC unless an offset is given."),
    )
    until = TimestampField(load_default=None, metadata=_says("Only events before this time."))
    limit = fields.Integer(
        load_default=DEFAULT_EVENTS,
        validate=validate.Range(1, MAX_EVENTS, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
        metadata=_says("Maximum number of events to show, newest first."),
    )
    before = _correlation_id("Continue with the events before this one, as the header Link does.")
    correlation_id = _correlation_id(
        "The correlation ID that the caller received, or at least its first ten digits.", r"[0-9a-fA-F]{10,32}\Z"
    )

    @pre_load
    def drop_empty(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop empty values."""
        return {name: value for name, value in data.items() if value not in ("", None)}


def load_event_query(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query; raises `InputInvalid`."""
    try:
        loaded: dict[str, Any] = EventQuerySchema().load(given)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return loaded
