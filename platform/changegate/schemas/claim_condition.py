"""The schema of claim conditions, for the form, the command line, files, and the admin API.

Values that cannot be compared exactly are refused. Forms and command lines send only text, so every value can also be
given as text, with list members one per line. A complete condition can also be a line of text (`claim_condition_text`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Never

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema

from changegate.models.claim_condition import LARGEST_NUMBER, MAX_CLAIM_LENGTH, MAX_JSON_DEPTH, OPERATORS, VALUE_TYPES
from changegate.printable import printable
from changegate.schemas.claim_condition_text import parse_condition_text
from changegate.schemas.one_line import CONTROL_CHARACTERS, is_one_line

MAX_VALUE_LENGTH = 1000
MAX_MEMBERS = 50
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")
_STEP = re.compile(r"(?:[^~]|~[01])+")

Reader = Callable[[Any], Any]


def _is_claim(claim: str) -> None:
    if not claim.startswith("/"):
        return
    steps = claim[1:].split("/")
    if "" in steps:
        raise ValidationError("Between two slashes of a JSON pointer is a name; a slash in a name is written ~1.")
    if not all(_STEP.fullmatch(step) for step in steps):
        raise ValidationError("In a JSON pointer, ~ is written ~0 and a slash in a name ~1.")
    if len(steps) > MAX_JSON_DEPTH:
        raise ValidationError(f"A JSON pointer has at most {MAX_JSON_DEPTH} steps.")


class ClaimConditionSchema(Schema):
    """A condition on one claim of the assertion (docs/reference/inbound-integrations.md#claim-validations).

    `claim` is a name or, if it begins with a slash, a JSON pointer (RFC 6901) into nested objects. `value` is loaded in
    the type of the comparison: string, number, boolean, list, or None for `exists`.
    """

    class Meta:
        """Refuse unknown fields: a misspelled `report_only` must not mean its default."""

        unknown = RAISE

    claim = fields.String(
        required=True,
        validate=[validate.Length(max=MAX_CLAIM_LENGTH, error="At most {max} characters."), is_one_line, _is_claim],
        error_messages={"required": "Name the claim."},
    )
    operator = fields.String(
        required=True,
        validate=validate.OneOf([*OPERATORS], error="Choose one of: {choices}."),
        error_messages={"required": f"Choose one of: {', '.join(OPERATORS)}."},
    )
    value_type = fields.String(
        load_default="string", validate=validate.OneOf([*VALUE_TYPES], error="Choose one of: {choices}.")
    )
    value = fields.Raw(load_default=None, allow_none=True)
    report_only = fields.Boolean(load_default=False)

    @pre_load
    def tidy(self, data: Any, **_kwargs: Any) -> Any:
        """Parse a condition given as a line, trim texts, and drop empty ones."""
        if isinstance(data, str):
            data = parse_condition_text(data)
        if not isinstance(data, Mapping):
            return data
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        return {name: value for name, value in trimmed.items() if value not in ("", None)}

    # Not skipped on errors: an error in one condition of a list would skip this check for all of them.
    @validates_schema(skip_on_field_errors=False)
    def require_comparable(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse a value that does not fit its type, and a type that does not fit the operator."""
        if {"operator", "value_type", "value"} <= data.keys():
            _read_comparison(data)

    @post_load
    def read_value(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Convert the value to the type of the comparison."""
        return data | _read_comparison(data)

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Add the claim to the messages: the index of the condition is lost where errors are shown by field."""
        messages: Any = error.messages
        if many:
            # A line that could not be parsed is not in the list.
            named = {place: _named(messages[place], data[place]) for place in messages if isinstance(place, int)}
            messages = messages | named
        else:
            messages = _named(messages, data)
        raise ValidationError(messages, data=data, valid_data=error.valid_data)


def _named(messages: Any, sent: Any) -> Any:
    claim = sent.get("claim") if isinstance(sent, Mapping) else sent
    if not isinstance(claim, str) or not claim.strip():
        return messages
    shown = printable(claim.strip(), 60)
    return {name: [f"Condition on {shown}: {text}" for text in texts] for name, texts in messages.items()}


def _read_comparison(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields `value_type` and `value` as they are stored."""
    operator, value_type, value = data["operator"], data["value_type"], data["value"]
    if operator == "exists":
        _require_nothing(value)
        return {"value_type": "string", "value": None}
    if operator == "contains" and value_type == "string":
        # String is the form's default type, but `contains` works on lists only.
        value_type = "list"
    reader = _READERS.get((operator, value_type))
    if reader is None:
        raise ValidationError(_TYPES_TAKEN[operator], "value_type")
    if value is None:
        raise ValidationError("Give the value that the claim is compared with.", "value")
    return {"value_type": value_type, "value": reader(value)}


def _refuse(sentence: str) -> Never:
    raise ValidationError(sentence, "value")


def _require_nothing(value: Any) -> None:
    if value is not None:
        _refuse("exists compares with nothing: leave the value empty, or choose equals.")


def _read_text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        _refuse("This is not a string: write it in quotes, or choose the type that the claim has.")
    if not isinstance(value, str):
        _refuse("Give a text.")
    text = value.strip()
    if len(text) > MAX_VALUE_LENGTH:
        _refuse(f"At most {MAX_VALUE_LENGTH} characters.")
    if not text.isprintable():
        _refuse(CONTROL_CHARACTERS)
    return text


def _read_pattern(value: Any) -> str:
    pattern = _read_text(value)
    if "**" in pattern:
        _refuse("** is not a wildcard: * stands for the characters of one segment, and segments end at : and at /.")
    return pattern


def _read_number(value: Any) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if set(value) & set(".eE") else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("Give a number, such as 42 or 1.5.")
    # NaN fails this comparison too.
    if not abs(value) <= LARGEST_NUMBER:
        _refuse(f"Numbers beyond {LARGEST_NUMBER} may lose precision in JSON parsers. Use a string.")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_boolean(value: Any) -> bool:
    text = value.strip().lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    _refuse("Give true or false.")


def _read_members(read: Reader) -> Reader:
    def read_all(value: Any) -> list[Any]:
        items = value.splitlines() if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            _refuse("Give a list, or one value a line.")
        filled = [item for item in items if not isinstance(item, str) or item.strip()]
        if not filled:
            _refuse("Give at least one value.")
        members = list(dict.fromkeys(read(item) for item in filled))
        if len(members) > MAX_MEMBERS:
            _refuse(f"At most {MAX_MEMBERS} values.")
        return members

    return read_all


_READERS: Mapping[tuple[str, str], Reader] = {
    ("equals", "string"): _read_text,
    ("equals", "number"): _read_number,
    ("equals", "boolean"): _read_boolean,
    ("equals", "list"): _read_members(_read_text),
    ("one_of", "string"): _read_members(_read_text),
    ("one_of", "number"): _read_members(_read_number),
    ("glob", "string"): _read_pattern,
    ("contains", "list"): _read_text,
}
_TYPES_TAKEN = {
    "one_of": "one_of compares strings or numbers. For a boolean use equals, for a list contains.",
    "glob": "A pattern matches text only: choose the type string, or compare with equals.",
    "contains": "contains looks for a text in a list: choose the type list.",
}
