"""Name-value filters: parameters such as `state=closed` in addition to the encoded query.

See docs/reference/table-api.md#parameters.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from changegate.services.tables.queries.encoded_query import AnyOf, Condition, EncodedQuery

_FIELD = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", re.IGNORECASE | re.ASCII)


def narrow_query(query: EncodedQuery, filters: Mapping[str, str]) -> EncodedQuery:
    """Return the query with a condition for every filter; names that cannot be fields are ignored.

    A value may be a display value, such as the label of a choice or the name of a user. An empty value is ignored.
    """
    named = ((name.lower(), value) for name, value in filters.items() if value and _FIELD.fullmatch(name))
    return add_conditions(query, *(Condition(name, "=", value) for name, value in named))


def add_conditions(query: EncodedQuery, *conditions: Condition) -> EncodedQuery:
    """Return the query with further conditions, all of which a record must match."""
    added: tuple[AnyOf, ...] = tuple((condition,) for condition in conditions)
    if not added:
        return query
    return replace(query, alternatives=tuple((*group, *added) for group in query.alternatives or ((),)))
