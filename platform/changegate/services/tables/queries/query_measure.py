"""Limits on the size of a query, so that one statement stays within what databases accept."""

from collections.abc import Iterator, Mapping

from changegate.database import require_time
from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.encoded_query import (
    TEXT_SEARCH,
    Condition,
    EncodedQuery,
    Joined,
    RelatedCount,
    Term,
)

# SQLite accepts 32,766 parameters in a statement, and a value that may be a name is passed three times.
MAX_VALUES = 10_000
MAX_RELATED = 10
# Translating and compiling a condition takes about half a millisecond, and compilation cannot be interrupted.
MAX_QUERY_CONDITIONS = 5_000
# The SQL of these operators is longer than usual by about this factor.
SIZES: Mapping[str, int] = {"DATEPART": 50}
SIZE_OF_NAMED_REFERENCE = 5
# The candidates of each fragment stay in memory until the statement has run: some megabytes on a large instance.
MAX_LOOKUPS = 20
# A search over all text fields passes each word once for each field.
_TEXT_SEARCH_VALUES = 500


def require_measure(query: EncodedQuery) -> None:
    """Check the number of values and related lists of a query. Raises `RequestUnreadable`."""
    terms = list(_terms_of(query))
    values = sum(_count_values(term) for term in terms)
    if values > MAX_VALUES:
        raise RequestUnreadable(f"The query has {values} conditions and listed values; {MAX_VALUES} are admitted")
    related = sum(isinstance(term, RelatedCount | Joined) for term in terms)
    if related > MAX_RELATED:
        raise RequestUnreadable(f"The query asks about related records {related} times; {MAX_RELATED} are admitted")


class Measure:
    """The size of the SQL that was made of a query so far; a merged list counts as one condition."""

    def __init__(self) -> None:
        self._size = 0
        self._lookups = 0

    def take_lookup(self) -> bool:
        """Return whether one more fragment may be looked up in an index; without, every row is compared."""
        self._lookups += 1
        return self._lookups <= MAX_LOOKUPS

    def add(self, size: int) -> None:
        """Add a condition. Raises `RequestUnreadable` for too many, and `TimeExceeded` or `TooManyLongRequests`."""
        require_time()
        self._size += size
        if self._size > MAX_QUERY_CONDITIONS:
            raise RequestUnreadable(
                f"The query has more than {MAX_QUERY_CONDITIONS} conditions, where one with DATEPART counts as 50"
            )


def size_of(term: Term) -> int:
    """Return the size of a term's SQL, as a number of usual conditions."""
    return SIZES.get(term.operator, 1) if isinstance(term, Condition) else 1


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
