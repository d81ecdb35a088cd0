"""JSON that is kept deflated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from changegate.database.packed import PackedJSON

DIALECT = sqlite.dialect()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def pack(value: Any) -> bytes | None:
    return PackedJSON().process_bind_param(value, DIALECT)


def unpack(stored: bytes | None) -> Any:
    return PackedJSON().process_result_value(stored, DIALECT)


@given(JSON)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_nothing_is_kept_as_nothing() -> None:
    assert pack(None) is None
    assert unpack(None) is None


def test_text_that_is_json_already_is_kept_as_it_is() -> None:
    assert unpack(pack(b'{"iss": "https://a", "n": 1.50}')) == {"iss": "https://a", "n": 1.5}


def test_short_values_are_not_deflated() -> None:
    assert pack(["x" * 252]) == b'\0["' + b"x" * 252 + b'"]'
    assert (pack(["x" * 253]) or b"")[:1] == b"\1"


def test_a_usual_report_takes_a_fraction_of_its_length() -> None:
    report = [["iss", None, "https://ci.example.com", "https://ci.example.com"], ["cnf", None, "absent", "absent"]] * 9
    assert len(pack(report) or b"") < 100


@pytest.mark.parametrize("stored", [b"\0[1]", b"\1\x8b6\x8c\x05\x00"])
def test_what_a_release_has_written_can_be_read_by_the_next(stored: bytes) -> None:
    assert unpack(stored) == [1]
