"""A claim condition as form, file and command line send it: one meaning, or a sentence that says what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from changegate.models.claim_condition import OPERATORS, VALUE_TYPES
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.claim_condition_text import parse_condition_text, render_condition_text
from changegate.services.assertions.claim_conditions import load_conditions
from changegate.services.assertions.segment_glob import compile_glob
from tests.guards.documents import CODE, DOCS, blocks

SCHEMA = ClaimConditionSchema()
COMPLETE = {"claim": "x", "operator": "equals", "value": "y"}


def load(**sent: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = SCHEMA.load(COMPLETE | sent)
    return loaded


def value_of(value: Any, value_type: str = "string", operator: str = "equals") -> Any:
    return load(value=value, value_type=value_type, operator=operator)["value"]


def refused(**sent: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        load(**sent)
    ((name, (text,)),) = caught.value.messages_dict.items()
    return name, text


def test_loads_all_fields_with_careful_defaults() -> None:
    loaded = load(value=" 123 ")
    assert loaded == {"claim": "x", "operator": "equals", "value_type": "string", "value": "123", "report_only": False}
    assert list(SCHEMA.dump(loaded)) == ["claim", "operator", "value_type", "value", "report_only"]


@pytest.mark.parametrize(
    ("value_type", "value", "loaded"),
    [
        ("string", "a, b", "a, b"),
        ("number", "42", 42),
        ("number", " -1.50 ", -1.5),
        ("number", "1e3", 1000),
        ("number", 5.0, 5),
        ("number", 0, 0),
        ("number", str(2**53 - 1), 2**53 - 1),
        ("boolean", "True", True),
        ("boolean", "false", False),
        ("boolean", False, False),
        ("list", "a\r\n\n b \na", ["a", "b"]),
        ("list", ["a", "", " b "], ["a", "b"]),
    ],
)
def test_a_value_may_be_given_as_json_or_text(value_type: str, value: Any, loaded: Any) -> None:
    read = value_of(value, value_type)
    assert (read, type(read)) == (loaded, type(loaded))


@pytest.mark.parametrize(
    ("value_type", "value", "loaded"),
    [
        ("string", "a\nb c", ["a", "b c"]),
        ("string", ("a", "b"), ["a", "b"]),
        ("number", "1\n2.5\n1.0", [1, 2.5]),
        ("number", [3, "4"], [3, 4]),
    ],
)
def test_one_of_takes_a_list_or_one_value_a_line(value_type: str, value: Any, loaded: Any) -> None:
    assert value_of(value, value_type, "one_of") == loaded


def test_contains_looks_into_a_list_whatever_the_form_leaves_the_type_at() -> None:
    for value_type in ("list", "string", "", None):
        loaded = load(operator="contains", value="dev", value_type=value_type)
        assert (loaded["value"], loaded["value_type"]) == ("dev", "list")


def test_exists_compares_with_nothing() -> None:
    loaded = load(operator="exists", value="  ", value_type="number")
    assert (loaded["value"], loaded["value_type"]) == (None, "string")


@pytest.mark.parametrize(
    ("sent", "name", "words"),
    [
        ({"claim": " "}, "claim", "Name the claim"),
        ({"claim": "x" * 256}, "claim", "At most 255"),
        ({"claim": "a\nb"}, "claim", "Control characters"),
        ({"claim": "a\u202eb"}, "claim", "Control characters"),
        ({"claim": "/"}, "claim", "Between two slashes"),
        ({"claim": "/https://sts.example/account"}, "claim", "slash in a name is written ~1"),
        ({"claim": "/a/"}, "claim", "Between two slashes"),
        ({"claim": "/a~2"}, "claim", "~ is written ~0"),
        ({"claim": "/a~"}, "claim", "~ is written ~0"),
        ({"claim": "/1/2/3/4/5/6/7/8/9"}, "claim", "at most 8 steps"),
        ({"operator": "matches"}, "operator", "Choose one of: equals, one_of, glob"),
        ({"operator": ""}, "operator", "Choose one of"),
        ({"value_type": "integer"}, "value_type", "Choose one of: string, number, boolean, list"),
        ({"value": None}, "value", "Give the value"),
        ({"value": " "}, "value", "Give the value"),
        ({"value": 123}, "value", "write it in quotes"),
        ({"value": True}, "value", "write it in quotes"),
        ({"value": ["a"]}, "value", "Give a text"),
        ({"value": "x" * 1001}, "value", "At most 1000"),
        ({"value": "a\x00b"}, "value", "Control characters"),
        ({"value": "12a", "value_type": "number"}, "value", "Give a number"),
        ({"value": True, "value_type": "number"}, "value", "Give a number"),
        ({"value": "0x10", "value_type": "number"}, "value", "Give a number"),
        ({"value": "1_000", "value_type": "number"}, "value", "Give a number"),
        ({"value": "\u0661", "value_type": "number"}, "value", "Give a number"),
        ({"value": "9" * 5000, "value_type": "number"}, "value", "Give a number"),
        ({"value": 2**53, "value_type": "number"}, "value", "Use a string"),
        ({"value": "-9007199254740992", "value_type": "number"}, "value", "Use a string"),
        ({"value": "1e999", "value_type": "number"}, "value", "Use a string"),
        ({"value": float("nan"), "value_type": "number"}, "value", "Use a string"),
        ({"value": float("inf"), "value_type": "number"}, "value", "Use a string"),
        ({"value": 10**400, "value_type": "number"}, "value", "Use a string"),
        ({"value": "yes", "value_type": "boolean"}, "value", "true or false"),
        ({"value": 1, "value_type": "boolean"}, "value", "true or false"),
        ({"value": {"a": 1}, "value_type": "list"}, "value", "Give a list"),
        ({"value": [], "value_type": "list"}, "value", "at least one"),
        ({"value": ["", " "], "value_type": "list"}, "value", "at least one"),
        ({"value": ["a", 1], "value_type": "list"}, "value", "write it in quotes"),
        ({"value": ["a", None], "value_type": "list"}, "value", "Give a text"),
        ({"value": [str(n) for n in range(51)], "value_type": "list"}, "value", "At most 50"),
        ({"operator": "one_of", "value": ["a", ["b"]]}, "value", "Give a text"),
        ({"operator": "one_of", "value": "1\nx", "value_type": "number"}, "value", "Give a number"),
        ({"operator": "one_of", "value": [True], "value_type": "boolean"}, "value_type", "For a boolean use equals"),
        ({"operator": "one_of", "value": ["a"], "value_type": "list"}, "value_type", "for a list contains"),
        ({"operator": "glob", "value": ""}, "value", "Give the value"),
        ({"operator": "glob", "value": "a/**"}, "value", "** is not a wildcard"),
        ({"operator": "glob", "value": "4*", "value_type": "number"}, "value_type", "choose the type string"),
        ({"operator": "contains", "value": "1", "value_type": "number"}, "value_type", "choose the type list"),
        ({"operator": "exists", "value": "y"}, "value", "compares with nothing"),
        ({"value": "y", "report_only": "perhaps"}, "report_only", "boolean"),
        ({"value": "y", "reportonly": True}, "reportonly", "Unknown field"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_refuses_what_cannot_be_compared_exactly_and_says_why(sent: dict[str, Any], name: str, words: str) -> None:
    found, text = refused(**sent)
    assert found == name
    assert words in text
    # Checking alone, as the form does before it saves, finds the same.
    assert SCHEMA.validate(COMPLETE | sent) == {name: [text]}


def test_a_refusal_names_the_claim_it_is_about() -> None:
    assert refused(claim="ref", operator="glob", value="**")[1].startswith("Condition on ref: ")
    assert refused(claim="a\x1bb", value="1")[1].startswith("Condition on a\ufffdb: ")


def test_the_conditions_of_a_list_are_each_refused_by_name() -> None:
    problems = ClaimConditionSchema(many=True).validate(["ref glob **", "x equals y", 5, {"operator": "exists"}])
    assert problems[0]["value"][0].startswith("Condition on ref glob **: ")
    assert sorted(problems) == [0, 2, 3]
    assert ClaimConditionSchema(many=True).validate(["x equals y", "x"]).keys() == {"_schema"}


@pytest.mark.parametrize("sent", [None, 5, [], ["x equals y"], True])
def test_an_invalid_condition_is_refused(sent: Any) -> None:
    with pytest.raises(ValidationError):
        SCHEMA.load(sent)


@pytest.mark.parametrize(
    ("line", "loaded"),
    [
        ("repository_id equals 123456", ("repository_id", "equals", "string", "123456", False)),
        ("  ref   glob  refs/heads/* ", ("ref", "glob", "string", "refs/heads/*", False)),
        ("name equals two words", ("name", "equals", "string", "two words", False)),
        ("environment one_of a, b,c", ("environment", "one_of", "string", ["a", "b", "c"], False)),
        ('dn one_of ["cn=a,ou=b"]', ("dn", "one_of", "string", ["cn=a,ou=b"], False)),
        ("attempt equals:number 1", ("attempt", "equals", "number", 1, False)),
        ("attempt one_of:number 1, 2.5", ("attempt", "one_of", "number", [1, 2.5], False)),
        ("ok equals:boolean true", ("ok", "equals", "boolean", True, False)),
        ("groups equals:list a, b", ("groups", "equals", "list", ["a", "b"], False)),
        ("/realm/roles contains a, b", ("/realm/roles", "contains", "list", "a, b", False)),
        ("zone exists", ("zone", "exists", "string", None, False)),
        ("report-only: zone exists", ("zone", "exists", "string", None, True)),
        ("report-only:zone exists", ("zone", "exists", "string", None, True)),
        ('"my claim" equals "\\"quoted\\""', ("my claim", "equals", "string", '"quoted"', False)),
        ('"report-only:x" exists', ("report-only:x", "exists", "string", None, False)),
        ('"report-only:" equals [x]', ("report-only:", "equals", "string", "[x]", False)),
        ("number:1 equals number:1", ("number:1", "equals", "string", "number:1", False)),
    ],
)
def test_a_condition_may_be_written_in_a_line(line: str, loaded: tuple[Any, ...]) -> None:
    assert tuple(SCHEMA.load(line).values()) == loaded


@pytest.mark.parametrize(
    "line",
    [
        *("", " ", "x", "report-only:", '"x', "x equals", "x = 1", "x equals:number one", "x equals:", "x :number 1"),
        *(
            'x equals "a" b',
            'x one_of ["a"] b',
            "x one_of [a]",
            'x one_of ["a"',
            "x one_of ,",
            "x exists y",
            '"" exists',
        ),
        "x one_of " + "[" * 100_000,
    ],
    ids=lambda line: line[:20],
)
def test_an_invalid_line_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        SCHEMA.load(line)


texts = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from(' ,"[:~/*'), min_size=1, max_size=20
).map(str.strip)
words = texts.filter(lambda text: text.isprintable() and text != "")
names = words.filter(lambda name: not name.startswith("/")) | st.sampled_from(
    ["/a/b", "report-only:", "report-only:x", "/a~1b", '"']
)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e6, 1e6)
members = st.lists(words, min_size=1, max_size=4)
contents = st.one_of(
    st.tuples(st.just("equals"), st.just("string"), words),
    st.tuples(st.just("equals"), st.just("number"), numbers),
    st.tuples(st.just("equals"), st.just("boolean"), st.booleans()),
    st.tuples(st.just("equals"), st.just("list"), members),
    st.tuples(st.just("one_of"), st.just("string"), members),
    st.tuples(st.just("one_of"), st.just("number"), st.lists(numbers, min_size=1, max_size=4)),
    st.tuples(st.just("glob"), st.just("string"), words.filter(lambda text: "**" not in text)),
    st.tuples(st.just("contains"), st.just("list"), words),
    st.tuples(st.just("exists"), st.just("string"), st.none()),
)


@st.composite
def loaded_conditions(draw: st.DrawFn) -> dict[str, Any]:
    operator, value_type, value = draw(contents)
    sent = {"claim": draw(names), "operator": operator, "value_type": value_type, "value": value}
    loaded: dict[str, Any] = SCHEMA.load(sent | {"report_only": draw(st.booleans())})
    return loaded


@given(loaded_conditions())
def test_what_was_loaded_goes_through_every_form_unchanged(loaded: dict[str, Any]) -> None:
    assert SCHEMA.load(SCHEMA.dump(loaded)) == loaded
    line = render_condition_text(loaded)
    assert "\n" not in line
    assert SCHEMA.load(line) == loaded
    assert SCHEMA.load(parse_condition_text(line)) == loaded
    value = loaded["value"]
    typed = "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    assert SCHEMA.load({name: str(field) for name, field in loaded.items()} | {"value": typed}) == loaded


@given(loaded_conditions())
def test_the_engine_understands_whatever_the_schema_lets_through(loaded: dict[str, Any]) -> None:
    (condition,) = load_conditions([loaded])
    assert condition.is_understood
    assert condition.report_only is loaded["report_only"]


@given(
    st.sampled_from([*OPERATORS]), st.sampled_from([*VALUE_TYPES]), st.sampled_from(["1", 1, "true", True, ["a"], ""])
)
def test_every_choice_of_the_form_is_loaded_or_explained(operator: str, value_type: str, value: Any) -> None:
    try:
        loaded = load(operator=operator, value_type=value_type, value=value)
    except ValidationError as problem:
        assert all(text.endswith(".") for texts in problem.messages_dict.values() for text in texts)
    else:
        assert load_conditions([loaded])[0].is_understood


PAGE = DOCS / "claim-conditions.md"


@pytest.mark.parametrize("line", blocks(PAGE, "text")[0].splitlines())
def test_the_documented_lines_are_loaded(line: str) -> None:
    assert load_conditions([SCHEMA.load(line)])[0].is_understood


def test_the_documented_patterns_admit_what_the_page_says() -> None:
    rows = [[CODE.findall(cell) for cell in row.split("|")[1:4]] for row in PAGE.read_text().splitlines() if "*" in row]
    examples = [row for row in rows if len(row) == 3 and all(row)]
    assert len(examples) == 4
    for (pattern,), admitted, refused in examples:
        assert all(compile_glob(pattern)(text) for text in admitted)
        assert not any(compile_glob(pattern)(text) for text in refused)
