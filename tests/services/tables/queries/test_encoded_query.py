"""From text to conditions: docs/reference/encoded-queries.md#grammar and #precedence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changegate.services.tables.queries.encoded_query import (
    Condition,
    EncodedQuery,
    Joined,
    Order,
    RelatedCount,
    parse_encoded_query,
    render_encoded_query,
)

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
        ("a=1^GROUPBYb^ORc=1", (((A, C),),)),
        ("ORa=1^ORb=1", (((A, B),),)),
        ("a=1^NQORb=1", (((A,),), ((B,),))),
        ("NQNQa=1^NQ", (((A,),),)),
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
        ("nameENDSWITHfire", ("name", "ENDSWITH", "fire")),
        ("name%fire", ("name", "ENDSWITH", "fire")),
        ("name*fire", ("name", "LIKE", "fire")),
        ("nameCONTAINSfire", ("name", "LIKE", "fire")),
        ("name!*fire", ("name", "NOT LIKE", "fire")),
        ("nameNOTLIKEfire", ("name", "NOT LIKE", "fire")),
        ("nameDOES NOT CONTAINfire", ("name", "NOT LIKE", "fire")),
        ("nameDOESNOTCONTAINfire", ("name", "NOT LIKE", "fire")),
        ("stateNOTIN3,4", ("state", "NOT IN", "3,4")),
        ("nameEMPTY", ("name", "ISEMPTY", "")),
        ("nameNOTEMPTY", ("name", "ISNOTEMPTY", "")),
        ("nameEMPTYSTRING", ("name", "ISEMPTY", "")),
        ("nameANYTHING", ("name", "ANYTHING", "")),
        ("stateBETWEEN1@3", ("state", "BETWEEN", "1@3")),
        ("start_dateSAMEASend_date@day", ("start_date", "SAMEAS", "end_date@day")),
        ("start_dateNSAMEASend_date", ("start_date", "NSAMEAS", "end_date")),
        ("aGT_FIELDb", ("a", "GT_FIELD", "b")),
        ("aLT_FIELDb", ("a", "LT_FIELD", "b")),
        ("aGT_OR_EQUALS_FIELDb", ("a", "GT_OR_EQUALS_FIELD", "b")),
        ("aLT_OR_EQUALS_FIELDb", ("a", "LT_OR_EQUALS_FIELD", "b")),
        ("aMORETHANb@day@before@3", ("a", "MORETHAN", "b@day@before@3")),
        ("aLESSTHANb@day@after@3", ("a", "LESSTHAN", "b@day@after@3")),
        ("aONToday", ("a", "ON", "Today")),
        ("aNOTONThis week@x@y", ("a", "NOTON", "This week@x@y")),
        ("aRELATIVEGT@hour@ago@2", ("a", "RELATIVEGT", "@hour@ago@2")),
        ("aRELATIVELTE@hour@ago@2", ("a", "RELATIVELE", "@hour@ago@2")),
        ("aRELATIVEEE@hour@ago@2", ("a", "RELATIVEEE", "@hour@ago@2")),
        ("aDATEPARTx@javascript:gs.y()", ("a", "DATEPART", "x@javascript:gs.y()")),
        ("aDYNAMICid", ("a", "DYNAMIC", "id")),
        ("sys_class_nameINSTANCEOFtask", ("sys_class_name", "INSTANCEOF", "task")),
        ("123TEXTQUERY321=two words", ("123TEXTQUERY321", "=", "two words")),
    ],
)
def test_reads_field_operator_and_value(text: str, condition: tuple[str, str, str]) -> None:
    assert parse_encoded_query(text).alternatives == (((Condition(*condition),),),)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "=1",
        "groupIN_HIERARCHYx",
        "groupIN_HIERARCHY_DYNAMICx",
        "stateVALCHANGES",
        "stateCHANGESFROM1",
        "stateCHANGESTO1",
        "nameMATCH_PATx",
        "nameMATCH_RGXx",
        "nameKEYWORDSx",
        "tagsDOESNOTHAVEx",
        "tagsEXCLUDINGx",
        "RLQUERYsys_user_grmember.user,>=many^c=1^ENDRLQUERY",
        "RLQUERYnofield,>=1^c=1^ENDRLQUERY",
        "JOINtask.parent=task.sys_id!x",
        "123TEXTINDEXGROUP321=words",
        "ORDERBY",
        "ORDERBY=1",
        "Field=1",
        "1a=2",
        "\0=1",
    ],
)
def test_drops_invalid_terms_and_keeps_the_others(text: str) -> None:
    item = text.split("^")[0]
    assert parse_encoded_query(text) == EncodedQuery(unreadable=(item,))
    assert parse_encoded_query(f"a=1^{text}^b=1") == EncodedQuery((((A,), (B,)),), unreadable=(item,))


def test_an_or_after_a_dropped_condition_does_not_widen_the_one_before() -> None:
    assert parse_encoded_query("a=1^nonsense^ORb=1").alternatives == (((A,), (B,)),)
    assert parse_encoded_query("a=1^b=1^ORnonsense").alternatives == (((A,), (B,)),)


def test_collects_orders_from_everywhere() -> None:
    query = parse_encoded_query("ORDERBYnumber^a=1^ORDERBYDESCstate^NQORDERBY b ^b=1")
    assert query.orders == (Order("number"), Order("state", is_descending=True), Order("b"))
    assert query.alternatives == (((A,),), ((B,),))


def test_reads_a_condition_on_related_records() -> None:
    text = "a=1^RLQUERYchange_task.change_request,>=2,m2m^b=1^ORc=1^ORDERBYx^ENDRLQUERY^d=1"
    within = EncodedQuery((((B, C),),), (Order("x"),))
    related = RelatedCount("change_task", "change_request", ">=", 2, within)
    assert parse_encoded_query(text).alternatives == (((A,), (related,), (D,)),)


def test_reads_related_records_of_related_records_to_a_depth() -> None:
    head, end = "RLQUERYt.f,=0", "ENDRLQUERY"
    twice = parse_encoded_query(f"{head}^a=1^{head}^b=1^{end}^{end}^c=1")
    inner = RelatedCount("t", "f", "=", 0, EncodedQuery((((B,),),)))
    outer = RelatedCount("t", "f", "=", 0, EncodedQuery((((A,), (inner,)),)))
    assert twice == EncodedQuery((((outer,), (C,)),))
    deep = parse_encoded_query("^".join([head] * 5000 + ["a=1"] + [end] * 5000 + ["c=1"]))
    assert deep.alternatives[0][-1] == (C,)
    assert "unreadable=('RLQUERYt.f,=0',)" in repr(deep)


def test_a_related_list_without_its_end_extends_to_the_end_of_the_query() -> None:
    [[[related]]] = parse_encoded_query("RLQUERYt.f,=0^a=1^b=1").alternatives
    assert related == RelatedCount("t", "f", "=", 0, EncodedQuery((((A,), (B,)),)))


@pytest.mark.parametrize(("text", "condition"), [("", None), ("a=1", A), ("a=x^^y", Condition("a", "=", "x^y"))])
def test_reads_a_join(text: str, condition: Condition | None) -> None:
    query = parse_encoded_query(f"JOINtask.parent=sla.task!{text}^b=1")
    assert query.alternatives == (((Joined("task", "parent", "sla", "task", condition),), (B,)),)


def test_an_or_may_stand_before_related_records() -> None:
    [[[first, related]]] = parse_encoded_query("a=1^ORRLQUERYt.f,=0^b=1^ENDRLQUERY").alternatives
    assert (first, related) == (A, RelatedCount("t", "f", "=", 0, EncodedQuery((((B,),),))))


@given(st.text())
def test_parses_any_text_whatever(text: str) -> None:
    parse_encoded_query(text)


PIECES = [
    *(
        "^",
        "^",
        "^^",
        "OR",
        "NQ",
        "ORDERBY",
        "GROUPBY",
        "DESC",
        "EQ",
        "RLQUERY",
        "ENDRLQUERY",
        "RLQUERYt.f,>=1",
        "JOIN",
        "JOINt.f=o.g!",
    ),
    *("a", "b=", "=1", "IN", "NOT ", "LIKE", "ON", "RELATIVELT", "E@", "STANCEOF", "EMPTY", "STRING", "%", "*", "!"),
    *("ORDERBYDESC", "ORDERBY DESC", "GROUPBYORDERBY", "123TEXTQUERY321=", ",", " ", "A=", "\0", "\ud800", "é"),
]
HEAPS = st.lists(st.sampled_from(PIECES)).map("".join)


@given(HEAPS)
def test_parses_any_heap_of_its_own_words(text: str) -> None:
    for group in parse_encoded_query(text).alternatives:
        assert group
        assert all(group)


@settings(max_examples=300)
@given(st.one_of(HEAPS, st.text("aO=RNQ^ "), st.text()))
def test_a_rendered_query_parses_to_the_same_query(text: str) -> None:
    query = parse_encoded_query(text)
    assert parse_encoded_query(render_encoded_query(query)) == query


@given(st.text(st.characters(blacklist_characters="^", blacklist_categories=["Cs"])), st.text("a^"))
def test_a_value_comes_back_as_it_was_written(head: str, tail: str) -> None:
    value = f"x{head}{tail}"
    query = parse_encoded_query(f"a={value.replace('^', '^^')}^b=1")
    assert query.alternatives == (((Condition("a", "=", value),), (B,)),)
