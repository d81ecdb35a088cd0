"""How much a query may ask of a database in one statement."""

from collections.abc import Iterator

from changegate.errors import RequestUnreadable
from changegate.services.tables.encoded_query import TEXT_SEARCH, Condition, EncodedQuery, Joined, RelatedCount, Term

# SQLite takes 32,766 values in a statement, and a value that may be a name is passed three times.
MAX_VALUES = 10_000
MAX_RELATED = 10
# A search over all text fields passes each word once for each of them.
_TEXT_SEARCH_VALUES = 500


def require_measure(query: EncodedQuery) -> None:
    """Refuse a query that is more than a database takes; raises `RequestUnreadable`."""
    terms = list(_terms_of(query))
    values = sum(_count_values(term) for term in terms)
    if values > MAX_VALUES:
        raise RequestUnreadable(f"The query has {values} conditions and listed values; {MAX_VALUES} are admitted")
    related = sum(isinstance(term, RelatedCount | Joined) for term in terms)
    if related > MAX_RELATED:
        raise RequestUnreadable(f"The query asks about related records {related} times; {MAX_RELATED} are admitted")


def _terms_of(query: EncodedQuery) -> Iterator[Term]:
    for group in query.alternatives:
        for chain in group:
            for term in chain:
                yield term
                if isinstance(term, RelatedCount):
                    yield from _terms_of(term.query)
                if isinstance(term, Joined) and term.condition:
                    yield term.condition


def _count_values(term: Term) -> int:
    if not isinstance(term, Condition):
        return 1
    if term.field == TEXT_SEARCH:
        return _TEXT_SEARCH_VALUES
    return 1 + term.value.count(",") if term.operator in {"IN", "NOT IN"} else 1
