"""Parsing of JSON objects in untrusted requests."""

import json
from math import isfinite
from typing import Never

from flask import request
from marshmallow import ValidationError

# Far more than claims need, and far less than the recursion limit of the JSON encoder.
MAX_DEPTH = 32


def read_json_object() -> dict[str, object]:
    """Return the request's JSON object; an empty body is an empty object.

    Raises ValidationError when the body is not JSON, not an object, nested deeper than 32 levels,
    or contains a number that JSON does not have (NaN, Infinity).
    """
    body = request.get_data()
    if not body:
        return {}
    # Browsers send this type across origins only after a preflight request, which this app does not answer.
    if request.mimetype != "application/json":
        raise _refusal("Must be sent as application/json.", "body")
    return parse_json_object(body, "body")


def read_form() -> dict[str, object]:
    """Return the fields of the page's form that are not empty, with `claims` and `lifetime_seconds` parsed."""
    values: dict[str, object] = {name: text.strip() for name, text in request.form.items() if text.strip()}
    if "claims" in values:
        values["claims"] = parse_json_object(str(values["claims"]).encode(), "claims")
    if str(values.get("lifetime_seconds", "")).isdecimal():
        values["lifetime_seconds"] = int(str(values["lifetime_seconds"])[:12])
    return values


def parse_json_object(text: bytes, name: str) -> dict[str, object]:
    """Return the JSON object in untrusted text; raises ValidationError for the field of that name."""
    document = _parse(text, name)
    if not isinstance(document, dict):
        raise _refusal("Must be a JSON object.", name)
    if not _is_within(document, MAX_DEPTH):
        raise _refusal("Is nested too deeply.", name)
    return document


def _parse(text: bytes, name: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_number, parse_float=_parse_float)
    except (ValueError, RecursionError):
        raise _refusal("Is not valid JSON.", name) from None


def _parse_float(text: str) -> float:
    # 1e999 is valid JSON, reads as infinity and could not be answered as JSON.
    number = float(text)
    return number if isfinite(number) else _refuse_number(text)


def _refuse_number(text: str) -> Never:
    raise ValueError(text)


def _is_within(value: object, levels: int) -> bool:
    members = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(members, list):
        return True
    return levels > 0 and all(_is_within(member, levels - 1) for member in members)


def _refusal(sentence: str, name: str) -> ValidationError:
    return ValidationError({name: [sentence]})
