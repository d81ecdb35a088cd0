"""From a query to its clause and order: what is dropped, what is refused, and what it costs."""

import pytest
from flask import Flask
from sqlalchemy import insert, text

from changegate.database import connection
from changegate.models import SysChoice
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.clauses import where_clause
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.registry import get_table
from changegate.services.tables.walks import Walks
from tests.support.change_rows import HOW_MANY, insert_rows
from tests.support.queries import ROOT, find
from tests.support.statements import counted_statements

ANN = Caller("a" * 32, "ann", Permissions(frozenset()))


def where(query: str, caller: Caller = ROOT) -> object:
    return where_clause(Walks(get_table("change_request"), caller.permissions), parse_encoded_query(query), caller)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "nonsense=1",
        "numberLIKE",
        "order=many",
        "order<",
        "orderLIKE1",
        "active=maybe",
        "start_date>soon",
        "start_dateLIKE2026",
        "orderBETWEEN1",
        "orderBETWEEN1@",
        "orderINx,y",
        "numberONToday",
        "start_dateONsomeday",
        "start_dateON@a@b",
        "start_dateON@2026-01-01",
        "start_dateRELATIVEGT@hour@ago",
        "start_dateRELATIVEGT@fortnight@ago@1",
        "start_dateRELATIVEGT@hour@since@1",
        "start_dateRELATIVEGT@year@ago@999999",
        "start_dateRELATIVEEE@year@ahead@7973",
        "orderRELATIVEGT@hour@ago@1",
        "start_dateDATEPARTx",
        "start_dateDATEPARTx@javascript:gs.datePart('year','2026')",
        "start_dateDATEPARTx@javascript:gs.datePart('century','21','EE')",
        "start_dateDATEPARTx@javascript:gs.datePart('month','smarch','EE')",
        "start_dateDATEPARTx@javascript:gs.datePart('year','2026','NE')",
        "start_dateDATEPARTx@javascript:gs.daysAgo(1)",
        "cab_dateDATEPARTx@javascript:gs.datePart('hour','8','EE')",
        "numberDATEPARTx@javascript:gs.datePart('year','2026','EE')",
        "start_dateSAMEASnumber",
        "start_dateSAMEASnonsense",
        "start_dateSAMEASend_date@fortnight",
        "numberSAMEAScorrelation_id@day",
        "start_dateMORETHANend_date@day@before",
        "start_dateMORETHANend_date@day@beside@1",
        "start_dateMORETHANend_date@fortnight@before@1",
        "start_dateMORETHANend_date@day@before@many",
        "start_dateMORETHANnumber@day@before@1",
        "numberMORETHANend_date@day@before@1",
        "assigned_toDYNAMICd6435e965f510100a9ad2572f2b477fe",
        "assignment_groupDYNAMIC90d1921e5f510100a9ad2572f2b477fe",
        "sys_class_nameINSTANCEOF",
        "number=javascript:alert(1)",
        "numberINjavascript:alert(1)",
        "numberLIKEjavascript:gs.getProperty('x')",
        "123TEXTQUERY321= ",
    ],
)
def test_drops_a_term_that_makes_no_sense(app: Flask, query: str) -> None:
    with app.app_context():
        assert where(query) is None
        assert where(f"{query}^active=true") is not None


class TestWhereInvalidTermsFindNothing:
    """With the setting of that name, a query with a bad term has no rows."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"invalid_query_returns_no_rows": "1"}

    @pytest.mark.parametrize(
        "query",
        [
            "nonsense=1",
            "nonsense",
            "active=true^ORorder=many",
            "RLQUERYchange_task.change_request,=0^nonsense=1^ENDRLQUERY",
            "RLQUERYchange_task.change_request,=0^nonsense^ENDRLQUERY",
        ],
    )
    def test_a_query_with_a_bad_term_finds_nothing(self, app: Flask, query: str) -> None:
        with app.app_context():
            insert_rows()
            assert find(query) == []
            assert len(find("")) == HOW_MANY
            assert len(find("ORDERBYnonsense")) == HOW_MANY


NEGATIONS = ["close_code!=successful", "close_codeNOT INsuccessful", "close_codeNOT LIKEsucc", "close_code!=nonsense"]


class TestWhereNegationIncludesEmpty:
    """With the setting of that name, what has no value is something else too."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"negation_includes_empty": "1"}

    @pytest.mark.parametrize("query", NEGATIONS)
    def test_what_has_no_value_is_found(self, app: Flask, query: str) -> None:
        with app.app_context():
            insert_rows()
            empty = set(find("close_codeISEMPTY"))
            assert empty and empty <= set(find(query))


@pytest.mark.parametrize("query", NEGATIONS)
def test_by_default_what_has_no_value_is_nothing_else(app: Flask, query: str) -> None:
    with app.app_context():
        insert_rows()
        assert set(find("close_codeISEMPTY")).isdisjoint(find(query))


@pytest.mark.usefixtures("at_work")
def test_a_field_that_the_caller_may_not_read_is_not_found() -> None:
    assert where("assigned_to.employee_number=1") is not None
    assert where("assigned_to.employee_number=1", ANN) is None
    assert where("user_password=x") is where("assigned_to.user_password=x") is None


@pytest.mark.usefixtures("at_work")
def test_a_name_stands_only_for_a_record_that_the_caller_may_see() -> None:
    connection().execute(text("UPDATE task SET parent = (SELECT sys_id FROM task t WHERE t.number = 'CHG0000001')"))
    connection().execute(text(f"UPDATE task SET opened_by = '{ANN.sys_id}' WHERE number = 'CHG0000002'"))
    assert len(find("parent=chg0000001")) == len(find("parentLIKE0001")) == HOW_MANY
    assert find("", ANN, shown="number") == ["CHG0000002"]
    assert find("parent=chg0000001", ANN) == find("parentLIKE0001", ANN) == []


@pytest.mark.usefixtures("at_work")
def test_a_search_finds_every_word_in_any_field() -> None:
    expected = [
        number
        for number in find("short_descriptionLIKEfire^ORdescriptionLIKEfire", shown="number")
        if number in find("short_descriptionLIKEwall^ORdescriptionLIKEwall", shown="number")
    ]
    assert find("123TEXTQUERY321=FIRE  wall", shown="number") == expected != []


@pytest.mark.usefixtures("at_work")
def test_labels_are_those_of_the_choices_that_are_stored() -> None:
    choice = {"name": "change_request", "element": "category", "language": "en"}
    connection().execute(SysChoice.__table__.delete().where(SysChoice.element == "category"))
    connection().execute(insert(SysChoice.__table__), [{**choice, "value": "Network", "label": "Cables"}])
    assert find("category=cables", shown="number") == find("category=NETWORK", shown="number") != []


@pytest.mark.usefixtures("at_work")
def test_labels_cost_one_statement_for_each_field() -> None:
    with counted_statements() as statements:
        where("^OR".join(["state=closed", "state=new", "stateINreview,scheduled", "state=-5", "priority=4"]))
    assert len(statements) == 1
