"""The parameters of the windows of changes (docs/schedules.md#windows)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from changegate.errors import InputInvalid
from changegate.models.cmn_schedule import EARLIEST, LATEST, WINDOW_HOURS
from changegate.schemas.event_query import TimestampField
from changegate.schemas.field_errors import field_errors
from changegate.schemas.one_line import is_one_line
from changegate.schemas.table_query import parse_parameters

MOST_WINDOW_HOURS = 24 * 92
_LINE = (validate.Length(max=255, error="At most {max} characters."), is_one_line)


@dataclass(frozen=True, slots=True)
class WindowsParameters:
    """The parameters of windows; without `start`, they begin now."""

    ci: str
    environment: str
    start: datetime | None
    length: timedelta


class WindowsQuerySchema(Schema):
    """The parameters of windows. The descriptions are part of the OpenAPI document."""

    class Meta:
        """Refuse unknown parameters: a misspelled one would show the windows of something else."""

        unknown = RAISE

    ci = fields.String(
        load_default="", validate=_LINE, metadata={"description": "A configuration item, by sys_id or name."}
    )
    environment = fields.String(
        load_default="",
        validate=_LINE,
        metadata={"description": "An environment; without one, freezes of all environments are shown."},
    )
    start = TimestampField(
        data_key="from",
        load_default=None,
        metadata={
            "description": "The beginning, such as 2030-01-31T08:30; UTC unless an offset is given. Default: now."
        },
    )
    hours = fields.Integer(
        load_default=WINDOW_HOURS,
        validate=validate.Range(1, MOST_WINDOW_HOURS, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
        metadata={"description": "The length."},
    )

    @post_load
    def complete(self, data: dict[str, Any], **_kwargs: Any) -> WindowsParameters:
        """Refuse times for which no schedule is evaluated."""
        start = data["start"]
        if start is not None and not EARLIEST <= start <= LATEST - timedelta(hours=MOST_WINDOW_HOURS):
            raise ValidationError(f"Give a year from {EARLIEST.year} to {LATEST.year - 1}.", "from")
        return WindowsParameters(data["ci"], data["environment"], start, timedelta(hours=data["hours"]))


_schema = WindowsQuerySchema()


def load_windows_parameters(query_string: bytes) -> WindowsParameters:
    """Return the parameters of windows. Raises `InputInvalid`."""
    # An empty parameter is the same as none.
    sent = {name: value for name, value in parse_parameters(query_string).items() if value}
    try:
        loaded: WindowsParameters = _schema.load(sent)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return loaded
