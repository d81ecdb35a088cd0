"""How one claim is compared with one value: strictly by type, and never raising, whatever the claim is."""

import json
from collections.abc import Callable, Mapping
from functools import partial

from changegate.models.claim_condition import LARGEST_NUMBER
from changegate.services.assertions.segment_glob import compile_glob

MISSING = object()  # in place of a claim that is not there

Test = Callable[[object], bool]


def compile_comparison(operator: object, value_type: object, wanted: object) -> tuple[str, Test]:
    """Return what is expected, in words, and the test of a claim.

    Raises `KeyError`, `TypeError` or `ValueError` for what is no comparison. `exists` has the type `any`.
    """
    return _COMPARISONS[operator, value_type](wanted)


def describe(value: object) -> str:
    """Return a claim's value with its type, for the report."""
    if value is MISSING:
        return "absent"
    if isinstance(value, str):
        return f"the string {value}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value, ensure_ascii=False, default=str)
    kind = _KINDS.get(type(value))
    return f"the {kind} {text}" if kind else text


_KINDS = {bool: "boolean", int: "number", float: "number", list: "list"}


def _equals_text(wanted: object) -> tuple[str, Test]:
    return _require_text(wanted), partial(_is_same, wanted)


def _equals_number(wanted: object) -> tuple[str, Test]:
    return describe(_require_number(wanted)), partial(_is_same, wanted)


def _equals_boolean(wanted: object) -> tuple[str, Test]:
    if not isinstance(wanted, bool):
        raise ValueError("not a boolean")
    return describe(wanted), partial(_is_same, wanted)


def _is_same(wanted: object, value: object) -> bool:
    # By type: True equals 1 to Python, and 1.0 may be what a reader made of 0.99999999999999999999.
    return type(value) is type(wanted) and value == wanted


def _equals_list(wanted: object) -> tuple[str, Test]:
    members = frozenset(_require_text(member) for member in _require_list(wanted))

    def has_the_same(value: object) -> bool:
        return isinstance(value, list) and all(type(member) is str for member in value) and members == frozenset(value)

    return f"a list of exactly {_joined(wanted)}", has_the_same


def _one_of_texts(wanted: object) -> tuple[str, Test]:
    texts = frozenset(_require_text(member) for member in _require_list(wanted))
    return f"one of {_joined(wanted)}", lambda value: type(value) is str and value in texts


def _one_of_numbers(wanted: object) -> tuple[str, Test]:
    numbers = [_require_number(member) for member in _require_list(wanted)]
    return f"one of the numbers {_joined(wanted)}", lambda value: any(_is_same(number, value) for number in numbers)


def _glob(wanted: object) -> tuple[str, Test]:
    pattern = _require_text(wanted)
    matches = compile_glob(pattern)
    return f"like {pattern}", lambda value: type(value) is str and matches(value)


def _contains(wanted: object) -> tuple[str, Test]:
    member = _require_text(wanted)
    return f"a list with {member}", lambda value: isinstance(value, list) and member in value


def _exists(wanted: object) -> tuple[str, Test]:
    if wanted is not None:
        raise ValueError("nothing to compare with")
    # null is how some providers write that there is nothing.
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
    # NaN fails this comparison too. A whole number is stored as one.
    if not abs(value) <= LARGEST_NUMBER or (isinstance(value, float) and value.is_integer()):
        raise ValueError("not a number that can be compared exactly")
    return value


def _require_list(value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ValueError("not a list with members")
    return value


def _joined(members: object) -> str:
    return ", ".join(map(str, members)) if isinstance(members, list) else ""
