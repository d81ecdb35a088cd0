"""The parameters of the Table API: rest_api.md §1.2."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.schemas.table_query import TableQuerySchema

DEFAULTS = {
    "query": "",
    "display_value": "false",
    "exclude_reference_link": False,
    "field_names": (),
    "limit": 10_000,
    "offset": 0,
    "suppress_pagination_header": False,
}
NAMES = [f"sysparm_{name}" for name in DEFAULTS if name != "field_names"] + ["sysparm_fields"]


def loaded(**params: str) -> dict[str, Any]:
    found: dict[str, Any] = TableQuerySchema().load({f"sysparm_{name}": text for name, text in params.items()})
    return found


def test_what_is_absent_empty_or_unknown_has_its_default() -> None:
    assert loaded() == DEFAULTS
    assert TableQuerySchema().load(dict.fromkeys(NAMES, "")) == DEFAULTS
    assert loaded(view="x", query_category="y", no_count="true", query_no_domain="z") == DEFAULTS
    assert TableQuerySchema().load({"limit": "3", "fields": "x"}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("display_value", "TRUE", "true"),
        ("display_value", "All", "all"),
        ("display_value", "nonsense", "false"),
        ("exclude_reference_link", "True", True),
        ("exclude_reference_link", "1", False),
        ("suppress_pagination_header", " true ", True),
        ("limit", "0", 0),
        ("limit", " 5 ", 5),
        ("limit", "-5", 10_000),
        ("limit", "1e3", 10_000),
        ("limit", "9" * 19, 2**31 - 1),
        ("limit", "9" * 20, 10_000),
        ("offset", "-1", 0),
        ("offset", "\u0663", 0),
        ("query", " kept ", " kept "),
    ],
)
def test_reads_each_as_clients_spell_it(name: str, text: str, value: object) -> None:
    assert loaded(**{name: text})[name] == value


def test_splits_field_names_without_blanks_or_repetition() -> None:
    assert loaded(fields=" number, ,state,number,NUMBER ,")["field_names"] == ("number", "state", "NUMBER")


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_loads_any_text_whatever(params: dict[str, str]) -> None:
    found = TableQuerySchema().load(params)
    assert set(found) == set(DEFAULTS)
    assert 0 <= found["limit"] < 2**31
    assert 0 <= found["offset"] < 2**31
