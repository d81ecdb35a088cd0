"""Encoded queries: from text to conditions (rest_api.md §2).

`A^B^ORC` is A and (B or C); `^NQ` starts an alternative to all that came before; ORDERBY may stand anywhere.
What cannot be read is dropped and the rest runs, which is the reference's rule; nothing is ever evaluated.
"""

import re
from dataclasses import dataclass

# ^ separates; ^^ is a caret within a value.
_ITEM = re.compile(r"((?:[^^]|\^\^)*)(?:\^|$)")
# Field names are lower-case in practice, so the first capital or symbol ends them; NUMBER=… occurs too.
_CONDITION = re.compile(
    r"(?P<field>[a-z][a-z0-9_.]*)"
    r"(?P<operator>!=|<=|>=|=|<|>|NOT IN|NOT LIKE|IN(?!STANCEOF|_HIERARCHY)|LIKE|STARTSWITH|ISEMPTY|ISNOTEMPTY)"
    r"(?P<value>.*)",
    re.DOTALL,
)
_UPPER_CASE_CONDITION = re.compile(r"(?P<field>[A-Z][A-Z0-9_.]*)(?P<operator>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """One field compared with a value; `value` is text and empty for operators that take none."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Order:
    """One field to sort by."""

    field: str
    is_descending: bool = False


AnyOf = tuple[Condition, ...]
AllOf = tuple[AnyOf, ...]


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """`alternatives` are joined by OR; each is a conjunction of OR chains."""

    alternatives: tuple[AllOf, ...] = ()
    orders: tuple[Order, ...] = ()


def parse_encoded_query(text: str) -> EncodedQuery:
    """Parse any text whatever; what is no condition is left out."""
    alternatives: list[list[list[Condition]]] = [[]]
    orders: list[Order] = []
    for item in _ITEM.findall(text):
        _take(item.replace("^^", "^"), alternatives, orders)
    groups = (tuple(tuple(chain) for chain in group if chain) for group in alternatives)
    return EncodedQuery(tuple(group for group in groups if group), tuple(orders))


def _take(item: str, alternatives: list[list[list[Condition]]], orders: list[Order]) -> None:
    if item.startswith("NQ"):
        alternatives.append([])
        item = item[2:]
    # ORDERBY begins with OR, so it is looked for first.
    if item.startswith("ORDERBYDESC"):
        orders.append(Order(item[11:].strip(), is_descending=True))
    elif item.startswith("ORDERBY"):
        orders.append(Order(item[7:].strip()))
    elif item.startswith("OR") and alternatives[-1]:
        alternatives[-1][-1].extend(_parse_condition(item[2:]))
    elif item not in {"", "EQ"}:
        # What cannot be read still begins a chain, else an OR after it would widen the chain before.
        alternatives[-1].append(_parse_condition(item))


def _parse_condition(item: str) -> list[Condition]:
    match = _CONDITION.fullmatch(item) or _UPPER_CASE_CONDITION.fullmatch(item)
    return [Condition(match["field"].lower(), match["operator"], match["value"])] if match else []
