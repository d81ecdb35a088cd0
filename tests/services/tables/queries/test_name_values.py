"""Name-value filters become conditions of the query beside them."""

import pytest

from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.queries.name_values import narrow_query


@pytest.mark.parametrize(
    ("query", "filters", "expected"),
    [
        ("", {"state": "closed"}, "state=closed"),
        ("", {"state": "closed", "ASSIGNED_TO.Name": "x"}, "state=closed^assigned_to.name=x"),
        ("a=1^ORb=2^c=3", {"d": "4"}, "a=1^ORb=2^c=3^d=4"),
        ("a=1^NQb=2^ORDERBYDESCx", {"d": "4"}, "a=1^d=4^NQb=2^d=4^ORDERBYDESCx"),
        ("a=1", {}, "a=1"),
        ("a=1", {"b": "", "": "x", "1": "x", "b^c": "x", "b c": "x", ".b": "x", "b.": "x", "\u00e9": "x"}, "a=1"),
        ("", {"b": "1^c=2"}, "b=1^^c=2"),
    ],
)
def test_narrows_every_alternative(query: str, filters: dict[str, str], expected: str) -> None:
    assert narrow_query(parse_encoded_query(query), filters) == parse_encoded_query(expected)
