"""Conditions over facts: what passes, and which terms are refused instead of being dropped."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import ChangeRequest
from changegate.models.base import Entry
from changegate.services.state_models.conditions import parse_condition
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from tests.support.change_rows import insert_rows, world_of
from tests.support.table_api import TableApi

FACTS: dict[str, Any] = {
    "state": -5,
    "risk": 3,
    "on_hold": None,
    "unauthorized": False,
    "short_description": "Replace a Switch",
    "category": "Network",
    "assignment_group": "a" * 32,
    "close_notes": "",
    "description": None,
    "cmdb_ci": None,
    "reason": "",
    "correlation_id": "A_B",
    "start_date": datetime(2026, 1, 31, 8, tzinfo=UTC),
    "task.active": 2,
}
GROUP = "A" * 32


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("^EQ", True),
        ("task.active=2", True),
        ("task.active=0", False),
        ("task.active!=0", True),
        ("task.active>1^risk<=3", True),
        ("task.active>1^risk<3", False),
        ("risk<3^ORrisk>=3", True),
        ("risk<3^NQtask.active<3", True),
        ("risk=Moderate", True),
        ("stateINAssess,New", True),
        ("stateIN-4,-3", False),
        ("riskNOT IN2,3", False),
        ("on_hold!=true", True),
        ("on_hold=true", False),
        ("unauthorized=false", True),
        ("close_notesISEMPTY", True),
        ("close_notesISNOTEMPTY", False),
        ("close_notes=", True),
        ("risk=", False),
        ("assignment_group=", False),
        ("cmdb_ci=", True),
        ("reason=", True),
        # Text is compared in lower case, as by the database.
        ("correlation_id<ab", True),
        # A negation needs a value, except for booleans.
        ("description!=x", False),
        ("descriptionNOT LIKEx", False),
        ("descriptionLIKEx", False),
        ("description<x", False),
        ("descriptionBETWEENa@z", False),
        # The first @ separates the values.
        ("short_descriptionBETWEENa@q@z", False),
        ("short_descriptionBETWEENr@s", True),
        ("risk<4^risk>2^risk>=3^risk<=3", True),
        ("risk<3^ORrisk>3", False),
        ("short_descriptionLIKEswitch", True),
        ("short_descriptionSTARTSWITHREPLACE", True),
        ("short_descriptionENDSWITHswitch", True),
        ("short_descriptionSTARTSWITHswitch", False),
        ("short_descriptionNOT LIKErouter", True),
        ("category=NETWORK", True),
        (f"assignment_group={GROUP}", True),
        ("start_date>2026-01-31 07:59:59", True),
        ("start_dateBETWEEN2026-01-31 08:00:00@2026-01-31 09:00:00", True),
        ("start_date<2026-01-31 08:00:00", False),
    ],
)
def test_a_condition_passes_or_fails(app: Flask, text: str, passes: bool) -> None:
    with app.app_context():
        assert parse_condition(text).matches(FACTS) is passes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("task.activ=0", "'task.activ' is neither a field of a change nor one of the facts task.active, "),
        ("assignment_group.name=Network", "'assignment_group.name' is neither a field"),
        ("risk=4^nonsense", "'nonsense' is not a condition"),
        ("start_dateONToday@javascript:gs.beginningOfToday()@x", "ON is not possible here"),
        ("risk=4^ORDERBYnumber", "ORDERBYnumber sorts"),
        ("RLQUERYtask_ci.task,>=1^ENDRLQUERY", "RLQUERY and JOIN are not possible"),
        ("JOINchange_request.number=task.number!", "RLQUERY and JOIN are not possible"),
        ("risk=enormous", "Field risk: a whole number is expected"),
        ("risk=9", "Field risk: it is not one of the choices 1, 2, 3, 4"),
        ("category=Weather", "Field category: it is not one of the choices Hardware"),
        ("risk>", "a value is missing"),
        ("riskIN2,", "a value is missing"),
        ("task.active=many", "Field task.active: a whole number is expected"),
        ("task.activeLIKE1", "a piece of text is expected"),
        ("short_descriptionLIKE", "a piece of text is expected"),
        ("start_dateBETWEEN2026-01-31 08:00:00", "BETWEEN needs two values"),
        ("assignment_group=Network", "is not a sys_id"),
        ("short_description=javascript:gs.getUserID()", "is code"),
        ("close_notesISEMPTYx", "follows an operator that takes no value"),
        ("on_hold=maybe", "true or false is expected"),
    ],
)
def test_a_term_that_cannot_be_evaluated_is_refused_and_never_dropped(app: Flask, text: str, problem: str) -> None:
    with app.app_context(), pytest.raises(InputInvalid) as refusal:
        parse_condition(text, field="rule")
    assert problem in refusal.value.fields["rule"][0]


def test_a_value_comes_before_a_label_of_the_same_text(app: Flask) -> None:
    crossed = {"grade": Entry("choice", "Grade", choices={"a": "b", "b": "c"})}
    with app.app_context():
        assert parse_condition("grade=B", crossed).matches({"grade": "b"})
        assert parse_condition("grade=C", crossed).matches({"grade": "b"})
        assert not parse_condition("grade=b", crossed).matches({"grade": "a"})


def test_a_refusal_names_the_input_and_the_fact(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(InputInvalid, match=r"^condition: risk: a value is missing after the operator\.$"):
            parse_condition("state=0^risk>")
        assert parse_condition("risk=4^EQ").text == "risk=4^EQ"


def test_a_missing_fact_is_an_error_and_never_a_pass(app: Flask) -> None:
    with app.app_context(), pytest.raises(KeyError):
        parse_condition("task.active!=0").matches({})


def test_callers_may_add_facts(app: Flask) -> None:
    with app.app_context():
        condition = parse_condition("pipeline.changes>=20^risk=4", {"pipeline.changes": Entry("integer", "Changes")})
    assert condition.fields == ("pipeline.changes", "risk")
    assert condition.matches({"pipeline.changes": 20, "risk": 4})
    assert not condition.matches({"pipeline.changes": 19, "risk": 4})


@pytest.mark.parametrize(
    "text",
    [
        "priority=3^category=Network",
        "priority<3^ORrisk=2^on_hold=true",
        "riskISEMPTY^NQstate=-1",
        "short_descriptionLIKEwall^active=true",
        "on_hold!=true^categoryNOT INNetwork",
        "start_date>=2026-01-01 12:00:00^end_dateISNOTEMPTY",
        "orderBETWEEN0@10",
        "correlation_idSTARTSWITHfi",
        "description!=FIRE",
    ],
)
def test_a_condition_finds_what_the_same_query_finds_in_the_database(
    app: Flask, admin: dict[str, str], text: str
) -> None:
    with app.app_context():
        insert_rows()
        names = [column.key for column in ChangeRequest.__table__.columns]
        rows = [dict(zip(names, row, strict=True)) for row in db.session.execute(select(ChangeRequest.__table__))]
        passing = {row["number"] for row in rows if parse_condition(text).matches(row)}
        world = world_of(datetime(2026, 1, 31, tzinfo=UTC))
        assert passing == {row["number"] for row in rows if world.finds(parse_encoded_query(text), row)}
    assert 0 < len(passing) < len(rows)
    assert passing == set(TableApi(app.test_client(), admin).found(text, "number"))
