"""Comparisons of a claim with the value of a condition: strict about types, and never raising, whatever the claim."""

import json
from collections.abc import Callable, Mapping
from functools import partial

from changegate.models.claim_condition import LARGEST_NUMBER
from changegate.services.assertions.segment_glob import compile_glob

MISSING = object()  # stands for a missing claim

Test = Callable[[object], bool]


def compile_comparison(operator: object, value_type: object, value: object) -> tuple[str, Test]:
    """Return the expectation in words, and the test of a claim.

    Raises `KeyError`, `TypeError`, or `ValueError` for an invalid comparison. The value type of `exists` is `any`.
    """
    return _COMPARISONS[operator, value_type](value)


def has_type(value: object, value_type: object) -> bool:
    """Return whether a claim has the type that a comparison requires; every claim has the value type `any`."""
    types = _TYPES.get(value_type)
    return types is None or type(value) in types


def describe(value: object) -> str:
    """Return a claim's value and type in words, for the report."""
    if value is MISSING:
        return "absent"
    if isinstance(value, str):
        return f"the string {value}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value, ensure_ascii=False, default=str)
    kind = _KINDS.get(type(value))
    return f"the {kind} {text}" if kind else text


_TYPES: Mapping[object, frozenset[type]] = {
    "string": frozenset({str}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "list": frozenset({list}),
}
_KINDS = {bool: "boolean", int: "number", float: "number", list: "list"}


def _equals_text(expected: object) -> tuple[str, Test]:
    return _require_text(expected), partial(_is_same, expected)


def _equals_number(expected: object) -> tuple[str, Test]:
    return describe(_require_number(expected)), partial(_is_same, expected)


def _equals_boolean(expected: object) -> tuple[str, Test]:
    if not isinstance(expected, bool):
        raise ValueError("not a boolean")
    return describe(expected), partial(_is_same, expected)


def _is_same(expected: object, value: object) -> bool:
    # The types are compared too: True equals 1 in Python, and a parser may have read 0.99999999999999999999 as 1.0.
    return type(value) is type(expected) and value == expected


def _equals_list(expected: object) -> tuple[str, Test]:
    # The order and repetitions of members have no meaning. Their types are checked before the set is built, because a
    # list or an object cannot be a member of a set and would raise.
    members = frozenset(_require_text(member) for member in _require_list(expected))

    def has_the_same(value: object) -> bool:
        return isinstance(value, list) and all(type(member) is str for member in value) and members == frozenset(value)

    return f"a list of exactly {_joined(expected)}", has_the_same


def _one_of_texts(expected: object) -> tuple[str, Test]:
    texts = frozenset(_require_text(member) for member in _require_list(expected))
    # The type is checked first: `in` raises TypeError for a list or an object.
    return f"one of {_joined(expected)}", lambda value: type(value) is str and value in texts


def _one_of_numbers(expected: object) -> tuple[str, Test]:
    numbers = [_require_number(member) for member in _require_list(expected)]
    return f"one of the numbers {_joined(expected)}", lambda value: any(_is_same(number, value) for number in numbers)


def _glob(expected: object) -> tuple[str, Test]:
    pattern = _require_text(expected)
    matches = compile_glob(pattern)
    return f"like {pattern}", lambda value: type(value) is str and matches(value)


def _contains(expected: object) -> tuple[str, Test]:
    member = _require_text(expected)
    return f"a list with {member}", lambda value: isinstance(value, list) and member in value


def _exists(expected: object) -> tuple[str, Test]:
    if expected is not None:
        raise ValueError("nothing to compare with")
    # Some providers write null for a claim that has no value.
    return "present", lambda value: value is not MISSING and value is not None


_COMPARISONS: Mapping[tuple[object, object], Callable[[object], tuple[str, Test]]] = {
    ("equals", "string"): _equals_text,
    ("equals", "number"): _equals_number,
    ("equals", "boolean"): _equals_boolean,
    ("equals", "list"): _equals_list,
    ("one_of", "string"): _one_of_texts,
    ("one_of", "number"): _one_of_numbers,
    ("glob", "string"): _glob,
    ("contains", "list"): _contains,
    ("exists", "any"): _exists,
}


def _require_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _require_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    # `not <=` also refuses NaN. Integral floats are refused, because conditions store them as integers.
    if not abs(value) <= LARGEST_NUMBER or (isinstance(value, float) and value.is_integer()):
        raise ValueError("not a number that can be compared exactly")
    return value


def _require_list(value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ValueError("not a list with members")
    return value


def _joined(members: object) -> str:
    return ", ".join(map(str, members)) if isinstance(members, list) else ""
