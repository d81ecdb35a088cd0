"""The schema field of each kind of integration field, with its error messages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import fields, validate

from changegate.models.integration_field import LIST_KINDS, Field, Kind
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.one_line import CONTROL_CHARACTERS, is_one_line
from changegate.schemas.verifier_map import VerifierMapSchema

LINES = validate.Regexp(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*\Z", error=CONTROL_CHARACTERS)
Rule = Callable[[Any], Any]


class _WholeNumber(fields.Integer):
    """An integer, also as text; a fraction is refused, not truncated."""

    def _validated(self, value: Any) -> Any:
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


def schema_field(field: Field, rules: Iterable[Rule] = ()) -> fields.Field[Any]:
    """Return the schema field of an integration's field; `rules` are those that do not follow from the list."""
    messages = {"required": "This field is required.", **_INVALID.get(field.kind, {})}
    options: dict[str, Any] = {"validate": [*_rules(field), *rules], "error_messages": messages}
    if field.kind in LIST_KINDS:
        return fields.List(_member(field), load_default=lambda: field.blank, **options)
    options |= {"required": True} if field.is_required else {"load_default": field.default}
    return _TYPES.get(field.kind, fields.String)(**options)


def _rules(field: Field) -> list[Rule]:
    match field.kind:
        case Kind.LINE | Kind.USER | Kind.GROUP:
            return _line(field.length)
        case Kind.TEXT:
            return [_length(field.length), LINES]
        case Kind.KEY_SET:
            return [_length(field.length)]
        case Kind.CHOICE:
            return [validate.OneOf([*field.choices], error=f"Must be one of: {', '.join(field.choices)}.")]
        case Kind.NUMBER:
            alternative = ", or nothing for no limit" if field.default is None else ""
            error = f"Give a whole number from {{min}} to {{max}}{alternative}."
            return [validate.Range(field.least, field.most, error=error)]
        case _ if field.most:
            return [validate.Length(max=field.most, error=f"At most {{max}} {field.label.split()[-1]}.")]
        case _:
            return []


def _member(field: Field) -> fields.Field[Any]:
    match field.kind:
        case Kind.CONDITIONS:
            return fields.Nested(ClaimConditionSchema)
        case Kind.VERIFIER_MAPS:
            return fields.Nested(VerifierMapSchema)
        case _:
            rules = [validate.OneOf([*field.choices])] if field.choices else _line(field.length)
            return fields.String(validate=rules)


def _line(length: int) -> list[Rule]:
    return [_length(length), is_one_line]


def _length(most: int) -> validate.Length:
    return validate.Length(max=most, error="At most {max} characters.")


_TYPES: Mapping[Kind, type[fields.Field[Any]]] = {
    Kind.SWITCH: fields.Boolean,
    Kind.NUMBER: _WholeNumber,
    Kind.DATE: fields.Date,
}
_INVALID = {
    Kind.NUMBER: {"invalid": "Give a whole number."},
    Kind.DATE: {"invalid": "Give a date as YYYY-MM-DD."},
}
