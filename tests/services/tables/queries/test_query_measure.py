"""How much a query may ask, and that all of it runs on both databases."""

import pytest

from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.query_measure import MAX_QUERY_CONDITIONS, MAX_RELATED, MAX_VALUES
from tests.support.change_rows import HOW_MANY
from tests.support.queries import find

MANY = 2300
# PostgreSQL takes four times as long to plan twice as many of these. Half of them exceed the depth of 1,000, too.
ALTERNATIVES = "active=true^ORpriority!={}"
# A term, what joins many of it, and how many changes they find.
LONG = [
    ("number=CHX{}", "^OR", 0),
    ("short_descriptionLIKEx{}", "^OR", 0),
    ("nonsense={}", "^OR", HOW_MANY),
    ("assigned_to=user {}", "^OR", 0),
    ("assigned_to.name=user {}", "^OR", 0),
    ("short_descriptionNOT LIKEx{}^short_description!=x{}", "^", None),
    (ALTERNATIVES, "^", None),
    ("nonsense>{}", "^", HOW_MANY),
    ("number=CHX{}", "^NQ", 0),
    ("order=1{}^priority=4", "^NQ", 0),
]


@pytest.mark.usefixtures("at_work")
def test_takes_thousands_of_terms() -> None:
    for term, separator, expected in LONG:
        count = MANY // 2 if term == ALTERNATIVES else MANY
        found = find(separator.join(term.replace("{}", str(at)) for at in range(count)))
        assert len(found) == expected or (expected is None and found), term


@pytest.mark.usefixtures("at_work")
def test_takes_the_most_that_is_admitted_and_refuses_more() -> None:
    names = ",".join(f"user {at}" for at in range(MAX_VALUES - 1))
    assert find(f"assigned_toIN{names}") == []
    for query in (f"assigned_toNOT IN{names},one,more", "^OR".join(["order=1"] * (MAX_VALUES + 1))):
        with pytest.raises(RequestUnreadable) as caught:
            find(query)
        assert str(MAX_VALUES) in str(caught.value.detail)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    ("term", "most"),
    [
        ("numberLIKE{}", MAX_QUERY_CONDITIONS),
        ("start_dateDATEPARTx@javascript:gs.datePart('week','1','EE')", MAX_QUERY_CONDITIONS // 50),
        ("assigned_to!=user {},x", MAX_QUERY_CONDITIONS // 6),
    ],
)
def test_refuses_more_conditions_than_are_soon_compiled(term: str, most: int) -> None:
    find("^".join(term.format(at) for at in range(most // 5)))
    with pytest.raises(RequestUnreadable) as caught:
        find("^".join(term.format(at) for at in range(most + 1)))
    assert str(MAX_QUERY_CONDITIONS) in str(caught.value.detail)


@pytest.mark.usefixtures("at_work")
def test_counts_the_conditions_on_related_records_too() -> None:
    half = "^".join(f"numberLIKE{at}" for at in range(MAX_QUERY_CONDITIONS // 2))
    with pytest.raises(RequestUnreadable):
        find(f"{half}^RLQUERYchange_task.change_request,>=1^{half}^ENDRLQUERY")


@pytest.mark.usefixtures("at_work")
def test_refuses_too_many_counts_and_searches() -> None:
    count = "RLQUERYchange_task.change_request,=0^ENDRLQUERY"
    assert len(find("^".join([count] * MAX_RELATED))) == HOW_MANY
    assert find("^".join(["123TEXTQUERY321=a b c d e f g h i j k"] * 8)) == []
    searches = ["^".join(["123TEXTQUERY321=a"] * 21), "^".join(["123TEXTQUERY321=a b c d e f g h i j k"] * 20)]
    for query in ("^".join([count] * (MAX_RELATED + 1)), *searches):
        with pytest.raises(RequestUnreadable):
            find(query)
