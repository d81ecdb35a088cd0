"""What the database finds is what a plain reading of the query finds, on both databases."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.extensions import db
from changegate.services.access import Caller
from changegate.services.tables.catalog import get_table
from changegate.services.tables.encoded_query import parse_encoded_query
from changegate.services.tables.reading import read_page
from changegate.services.tables.shapes import Shape
from changegate.services.tables.records import create_record

ADMIN = "6816f79cc0a8016401c5a33be04be441"
ROOT = Caller(ADMIN, "admin", frozenset({"admin"}))
ROWS: list[dict[str, Any]] = [
    {"short_description": "Firewall", "priority": 1, "order": -3, "start_date": "2026-01-31 08:30:00"},
    {"short_description": "FIREWALL", "priority": 2, "order": 0, "assigned_to": "admin"},
    {"short_description": "fire_wall", "priority": 3, "order": 10, "category": "Network", "cab_date": "2026-01-31"},
    {"short_description": "fire%wall", "priority": 4, "state": 0, "start_date": "1999-12-31 23:59:59"},
    {"short_description": "a^b/c", "state": 3, "order": 2, "category": "Network", "on_hold": True},
    {"short_description": "Ä\\ä", "state": -1, "start_date": "2026-06-30", "cab_date": "2025-01-01"},
    {"short_description": "", "state": 4, "assigned_to": "admin", "correlation_id": "FIRE"},
    {"correlation_id": "fire", "order": 2, "risk": 2, "description": "Firewall\nand more"},
]
Predicate = Callable[[dict[str, Any]], bool]
# Field → what is stored for texts that it can hold; texts it cannot hold are dropped with their condition.
INTEGERS = {"-3": -3, "0": 0, "2": 2, "10": 10, " 3 ": 3, "+1": 1}
STATES = {"-5": -5, "-1": -1, "0": 0, "3": 3}
PRIORITIES = {"1": 1, "2": 2, "3": 3, "4": 4}
BOOLEANS = {"true": True, "FALSE": False, "1": True, "0": False}
DATES = {
    "2026-01-31 08:30:00": "2026-01-31 08:30:00",
    "2000-01-01": "2000-01-01 00:00:00",
    "2026-06-30T02:00:00+02:00": "2026-06-30 00:00:00",
}
CATEGORIES = {"network": "Network", "Other": "Other"}
USERS = {sys_id: sys_id for sys_id in (ADMIN, ADMIN.upper(), "0" * 32)}
KINDS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "order": (INTEGERS, {"x", "1.5", "99999999999", "\0"}),
    "state": (STATES, {"7", "New"}),
    "priority": (PRIORITIES, {"9", "high"}),
    "active": (BOOLEANS, {"maybe", "2"}),
    "on_hold": (BOOLEANS, {"maybe"}),
    "start_date": (DATES, {"soon", "2026-13-01", "0001-01-01"}),
    "category": (CATEGORIES, {"Networks", "\0"}),
    "assigned_to": (USERS, {"x" * 256, "\0", "\ud800"}),
}
CASELESS = {"category", "assigned_to"}
TEXT_FIELDS = ["short_description", "correlation_id", "description"]
COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
TEXT_OPERATORS = ["LIKE", "NOT LIKE", "STARTSWITH"]
EXACT_OPERATORS = ["=", "!=", "IN", "NOT IN"]
TEXTS = st.one_of(st.sampled_from(["fire", "FIRE", "firewall", "a^b", "%", "_"]), st.text("fFaAÄ%_^/\\ \n", max_size=3))


def fold(value: Any) -> Any:
    """Fold ASCII alone, as both databases of these tests do."""
    return (
        "".join(letter.lower() if letter.isascii() else letter for letter in value) if isinstance(value, str) else value
    )


def is_empty(value: Any) -> bool:
    return value is None or value == ""


def reading_of(field: str, sign: str, values: list[Any]) -> Predicate:
    """Read one condition plainly; what has no value satisfies no test but emptiness, and `!=` of a boolean."""
    wanted = [fold(value) for value in values if not is_empty(value)]

    def holds(row: dict[str, Any]) -> bool:
        stored = fold(row[field])
        if sign in EXACT_OPERATORS and not wanted:
            return is_empty(stored) == (sign in {"=", "IN"})
        if stored is None:
            return sign == "!=" and field in {"active", "on_hold"}
        if sign in COMPARISONS:
            return bool(COMPARISONS[sign](row[field], values[0]))
        if sign in TEXT_OPERATORS:
            found = stored.startswith(wanted[0]) if sign == "STARTSWITH" else wanted[0] in stored
            return bool(found != (sign == "NOT LIKE"))
        return (stored in wanted) == (sign in {"=", "IN"})

    return holds


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, Predicate | None]:
    """Return a condition's text and its plain reading, None for one that is to be dropped."""
    field = draw(st.sampled_from([*KINDS, *TEXT_FIELDS]))
    if draw(st.integers(0, 9)) == 0:
        sign = draw(st.sampled_from(["ISEMPTY", "ISNOTEMPTY"]))
        return field + sign, lambda row: is_empty(row[field]) == (sign == "ISEMPTY")
    if field in TEXT_FIELDS:
        sign = draw(st.sampled_from([*TEXT_OPERATORS, *EXACT_OPERATORS]))
        text = draw(TEXTS)
        is_dropped = text == "" and sign in TEXT_OPERATORS
        return f"{field}{sign}{text.replace('^', '^^')}", None if is_dropped else reading_of(field, sign, [text])
    stored, refused = KINDS[field]
    sign = draw(st.sampled_from(EXACT_OPERATORS if field in CASELESS else [*EXACT_OPERATORS, *COMPARISONS, "LIKE"]))
    texts = draw(st.lists(st.sampled_from([*stored, *sorted(refused), ""]), min_size=1, max_size=3))
    texts = texts if sign in {"IN", "NOT IN"} else texts[:1]
    is_dropped = sign == "LIKE" or not refused.isdisjoint(texts) or (sign in COMPARISONS and texts == [""])
    reading = reading_of(field, sign, [stored.get(text) for text in texts])
    return f"{field}{sign}{','.join(texts)}", None if is_dropped else reading


