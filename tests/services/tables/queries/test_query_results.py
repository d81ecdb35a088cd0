"""Both databases find the rows that a plain evaluation of the query finds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.services.tables.queries.encoded_query import parse_encoded_query, render_encoded_query
from tests.support.change_rows import KINDS, insert_rows, world_of
from tests.support.queries import find

VALUES: dict[str, list[str]] = {
    "string": [
        "fire",
        "FIREWALL",
        "wall",
        "%",
        "_",
        "a^^b",
        "/",
        "\\",
        "Ä",
        "ä",
        "CHG0000007",
        "x" * 32,
        "ann",
        "a,fire",
    ],
    "integer": ["-3", "0", "2", "10", " 3 ", "+1", "-5", "x", "1.5", "99999999999", "closed", "High", "3 - moderate"],
    "boolean": ["true", "FALSE", "1", "0", "maybe"],
    "instant": ["2026-01-31 08:29:59", "2026-01-01", "2026-01-01T13:00:00+01:00", "soon", "2026-13-01"],
    "day": ["2026-01-31", "2025-12-29 10:00:00", "soon"],
    "choice": ["network", "Software", "Networks", "soft"],
    "reference": ["a" * 32, "A" * 32, "f" * 32, "ann", "Ann", "bob", "bob%", "cy.lee", "NETWORK", "net", "nobody"],
}
COMMON_VALUES = ["", ",", "\0", "\ud800"]
VALUE_SIGNS = [
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "LIKE",
    "NOT LIKE",
    "STARTSWITH",
    "ENDSWITH",
    "*",
    "!*",
    "%",
    "CONTAINS",
]
LIST_SIGNS = ["IN", "NOT IN", "NOTIN"]
BARE_SIGNS = ["ISEMPTY", "ISNOTEMPTY", "EMPTY", "NOTEMPTY", "EMPTYSTRING", "ANYTHING"]
FIELD_SIGNS = ["SAMEAS", "NSAMEAS", "GT_FIELD", "LT_FIELD", "GT_OR_EQUALS_FIELD", "LT_OR_EQUALS_FIELD"]
DATE_CONDITIONS = [
    "ONToday",
    "NOTONToday",
    "ONLast 7 days@javascript:nothing()",
    "ONcustom@2025-12-29@2026-01-31 23:59:59",
    "NOTONcustom@2025-12-29@2026-01-31",
    *(f"RELATIVE{sign}@{span}" for sign in ("GT", "GE", "LT", "LE") for span in ("hour@ago@2", "dayofweek@ahead@30")),
    "RELATIVELTE@minute@ago@0",
    "RELATIVEGT@fortnight@ago@1",
    *(
        f"DATEPARTlabel@javascript:gs.datePart('{part}','{value}','{sign}')"
        for part, value in (("dayofweek", "saturday"), ("week", "53"), ("week", "1"), ("month", "1"), ("quarter", "4"))
        for sign in ("EE", "GT", "LE")
    ),
    "DATEPARTlabel@javascript:gs.datePart('year','2026','LT')",
]


@st.composite
def condition_texts(draw: st.DrawFn) -> str:
    """Return a condition on a field of any kind; some make no sense."""
    path = draw(st.sampled_from([*KINDS, "nonsense", "assigned_to.nonsense"]))
    kind = KINDS.get(path, "string")
    values = st.sampled_from([*VALUES[kind], *COMMON_VALUES])
    shape = draw(st.integers(0, 11 if kind in {"instant", "day"} else 8))
    if shape > 8:
        return path + draw(st.sampled_from(DATE_CONDITIONS))
    if shape == 8:
        unit = "@day" if path.endswith("_date") and draw(st.booleans()) else ""
        return path + draw(st.sampled_from(FIELD_SIGNS)) + draw(st.sampled_from([*KINDS, "nonsense"])) + unit
    if shape == 7:
        return path + draw(st.sampled_from(BARE_SIGNS))
    if shape == 6:
        return f"{path}BETWEEN{draw(values)}@{draw(values)}"
    if shape > 3:
        return path + draw(st.sampled_from(LIST_SIGNS)) + ",".join(draw(st.lists(values, min_size=1, max_size=3)))
    return path + draw(st.sampled_from(VALUE_SIGNS)) + draw(values)


CHAINS = st.lists(condition_texts(), min_size=1, max_size=4).map("^OR".join)
QUERIES = st.lists(st.lists(CHAINS, min_size=1, max_size=3).map("^".join), min_size=1, max_size=3).map("^NQ".join)


Reading = Callable[[str], list[str]]


@pytest.fixture
def plainly_found(either_app: Flask) -> Iterator[Reading]:
    """Return the plain reading of a text over stored rows, in an application context at an instant that stays."""
    world = world_of(datetime(2026, 1, 31, 8, 30, tzinfo=UTC))
    either_app.config["CLOCK"] = lambda: world.now
    with either_app.app_context():
        rows = insert_rows()

        def found(text: str) -> list[str]:
            query = parse_encoded_query(text)
            return [row["number"] for row in rows if world.finds(query, row)]

        yield found


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=QUERIES)
def test_finds_what_a_plain_reading_finds(plainly_found: Reading, text: str) -> None:
    expected = plainly_found(text)
    assert sorted(find(text, shown="number")) == expected
    assert sorted(find(render_encoded_query(parse_encoded_query(text)), shown="number")) == expected
