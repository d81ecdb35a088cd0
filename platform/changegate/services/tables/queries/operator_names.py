"""The names of the operators of encoded queries, and their alternative spellings.

See docs/reference/encoded-queries.md#operators.
"""

import re
from collections.abc import Iterable, Mapping

NAMES = (
    *("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH", "BETWEEN"),
    *("ISEMPTY", "ISNOTEMPTY", "ANYTHING", "DYNAMIC", "INSTANCEOF"),
    *("SAMEAS", "NSAMEAS", "GT_FIELD", "LT_FIELD", "GT_OR_EQUALS_FIELD", "LT_OR_EQUALS_FIELD"),
    *("ON", "NOTON", "MORETHAN", "LESSTHAN", "DATEPART"),
    *("RELATIVEGT", "RELATIVEGE", "RELATIVELT", "RELATIVELE", "RELATIVEEE"),
)
OTHER_SPELLINGS: Mapping[str, str] = {
    "*": "LIKE",
    "CONTAINS": "LIKE",
    "!*": "NOT LIKE",
    "NOTLIKE": "NOT LIKE",
    "DOES NOT CONTAIN": "NOT LIKE",
    "DOESNOTCONTAIN": "NOT LIKE",
    "%": "ENDSWITH",
    "NOTIN": "NOT IN",
    "EMPTY": "ISEMPTY",
    "EMPTYSTRING": "ISEMPTY",
    "NOTEMPTY": "ISNOTEMPTY",
    "RELATIVEGTE": "RELATIVEGE",
    "RELATIVELTE": "RELATIVELE",
}
# Unsupported operators that begin like a supported one and mean something else.
NOT_OFFERED = ("IN_HIERARCHY_DYNAMIC", "IN_HIERARCHY")


def _one_of(names: Iterable[str]) -> str:
    """Return a pattern that prefers longer names: `<=` to `<`, and INSTANCEOF to IN."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_ALL = (*NAMES, *OTHER_SPELLINGS, *NOT_OFFERED)
_SYMBOLS = tuple(name for name in _ALL if not name[0].isalpha())
# Field names are usually lower case, so the first capital or symbol ends them. NUMBER=… is accepted too.
_PATTERNS = tuple(
    re.compile(rf"(?P<field>{field})(?P<operator>{_one_of(operators)})(?P<value>.*)", re.DOTALL)
    for field, operators in (("[a-z][a-z0-9_.]*", _ALL), ("[A-Z][A-Z0-9_.]*", _SYMBOLS))
)


def split_condition(item: str) -> tuple[str, str, str] | None:
    """Return the field, the operator's name, and the value of a condition, or None if the item is not a condition."""
    match = _PATTERNS[0].fullmatch(item) or _PATTERNS[1].fullmatch(item)
    if match is None or match["operator"] in NOT_OFFERED:
        return None
    operator = match["operator"]
    return match["field"].lower(), OTHER_SPELLINGS.get(operator, operator), match["value"]
