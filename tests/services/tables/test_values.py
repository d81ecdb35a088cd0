"""Values between wire, Python and database."""

import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.errors import RequestUnreadable
from changegate.models.base import Entry
from changegate.services.tables.values import is_storable, parse_value, render_value

KINDS = ["string", "integer", "boolean", "choice", "reference", "glide_date_time", "glide_date", "glide_list", "GUID"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "link"]), inner, max_size=2),
)


@given(st.sampled_from(KINDS), JSON)
def test_any_json_becomes_a_storable_value_or_a_sentence(kind: str, sent: object) -> None:
    entry = Entry(kind, "Field", 40, choices={"a": "A"} if kind == "choice" else None)
    try:
        value = parse_value("field", entry, sent)
    except RequestUnreadable as refused:
        assert str(refused.detail).startswith("Field field: ")
    else:
        assert value is None or isinstance(value, str | int | bool | date | datetime)
        assert not isinstance(value, str) or is_storable(value)


@given(st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))
def test_an_instant_survives_the_wire_to_the_second(instant: datetime) -> None:
    entry = Entry("glide_date_time", "When")
    text = render_value(entry, instant)
    assert len(text) == 19
    assert parse_value("when", entry, text) == instant.replace(microsecond=0)


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_a_number_survives_the_wire(number: int) -> None:
    entry = Entry("integer", "Number")
    assert parse_value("number", entry, render_value(entry, number)) == number
    assert parse_value("number", entry, number) == number


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**64, -(10**5000), 1e16], ids=range(6))
@pytest.mark.parametrize("kind", ["string", "integer", "reference"])
def test_refuses_a_number_that_readers_of_json_may_have_rounded(kind: str, number: float) -> None:
    with pytest.raises(RequestUnreadable) as refused:
        parse_value("field", Entry(kind, "Field"), number)
    assert refused.value.detail == "Field field: the number is too large; it may be sent as text"


def test_a_number_is_kept_as_it_was_sent() -> None:
    entry = Entry("string", "Field")
    assert [parse_value("field", entry, number) for number in (2**64 - 1, -7, 1.5, 0.1)] == [
        "18446744073709551615",
        "-7",
        "1.5",
        "0.1",
    ]


def test_a_choice_without_a_list_is_any_text_that_fits() -> None:
    entry = Entry("choice", "Type", 40)
    assert parse_value("type", entry, "anything") == "anything"
    with pytest.raises(RequestUnreadable):
        parse_value("type", entry, "x" * 41)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_renders_as_empty_text(kind: str) -> None:
    assert render_value(Entry(kind, "Field"), None) == ""
    assert parse_value("field", Entry(kind, "Field"), "") is None