Chain = list[tuple[str, Predicate | None]]


def text_of(groups: list[list[Chain]]) -> str:
    return "^NQ".join("^".join("^OR".join(text for text, _ in chain) for chain in group) for group in groups)


def holds_for(groups: list[list[Chain]], row: dict[str, Any]) -> bool:
    """Read a whole query plainly: an alternative or chain of which nothing is left does not count."""
    kept = [[[test for _, test in chain if test] for chain in group] for group in groups]
    groups_left = [[chain for chain in group if chain] for group in kept]
    alternatives = [group for group in groups_left if group]
    if not alternatives:
        return True
    return any(all(any(test(row) for test in chain) for chain in group) for group in alternatives)


GROUPS = st.lists(
    st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=2
)


@pytest.fixture
def rows(either_app: Flask) -> Iterator[list[dict[str, Any]]]:
    """Return rows as they are stored, in an application context that stays open."""
    table = get_table("change_request")
    with either_app.app_context():
        for row in ROWS:
            create_record(table, ROOT, row)
        # A row as another version may have written it: booleans without value, text that is empty rather than NULL.
        bare = table.source.update().where(table.source.c.correlation_id == "fire")
        db.session.execute(bare.values(on_hold=None, short_description=""))
        db.session.commit()
        stored = [dict(row._mapping) for row in db.session.execute(table.source.select())]
        for row in stored:
            row["start_date"] = row["start_date"] and f"{row['start_date']:%Y-%m-%d %H:%M:%S}"
        yield stored


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=GROUPS)
def test_finds_what_a_plain_reading_finds(rows: list[dict[str, Any]], groups: list[list[Chain]]) -> None:
    query = parse_encoded_query(text_of(groups))
    table = get_table("change_request")
    page = read_page(table, ROOT, query, Shape("", fields=("number",)), limit=100, offset=0)
    expected = sorted(row["number"] for row in rows if holds_for(groups, row))
    assert sorted(record["number"] for record in page.records) == expected
    assert page.total == len(expected)


def test_sorts_the_empty_first_and_last_on_both_databases(rows: list[dict[str, Any]]) -> None:
    table = get_table("change_request")
    shape = Shape("", fields=("order",))
    for text, is_descending in (("ORDERBYorder", False), ("ORDERBYDESCorder", True)):
        page = read_page(table, ROOT, parse_encoded_query(text), shape, limit=100, offset=0)
        keys = [(record["order"] != "", int(record["order"] or 0)) for record in page.records]
        assert keys == sorted(keys, reverse=is_descending)


HOSTILE = [
    "\0",
    "a\0b",
    "\ud800",
    "\udfff x",
    "\U0010ffff",
    "x" * 100_000,
    "%" * 4000,
    "\\",
    "'",
    '"',
    ":wanted",
    "%(x)s",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_is_more_than_a_value(rows: list[dict[str, Any]], text: str) -> None:
    table = get_table("change_request")
    for field in (
        "short_description",
        "description",
        "state",
        "active",
        "start_date",
        "assigned_to",
        "number",
        "sys_id",
    ):
        for sign in ("=", "!=", "<", "IN", "NOT IN", "LIKE", "NOT LIKE", "STARTSWITH", "ISEMPTY"):
            read_page(table, ROOT, parse_encoded_query(f"{field}{sign}{text}"), Shape(""), limit=1, offset=0)
    read_page(table, ROOT, parse_encoded_query(f"ORDERBY{text}^{text}=1"), Shape(""), limit=1, offset=0)
