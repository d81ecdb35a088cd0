"""Long chains made short: many equalities of one field are one list, which databases look up at once."""

import re
from collections.abc import Iterable, Iterator

from changegate.services.tables.queries.comparison import Comparison, Inquiry
from changegate.services.tables.queries.dates import PREFIX
from changegate.services.tables.queries.encoded_query import Condition, Term

_NUMBER = re.compile("-?[0-9]{1,9}")


def with_lists(inquiry: Inquiry, terms: Iterable[Term], sign: str, list_operator: str) -> Iterator[Term]:
    """Return the terms with those of one field and of `sign` as one condition with a list.

    Only what means the same in a list is put into one: no item that could be refused by itself, or that has a comma
    or outer blanks. The terms are joined by what makes a list of them, OR for `=` and AND for `!=`.
    """
    listed: dict[str, list[str]] = {}
    for term in terms:
        if isinstance(term, Condition) and term.operator == sign and _can_be_listed(inquiry, term):
            listed.setdefault(term.field, []).append(term.value)
        else:
            yield term
    for field, values in listed.items():
        yield Condition(field, list_operator if len(values) > 1 else sign, ",".join(values))


def _can_be_listed(inquiry: Inquiry, condition: Condition) -> bool:
    value = condition.value
    if not value or value != value.strip() or "," in value or value.startswith(PREFIX):
        return False
    field = inquiry.walks.find(condition.field)
    if field is None:
        return False
    return Comparison(field, value, inquiry).is_text or (field.entry.kind == "integer" and _is_number(value))


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
