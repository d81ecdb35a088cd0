"""Field types of the integration schemas, with their error messages."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from changegate.schemas.one_line import CONTROL_CHARACTERS, is_one_line

LINES = validate.Regexp(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*\Z", error=CONTROL_CHARACTERS)


def line(length: int, *, refused: tuple[str, ...] = (), why: str = "", **options: Any) -> fields.String:
    """Return a field of one-line text; texts in `refused` get the message `why`."""
    size = validate.Length(max=length, error="At most {max} characters.")
    allowed = validate.NoneOf(refused, error=why)
    return fields.String(
        validate=[size, is_one_line, allowed], error_messages={"required": "This field is required."}, **options
    )


def user(**options: Any) -> fields.String:
    """Return a field of a user name."""
    return line(40, **options)


def choice(choices: Mapping[str, str], default: str) -> fields.String:
    """Return a field with a fixed set of values."""
    return fields.String(
        load_default=default,
        validate=validate.OneOf([*choices], error=f"Must be one of: {', '.join(choices)}."),
    )


class _WholeNumber(fields.Integer):
    """An integer, also as text; a fraction is refused, not truncated."""

    def _validated(self, value: Any) -> Any:
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


def seconds(least: int, most: int, default: int) -> fields.Integer:
    """Return a field of seconds, or of the unit in its name."""
    return _WholeNumber(
        load_default=default,
        strict=False,
        validate=validate.Range(least, most, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
    )


def most(limit: int) -> fields.Integer:
    """Return a field of a limit; None means no limit."""
    return _WholeNumber(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, limit, error="Give a whole number from {min} to {max}, or nothing for no limit."),
        error_messages={"invalid": "Give a whole number."},
    )
