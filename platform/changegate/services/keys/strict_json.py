"""A strict JSON parser for signed data: each text has one meaning, and parsing takes bounded time."""

import json
import re
from math import isinf
from typing import Never

MAX_INTEGER_DIGITS = 19  # Enough for every 64-bit integer.
MAX_CONTAINERS = 10_000  # A hundred keys need a few hundred; a document could hold 90,000 empty lists.
_BYTE_ORDER_MARK = "\ufeff"
# The closing quote is optional so that an unterminated string is consumed once, not once per quote in it.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RAW_CONTROL = re.compile("[\x7f-\x9f]")


def parse_json_strictly(data: bytes, *, max_depth: int) -> object:
    """Parse a JSON text (RFC 8259) that every parser understands in the same way.

    Apart from syntax errors, it refuses encodings other than UTF-8, a byte order mark, repeated member names at any
    level, NaN and infinities (also by overflow), integers of more than 19 digits, control characters and lone
    surrogates in strings, more than `max_depth` levels of nesting, and more than 10,000 objects and lists (opening
    brackets within strings are counted too). Raises only `ValueError`.
    """
    text = _decode(data)
    _require_depth(text, max_depth)
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as problem:
        # `from None`, because a JSONDecodeError holds the whole text, which may be a token.
        raise ValueError(f"not JSON: {problem.msg.removesuffix(' at')} at character {problem.pos}") from None
    # Only an escape can hide a control character from a search of the raw text: the costly check is for escapes alone.
    if "\\" in text:
        _require_clean_strings(value)
    elif _RAW_CONTROL.search(text):
        raise ValueError("a string holds a control character")
    return value


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if text.startswith(_BYTE_ORDER_MARK):
        raise ValueError("begins with a byte order mark")
    return text


def _require_depth(text: str, max_depth: int) -> None:
    brackets = text.count("{") + text.count("[")
    # So few brackets cannot nest deeper than allowed; the check of nearly every token ends here.
    if brackets <= max_depth:
        return
    if brackets > MAX_CONTAINERS:
        raise ValueError(f"more than {MAX_CONTAINERS} objects and lists")
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first in "[{":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"nested deeper than {max_depth} levels")
        elif first in "]}":
            depth -= 1


def _require_clean_strings(value: object) -> None:
    if isinstance(value, str):
        if _FORBIDDEN.search(value):
            raise ValueError("a string holds a control character or half a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _require_clean_strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _require_clean_strings(name)
            _require_clean_strings(item)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name is repeated")
    return members


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ValueError(f"a whole number has more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


# Built once, because json.loads() with hooks builds a decoder at each call.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant)
