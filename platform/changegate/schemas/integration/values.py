"""The kinds of values that the fields of an integration have, with the words they are refused in."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from changegate.schemas.one_line import CONTROL_CHARACTERS, is_one_line

LINES = validate.Regexp(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*\Z", error=CONTROL_CHARACTERS)


def line(length: int, *, refused: tuple[str, ...] = (), why: str = "", **options: Any) -> fields.String:
    """Return a text of one line; `why` is said of texts that are `refused`."""
    size = validate.Length(max=length, error="At most {max} characters.")
    allowed = validate.NoneOf(refused, error=why)
    return fields.String(
        validate=[size, is_one_line, allowed], error_messages={"required": "This field is required."}, **options
    )


def user(**options: Any) -> fields.String:
    """Return a user's name."""
    return line(40, **options)


def choice(choices: Mapping[str, str], default: str) -> fields.String:
    """Return one of some words."""
    return fields.String(
        load_default=default,
        validate=validate.OneOf([*choices], error=f"Must be one of: {', '.join(choices)}."),
    )


class _WholeNumber(fields.Integer):
    """A whole number, also as text; what has a fraction is refused and not cut."""

    def _validated(self, value: Any) -> Any:
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


def seconds(least: int, most: int, default: int) -> fields.Integer:
    """Return a number of seconds, or of another unit that its name says."""
    return _WholeNumber(
        load_default=default,
        strict=False,
        validate=validate.Range(least, most, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
    )


def most(limit: int) -> fields.Integer:
    """Return a limit; none is none at all."""
    return _WholeNumber(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, limit, error="Give a whole number from {min} to {max}, or nothing for no limit."),
        error_messages={"invalid": "Give a whole number."},
    )
