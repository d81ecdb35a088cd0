"""JSON as a signature needs it: one text, one meaning, bounded work."""

import json
import re
from math import isinf
from typing import Never

MAX_INTEGER_DIGITS = 19  # every 64-bit number; beyond it only CPU is spent
MAX_CONTAINERS = 10_000  # a hundred keys need a few hundred; 90,000 empty lists fit into a document and take long
_BYTE_ORDER_MARK = "\ufeff"
# The closing quote is optional so that an unterminated string is consumed once, not once per quote in it.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RAW_CONTROL = re.compile("[\x7f-\x9f]")


def parse_json_strictly(data: bytes, *, max_depth: int) -> object:
    """Parse a JSON text (RFC 8259) that means the same to every reader.

    Refused beyond plain syntax errors: other encodings than UTF-8, a byte order mark, repeated member names
    at any level, NaN and infinities (also by overflow), integers over 19 digits, control characters and lone
    surrogates in strings, more than `max_depth` levels of nesting, and more than 10,000 objects and lists
    (counted by their brackets, wherever those are). Raises `ValueError` and nothing else.
    """
    text = _decode(data)
    _require_depth(text, max_depth)
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as problem:
        # The original keeps the whole text as an attribute, and that may be a token's.
        raise ValueError(f"not JSON: {problem.msg} at character {problem.pos}") from None
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
    # So few brackets cannot nest deeper; nearly every token ends here.
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


# Built once: json.loads() with hooks would build one per call.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant)
