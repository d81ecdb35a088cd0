"""The parameters of the Table API: docs/reference/table-api.md#parameters."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.errors import RequestUnreadable
from changegate.schemas.table_query import MAX_QUERY_PARAMETERS, TableParameters, load_parameters

DEFAULTS = TableParameters(
    query="",
    display_value="false",
    exclude_reference_link=False,
    field_names=(),
    limit=10_000,
    offset=0,
    after="",
    no_count=False,
    suppress_pagination_header=False,
    input_display_value=False,
)
NAMES = [f"sysparm_{name}" for name in TableParameters.__dataclass_fields__ if name not in {"field_names", "filters"}]
NAMES += ["sysparm_fields", "sysparm_exclude_ref_link"]


def loaded(**params: str) -> TableParameters:
    return load_parameters(urlencode({f"sysparm_{name}": text for name, text in params.items()}).encode())


def test_absent_empty_and_unknown_values_have_their_default() -> None:
    assert loaded() == DEFAULTS
    assert load_parameters("&".join(f"{name}=" for name in NAMES).encode()) == DEFAULTS
    assert loaded(view="x", query_category="y", query_no_domain="z", nonsense="1") == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("display_value", "TRUE", "true"),
        ("display_value", "All", "all"),
        ("display_value", "nonsense", "false"),
        ("exclude_reference_link", "True", True),
        ("exclude_reference_link", "1", False),
        ("suppress_pagination_header", " true ", True),
        ("input_display_value", "TRUE", True),
        ("input_display_value", "yes", False),
        ("limit", "0", 0),
        ("limit", " 5 ", 5),
        ("limit", "-5", 10_000),
        ("limit", "1e3", 10_000),
        ("limit", "9" * 19, 10_000),
        ("offset", "9" * 19, 2**31 - 1),
        ("limit", "9" * 20, 10_000),
        ("offset", "-1", 0),
        ("offset", "\u0663", 0),
        ("query", " kept ", " kept "),
    ],
)
def test_reads_each_as_clients_spell_it(name: str, text: str, value: object) -> None:
    assert getattr(loaded(**{name: text}), name) == value


def test_reads_the_short_name_of_a_parameter_unless_the_long_one_is_there() -> None:
    assert loaded(exclude_ref_link="true").exclude_reference_link
    assert not loaded(exclude_ref_link="true", exclude_reference_link="false").exclude_reference_link
    assert loaded(exclude_ref_link="true", exclude_reference_link="").exclude_reference_link


def test_splits_field_names_without_blanks_or_repetition() -> None:
    assert loaded(fields=" number, ,state,number,NUMBER ,").field_names == ("number", "state", "NUMBER")


def test_takes_everything_else_for_a_filter_unless_it_is_empty() -> None:
    found = load_parameters(b"number=CHG1&sysparm_limit=3&assigned_to.email=a%40b&empty=&state=1&state=2&bare")
    assert found.filters == {"number": "CHG1", "assigned_to.email": "a@b", "state": "2"}
    assert found.limit == 3


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"numberNOT+INa,b", "numberNOT INa,b"),
        (b"a%2Bb%2541", "a+b%41"),
        ("\u00e9".encode(), "\u00e9"),
        (b"%C3%A9", "\u00e9"),
        (b"%ff", "\ufffd"),
        (b"\xff", "\ufffd"),
        (b"%", "%"),
        (b"a=b=c", "a=b=c"),
    ],
)
def test_decodes_a_form_once_and_separates_undecodable_values(raw: bytes, query: str) -> None:
    assert load_parameters(b"sysparm_query=" + raw).query == query


def test_the_last_of_a_repeated_parameter_wins() -> None:
    assert load_parameters(b"sysparm_limit=1&sysparm_limit=2").limit == 2
    assert load_parameters(b"sysparm_limit=1&sysparm_limit=").limit == 10_000


def test_long_and_short_query_strings_are_read_alike() -> None:
    query = "short_description=" + "x" * 1000
    assert loaded(query=query, limit="2").query == query
    assert loaded(query="x", limit="2") == loaded(query="x", limit="2")


def test_refuses_too_many_parameters() -> None:
    assert load_parameters(b"&".join([b"a=1"] * MAX_QUERY_PARAMETERS)).filters == {"a": "1"}
    with pytest.raises(RequestUnreadable) as refused:
        load_parameters(b"&".join([b"a=1"] * (MAX_QUERY_PARAMETERS + 1)))
    assert refused.value.detail == f"More than {MAX_QUERY_PARAMETERS} parameters"


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_loads_any_text_whatever(params: dict[str, str]) -> None:
    found = load_parameters("&".join(f"{name}={quote(text)}" for name, text in params.items()).encode())
    assert 0 <= found.limit < 2**31
    assert 0 <= found.offset < 2**31
    assert found.query == params.get("sysparm_query", "")


@given(st.binary(max_size=600))
def test_loads_any_bytes_whatever(query_string: bytes) -> None:
    assert isinstance(load_parameters(query_string), TableParameters)
