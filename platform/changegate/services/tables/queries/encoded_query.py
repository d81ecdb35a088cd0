"""Encoded queries: parsing of text to conditions, and rendering back to text (docs/reference/encoded-queries.md).

`A^B^ORC` is A AND (B OR C), `^NQ` starts an alternative to everything before it, and ORDERBY may stand anywhere.
Unreadable items are dropped and the rest is executed. Values are never evaluated as code.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from changegate.services.tables.queries.operator_names import split_condition

# ^ is the separator; ^^ is a caret within a value.
_ITEM = re.compile(r"((?:[^^]|\^\^)*)(?:\^|$)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_RELATED = re.compile(
    r"RLQUERY(?P<table>[a-z0-9_]+)\.(?P<field>[a-z0-9_]+),(?P<operator>>=|<=|!=|=|>|<)(?P<count>[0-9]{1,9})(?:,m2m)?"
)
_JOIN = re.compile(
    r"JOIN(?P<own_table>[a-z0-9_]+)\.(?P<own_field>[a-z0-9_]+)=(?P<table>[a-z0-9_]+)\.(?P<field>[a-z0-9_]+)!(?P<text>.*)",
    re.DOTALL,
)
_ON_OTHER_RECORDS = re.compile("(?:NQ)*(?:OR)?(?:RLQUERY|JOIN)")
_OPENS_RELATED = re.compile(r"(?:NQ)*(?:OR)?RLQUERY")
_END_OF_RELATED = "ENDRLQUERY"
_MAX_DEPTH = 3
# A search over all text fields is written as a condition on this one.
TEXT_SEARCH = "123TEXTQUERY321"
TEXT_OPERATORS = frozenset({"LIKE", "STARTSWITH", "ENDSWITH"})


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, an operator, and a value as text, which is empty for operators without a value."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class RelatedCount:
    """The number of records of `table` that match `query` and refer to this one in `field`, compared with `count`."""

    table: str
    field: str
    operator: str
    count: int
    query: "EncodedQuery"


@dataclass(frozen=True, slots=True)
class Joined:
    """At least one record of `table` that passes `condition` has in `field` the value of this one's `own_field`.

    This record is one of `own_table`.
    """

    own_table: str
    own_field: str
    table: str
    field: str
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Order:
    """One field to sort by."""

    field: str
    is_descending: bool = False


Term = Condition | RelatedCount | Joined
AnyOf = tuple[Term, ...]
AllOf = tuple[AnyOf, ...]


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A parsed query: `alternatives` are joined by OR, and each is a conjunction of OR chains.

    `unreadable` are the dropped items.
    """

    alternatives: tuple[AllOf, ...] = ()
    orders: tuple[Order, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def terms(self) -> Iterator[Term]:
        """Return all terms, in the order of the text."""
        return (term for group in self.alternatives for chain in group for term in chain)

    @property
    def malformed(self) -> str | None:
        """Return the first unreadable item that begins like a condition on other records, or None."""
        return next(filter(_ON_OTHER_RECORDS.match, self.unreadable), None)


def parse_encoded_query(text: str) -> EncodedQuery:
    """Parse any text. Items that are not valid conditions become `unreadable`."""
    return _read((item.replace("^^", "^") for item in _ITEM.findall(text)), depth=0)


def equal_query(field: str, value: str, *orders: Order) -> EncodedQuery:
    """Return the query of the records whose field has a value."""
    return EncodedQuery((((Condition(field, "=", value),),),), orders)


def render_encoded_query(query: EncodedQuery) -> str:
    """Return a text that parses to this query; it may differ from the original text."""
    orders = (f"ORDERBY{'DESC' if order.is_descending else ''}{order.field}" for order in query.orders)
    groups = "^NQ".join(_render_group(group) for group in query.alternatives)
    # Dropped items come first: an item that starts with a caret is only parsed correctly at the beginning.
    return "^".join(item for item in (*map(_render_unreadable, query.unreadable), groups, *orders) if item)


def _render_unreadable(item: str) -> str:
    end = f"^{_END_OF_RELATED}" if _OPENS_RELATED.match(item) else ""
    return item.replace("^", "^^") + end


def _render_group(group: AllOf) -> str:
    return "^".join("^OR".join(render_term(term) for term in chain) for chain in group)


def render_term(term: Term) -> str:
    """Return the text of one term."""
    if isinstance(term, Condition):
        return f"{term.field}{term.operator}{term.value.replace('^', '^^')}"
    if isinstance(term, Joined):
        fields = f"{term.own_table}.{term.own_field}={term.table}.{term.field}"
        return f"JOIN{fields}!{render_term(term.condition) if term.condition else ''}"
    head = f"RLQUERY{term.table}.{term.field},{term.operator}{term.count}"
    return "^".join(item for item in (head, render_encoded_query(term.query), _END_OF_RELATED) if item)


def _read(items: Iterable[str], depth: int) -> EncodedQuery:
    draft, left = _Draft(depth), iter(items)
    for item in left:
        draft.take(item, left)
    groups = (tuple(tuple(chain) for chain in group if chain) for group in draft.alternatives)
    return EncodedQuery(tuple(group for group in groups if group), tuple(draft.orders), tuple(draft.unreadable))


class _Draft:
    """A query that is built item by item."""

    def __init__(self, depth: int) -> None:
        self.alternatives: list[list[list[Term]]] = [[]]
        self.orders: list[Order] = []
        self.unreadable: list[str] = []
        self._depth = depth

    def take(self, item: str, left: Iterator[str]) -> None:
        """Parse one item, and consume those of `left` that belong to it."""
        rest = item
        while rest.startswith("NQ"):
            self.alternatives.append([])
            rest = rest[2:]
        # `^EQ` ends the queries that ServiceNow's filter builder creates. It has no meaning.
        if rest in {"", "EQ", _END_OF_RELATED}:
            return
        # ORDERBY begins with OR, so it is checked first.
        if rest.startswith(("ORDERBY", "GROUPBY")):
            is_readable = self._take_order(rest[len("ORDERBY") :].strip())
        else:
            is_readable = self._take_term(rest, left)
        if not is_readable:
            self.unreadable.append(item)

    def _take_order(self, text: str) -> bool:
        name = text.removeprefix("DESC").strip()
        if not _NAME.fullmatch(name):
            return False
        self.orders.append(Order(name, is_descending=text.startswith("DESC")))
        return True

    def _take_term(self, text: str, left: Iterator[str]) -> bool:
        chains = self.alternatives[-1]
        is_or = text.startswith("OR") and bool(chains)
        if is_or and (term := self._term(text[2:], left)):
            chains[-1].append(term)
            return True
        term = self._term(text, left)
        if term is None and text.startswith("OR") and not is_or:
            term = self._term(text[2:], left)
        # An unreadable item still begins a chain. Otherwise, an OR after it would be added to the preceding chain and
        # match more records.
        if term is not None or not is_or:
            chains.append([term] if term else [])
        return term is not None

    def _term(self, text: str, left: Iterator[str]) -> Term | None:
        if text.startswith("RLQUERY"):
            # The items of the list are consumed even if its head is unreadable. Otherwise, they would become conditions
            # of the outer query.
            return self._related(text, _items_of_related(left))
        if text.startswith("JOIN"):
            return _joined(text)
        # An OR before RLQUERY is always the operator. `_take_term` reads the term without it.
        if text.startswith("ORRLQUERY"):
            return None
        if text.startswith(f"{TEXT_SEARCH}="):
            return Condition(TEXT_SEARCH, "=", text.removeprefix(f"{TEXT_SEARCH}="))
        parts = split_condition(text)
        return None if parts is None else Condition(*parts)

    def _related(self, head: str, items: list[str]) -> RelatedCount | None:
        match = _RELATED.fullmatch(head)
        if match is None or self._depth == _MAX_DEPTH:
            return None
        query = _read(items, self._depth + 1)
        return RelatedCount(match["table"], match["field"], match["operator"], int(match["count"]), query)


def _joined(text: str) -> Joined | None:
    match = _JOIN.fullmatch(text)
    condition = split_condition(match["text"]) if match else None
    if match is None or (match["text"] and condition is None):
        return None
    own_table, own_field, table, field, _ = match.groups()
    return Joined(own_table, own_field, table, field, Condition(*condition) if condition else None)


def _items_of_related(left: Iterator[str]) -> list[str]:
    """Consume and return the items up to the end of a related list, which may contain other lists."""
    items, open_lists = [], 1
    for item in left:
        open_lists += 1 if _OPENS_RELATED.match(item) else -1 if item == _END_OF_RELATED else 0
        if not open_lists:
            break
        items.append(item)
    return items


def searches_text(query: EncodedQuery) -> bool:
    """Return whether a query searches for a text within texts."""
    return any(isinstance(term, Condition) and _is_text_search(term) for term in query.terms)


def _is_text_search(condition: Condition) -> bool:
    return condition.field == TEXT_SEARCH or condition.operator in TEXT_OPERATORS
