"""No query, whatever is in it, is a fault or anything but a query, on both databases."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.comparison import MAX_FRAGMENT
from changegate.services.tables.queries.operator_names import NAMES, OTHER_SPELLINGS
from tests.support.change_rows import KINDS
from tests.support.queries import find

HOSTILE = [
    "\0",
    "a\0b",
    "\ud800",
    "\udfff x",
    "\U0010ffff",
    "%" * MAX_FRAGMENT,
    "é" * MAX_FRAGMENT,
    "\\",
    "'",
    '"',
    ":wanted",
    ":owner",
    "%(x)s",
    "?",
    "@",
    "@@",
    "1@",
    "9" * 400,
    "-",
    "javascript:",
]


@pytest.mark.usefixtures("at_work")
def test_no_value_is_more_than_a_value() -> None:
    fields = [*KINDS, "sys_id", "watch_list"]
    for value in HOSTILE:
        find("^NQ".join(f"{field}{sign}{value}" for field in fields for sign in NAMES))
        find(f"ORDERBY{value}^{value}=1^123TEXTQUERY321={value}")
        for term in (f"RLQUERY{value}^ENDRLQUERY", f"JOIN{value}", f"JOINchange_request.sys_id=task.parent!{value}x"):
            with pytest.raises(RequestUnreadable):
                find(term)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("value", ["x" * 100_000, "é" * (MAX_FRAGMENT + 1)])
def test_a_long_value_is_compared_as_a_value_or_refused(value: str) -> None:
    refused = set()
    for sign in NAMES:
        try:
            find("^NQ".join(f"{field}{sign}{value}" for field in KINDS))
        except RequestUnreadable:
            refused.add(sign)
    assert refused == {"LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH"}


WORDS = [
    *(*NAMES, *OTHER_SPELLINGS, *KINDS, *HOSTILE[:5], *HOSTILE[7:]),
    *(
        "^",
        "^OR",
        "^NQ",
        "^ORDERBY",
        "^EQ",
        "RLQUERYchange_task.change_request,>=1^",
        "ENDRLQUERY",
        "JOINtask.parent=task.sys_id!",
    ),
    *("javascript:gs.daysAgo(1)", "2026-01-31", "Today", "@day", "1", ",", ""),
]
HEAPS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=30).map("".join))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(heap=HEAPS)
def test_no_text_whatever_makes_a_fault(at_work: None, heap: str) -> None:
    # A condition on other records may be refused.
    with suppress(RequestUnreadable):
        find(heap)
