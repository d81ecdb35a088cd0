"""Statements of lists are shared by their shape: it decides the SQL, and every query finds its own rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from changegate.database import connection, positional
from changegate.database.dialects import analyze
from changegate.extensions import db
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.clauses import where_clause
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.registry import get_table
from changegate.services.tables.walks import Walks
from tests.services.tables.queries.query_texts import Pair, condition_pairs
from tests.support.change_rows import HOW_MANY, insert_rows
from tests.support.queries import ROOT, find

CHANGES = get_table("change_request")
ANN = Caller("a" * 32, "ann", Permissions(frozenset()))
CALLERS = [ROOT, ANN, replace(ROOT, time_zone=ZoneInfo("Asia/Kolkata"))]
WORDS = ["fire", "wall", "%", "Ann", "ann", "a,b", "1", "a" * 32, ""]
# One of each kind, so that shapes recur.
FIELDS = (
    *("short_description", "number", "state", "active", "start_date", "cab_date", "category"),
    *("assigned_to", "assignment_group.manager.name"),
)
# Conditions that a plain reading in Python does not know, with a place for a value.
OTHERS = [
    "123TEXTQUERY321={}",
    "RLQUERYchange_task.change_request,<=0^ENDRLQUERY",
    "RLQUERYchange_task.change_request,<=1^ENDRLQUERY",
    "RLQUERYchange_task.change_request,=0^short_descriptionLIKE{}^ORassigned_to={}^ENDRLQUERY",
    "RLQUERYtask.parent,=0^RLQUERYtask.parent,<1^parent.number={}^ENDRLQUERY^ENDRLQUERY",
    "JOINchange_request.assigned_to=sys_user.sys_id!name={}",
    "JOINchange_request.short_description=task.description!assigned_to.nameSTARTSWITH{}",
    "assigned_toDYNAMIC90d1921e5f510100a9ad2572f2b477fe",
    "sys_class_nameINSTANCEOF{}task",
    "start_dateMORETHANend_date@day@before@{}",
    "start_dateLESSTHANend_date@hour@after@{}1",
    "start_dateRELATIVEEE@month@ago@{}",
    "start_dateSAMEASend_date@month",
    "number={}",
    "numberIN{},x",
    "parent.parent.numberLIKE{}",
    "opened_by.manager={}",
]


@st.composite
def other_pairs(draw: st.DrawFn) -> Pair:
    text, words = draw(st.sampled_from(OTHERS)), st.sampled_from(WORDS)
    return text.replace("{}", draw(words)), text.replace("{}", draw(words))


@st.composite
def query_pairs(draw: st.DrawFn) -> Pair:
    """Return two queries that differ in their values, and perhaps in what joins their conditions."""
    conditions = draw(st.lists(condition_pairs(FIELDS) | other_pairs(), min_size=1, max_size=2))
    order = draw(st.sampled_from(["", "^ORDERBYpriority", "^ORDERBYDESCassigned_to", "^ORDERBYparent.parent"]))
    texts = (draw(st.sampled_from(["^", "^OR", "^NQ"])).join(each) for each in zip(*conditions, strict=True))
    return tuple(text + order for text in texts)  # type: ignore[return-value]


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = lambda: datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    with either_app.app_context():
        insert_rows()
        db.session.commit()
        # As the upkeep does: without statistics, PostgreSQL expects one task, and joins each task with all others.
        analyze(["task"])
        yield


def shape_and_sql(text: str, caller: Caller) -> tuple[Any, str]:
    """Return the shape of a query, and its SQL: placeholders for its values, and the constants of the statement."""
    walks = Walks(CHANGES, caller.permissions)
    condition = where_clause(walks, parse_encoded_query(text), caller)
    if condition is None:
        return walks.scope, ""
    statement = select(CHANGES.columns["sys_id"]).select_from(walks.source).where(condition.build_named())
    compiled: Any = statement.compile(dialect=positional(connection().dialect))
    constants = [bind.value for bind in compiled.bind_names if bind.unique]
    return (walks.scope, condition.shape), f"{compiled.construct_expanded_state().statement} {constants}"


class SqlOfShapes:
    """The SQL of the shapes so far, over all examples."""

    def __init__(self) -> None:
        self._known: dict[Any, str] = {}

    def require_same(self, text: str, caller: Caller) -> None:
        shape, sql = shape_and_sql(text, caller)
        assert self._known.setdefault(shape, sql) == sql


@pytest.fixture
def known(at_work: None) -> SqlOfShapes:
    return SqlOfShapes()


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=query_pairs(), caller=st.sampled_from(CALLERS))
@example(texts=("stateIN-5,0^ORDERBYnumber", "stateIN-5,0,3^ORDERBYnumber"), caller=ROOT)
def test_queries_of_one_shape_have_the_same_sql_and_each_finds_its_own_rows(
    known: SqlOfShapes, texts: Pair, caller: Caller
) -> None:
    for text in texts:
        known.require_same(text, caller)
        matching = Matching(CHANGES, caller, parse_encoded_query(text))
        expected = find(text, caller, shown="sys_id")
        page, total = matching.list_and_count(HOW_MANY, 0)
        assert (page.sys_ids, total) == (expected, len(expected))


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("text", ["123TEXTQUERY321=e^ORDERBYnumber", "descriptionLIKEwall^ORDERBYDESCsys_created_on"])
def test_a_search_in_texts_finds_the_page_after_a_key_and_counts_all(text: str) -> None:
    query, expected = parse_encoded_query(text), find(text, shown="sys_id")
    begun = Matching(CHANGES, ROOT, query)
    page, _ = begun.list_and_count(2, 0)
    following = Matching(CHANGES, ROOT, query, begun.key_of(page, 2))
    rest, total = following.list_and_count(HOW_MANY, 0)
    assert following.begins_after
    assert (page.sys_ids + rest.sys_ids, total) == (expected, len(expected))
    assert total > 3


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "ORDERBYDESCsys_id",
        "active=true^ORDERBYnumber",
        "ORDERBYDESCstart_date",
        "ORDERBYassignment_group^ORDERBYDESCstart_date",
        "assigned_to.nameISNOTEMPTY^ORDERBYDESCassigned_to.manager.name",
        "123TEXTQUERY321=e^ORDERBYDESCsys_created_on",
        "123TEXTQUERY321=e^ORDERBYDESCsys_created_on^ORDERBYDESCnumber",
        "123TEXTQUERY321=e^ORDERBYpriority^ORDERBYDESCstart_date^ORDERBYassigned_to",
        "123TEXTQUERY321=e^ORDERBYpriority^ORDERBYsys_id",
        "123TEXTQUERY321=e^ORDERBYstart_date",
        "number=none",
    ],
)
def test_a_page_far_from_the_beginning_is_the_same_when_read_from_the_end(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changegate.services.tables.reading.matching.FAR_OFFSET", 0)
    query, total = parse_encoded_query(text), len(find(text, shown="sys_id"))
    for offset in {*range(1, total, 7), total // 2, total // 2 + 1, total, total + 1, 2**31 - 1} - {0}:
        for limit in (1, 8, total + 1):
            far = Matching(CHANGES, ROOT, query).list_and_count(limit, offset)
            assert far == (Matching(CHANGES, ROOT, query).list_page(limit, offset), total)
