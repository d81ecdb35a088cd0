"""From text to conditions: rest_api.md §2.1, §2.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.tables.encoded_query import Condition, EncodedQuery, Order, parse_encoded_query

A, B, C, D = (Condition(name, "=", "1") for name in "abcd")


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("", ()),
        ("a=1", (((A,),),)),
        ("a=1^b=1", (((A,), (B,)),)),
        ("a=1^ORb=1^ORc=1", (((A, B, C),),)),
        ("a=1^b=1^ORc=1^d=1", (((A,), (B, C), (D,)),)),
        ("a=1^b=1^NQc=1^d=1", (((A,), (B,)), ((C,), (D,)))),
        ("a=1^NQb=1^ORc=1", (((A,),), ((B, C),))),
        ("a=1^EQ", (((A,),),)),
        ("^a=1^", (((A,),),)),
        ("^^^a=1", (((A,),),)),
        ("^EQ^NQ^EQ", ()),
        ("a=1^ORDERBYb^ORc=1", (((A, C),),)),
    ],
)
def test_joins_conditions_by_and_or_and_new_query(text: str, alternatives: object) -> None:
    assert parse_encoded_query(text).alternatives == alternatives


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("state!=3", ("state", "!=", "3")),
        ("state<=3", ("state", "<=", "3")),
        ("state>=-3", ("state", ">=", "-3")),
        ("state<3", ("state", "<", "3")),
        ("state>3", ("state", ">", "3")),
        ("stateIN-5,-4", ("state", "IN", "-5,-4")),
        ("stateNOT IN3,4", ("state", "NOT IN", "3,4")),
        ("nameLIKEfire", ("name", "LIKE", "fire")),
        ("nameNOT LIKEfire", ("name", "NOT LIKE", "fire")),
        ("nameSTARTSWITHfire", ("name", "STARTSWITH", "fire")),
        ("nameISEMPTY", ("name", "ISEMPTY", "")),
        ("nameISNOTEMPTY", ("name", "ISNOTEMPTY", "")),
        ("nameINfo", ("name", "IN", "fo")),
        ("f==", ("f", "=", "=")),
        ("f=", ("f", "=", "")),
        ("f=a=b@c,d e ", ("f", "=", "a=b@c,d e ")),
        ("f=line\nbreak", ("f", "=", "line\nbreak")),
        ("NUMBER=CHG1", ("number", "=", "CHG1")),
        ("assignment_group.name=Network", ("assignment_group.name", "=", "Network")),
        ("f=javascript:gs.now()", ("f", "=", "javascript:gs.now()")),
        ("f=a^^b", ("f", "=", "a^b")),
        ("f=^^^^", ("f", "=", "^^")),
        ("f=a^^ORb", ("f", "=", "a^ORb")),
        ("ORDER=1", ("order", "=", "1")),
    ],
)
def test_reads_field_operator_and_value(text: str, condition: tuple[str, str, str]) -> None:
    assert parse_encoded_query(text).alternatives == (((Condition(*condition),),),)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "=1",
        "sys_class_nameINSTANCEOFtask",
        "groupIN_HIERARCHYx",
        "stateVALCHANGES",
        "sys_created_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()",
        "RLQUERYsys_user_grmember.user,>=1",
        "JOINtask.parent=task.sys_id!x",
        "123TEXTQUERY321=words",
        "GROUPBYstate",
        "Field=1",
        "1a=2",
        "\0=1",
    ],
)
def test_drops_what_it_cannot_read_and_keeps_the_rest(text: str) -> None:
    assert parse_encoded_query(text) == EncodedQuery()
    assert parse_encoded_query(f"a=1^{text}^b=1").alternatives == (((A,), (B,)),)


def test_an_or_after_a_dropped_condition_does_not_widen_the_one_before() -> None:
    assert parse_encoded_query("a=1^nonsense^ORb=1").alternatives == (((A,), (B,)),)
    assert parse_encoded_query("a=1^b=1^ORnonsense").alternatives == (((A,), (B,)),)


def test_collects_orders_from_everywhere() -> None:
    query = parse_encoded_query("ORDERBYnumber^a=1^ORDERBYDESCstate^NQORDERBY b ^b=1")
    assert query.orders == (Order("number"), Order("state", is_descending=True), Order("b"))
    assert query.alternatives == (((A,),), ((B,),))


@given(st.text())
def test_parses_any_text_whatever(text: str) -> None:
    parse_encoded_query(text)


PIECES = [
    "^",
    "^^",
    "OR",
    "NQ",
    "ORDERBY",
    "DESC",
    "a",
    "b=",
    "=1",
    "IN",
    "NOT ",
    "LIKE",
    "EQ",
    ",",
    "\0",
    "\ud800",
    "é",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_parses_any_heap_of_its_own_words(text: str) -> None:
    for group in parse_encoded_query(text).alternatives:
        assert group
        assert all(group)


@given(st.text(st.characters(blacklist_characters="^", blacklist_categories=["Cs"])), st.text("a^"))
def test_a_value_comes_back_as_it_was_written(head: str, tail: str) -> None:
    value = f"x{head}{tail}"
    query = parse_encoded_query(f"a={value.replace('^', '^^')}^b=1")
    assert query.alternatives == (((Condition("a", "=", value),), (B,)),)
