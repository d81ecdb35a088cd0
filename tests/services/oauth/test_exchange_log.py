"""The event log as one source: both databases merge recent and old events by their indexes."""

from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import Select, func, select, text

from changegate.database import connection
from changegate.models import OAuthEntity
from changegate.services.oauth.log_tables import EVENTS
from changegate.services.tables.queries.clauses import order_clauses
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.registry import get_table
from changegate.services.tables.walks import Walks
from tests.support.queries import ROOT

_EVENT = EVENTS.c
PAGE = select(_EVENT.sys_id).order_by(_EVENT.sys_id.desc()).limit(20)
OF_INTEGRATION = _EVENT.entity == "0" * 32


def plan_of(statement: Select[Any], *ways: str) -> str:
    """Return the steps in which the database answers a statement, a line each; PostgreSQL must do without some ways."""
    is_sqlite = connection().dialect.name == "sqlite"
    if not is_sqlite:
        # The tables are too small for indexes to be cheaper.
        for way in ("seqscan", "bitmapscan", *ways):
            connection().execute(text(f"SET enable_{way} = off"))
    sql = statement.compile(connection(), compile_kwargs={"literal_binds": True})
    rows = connection().exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{sql}").all()
    return "\n".join(row[-1] for row in rows)


@pytest.mark.parametrize("statement", [PAGE, PAGE.where(_EVENT.sys_id < "f" * 32)])
def test_a_page_of_events_is_merged_from_both_tables_in_their_order(either_app: Flask, statement: Select[Any]) -> None:
    with either_app.app_context():
        plan = plan_of(statement, "sort")
    assert "MERGE (UNION ALL)" in plan or "Merge Append" in plan
    assert "TEMP B-TREE" not in plan and "->  Sort" not in plan


def page_by(query: str) -> Select[Any]:
    """Return the statement of a page in the order of a query."""
    walks = Walks(get_table("oauth_exchange"), ROOT.permissions)
    return select(_EVENT.sys_id).order_by(*order_clauses(walks, parse_encoded_query(query).orders)).limit(20)


def test_the_newest_events_by_time_are_read_in_the_order_of_their_ids(either_app: Flask) -> None:
    with either_app.app_context():
        plan = plan_of(page_by("ORDERBYDESCsys_created_on"), "sort")
    assert "TEMP B-TREE" not in plan and "->  Sort" not in plan


@pytest.mark.parametrize("query", ["", "ORDERBYsys_created_on"])
def test_the_oldest_events_by_time_are_read_in_the_order_of_their_ids_on_sqlite(app: Flask, query: str) -> None:
    with app.app_context():
        assert "TEMP B-TREE" not in plan_of(page_by(query))


@pytest.mark.parametrize("statement", [PAGE.where(OF_INTEGRATION), select(func.count()).where(OF_INTEGRATION)])
def test_events_of_an_integration_are_found_by_an_index_of_each_table(
    either_app: Flask, statement: Select[Any]
) -> None:
    with either_app.app_context():
        plan = plan_of(statement)
    for index in ("ix_oauth_exchange_entity_correlation_id", "ix_oauth_thinned_exchange_kind_correlation_id"):
        assert index in plan
    assert "SCAN oauth_exchange " not in plan and "AUTOMATIC" not in plan


def test_events_of_owned_integrations_are_found_by_an_index_of_each_table_on_sqlite(app: Flask) -> None:
    owned = select(OAuthEntity.sys_id).where(OAuthEntity.owner == "0" * 32)
    with app.app_context():
        plan = plan_of(PAGE.where(_EVENT.entity.in_(owned)))
    assert "SCAN oauth_thinned_exchange" not in plan and "SCAN oauth_exchange" not in plan.splitlines()


def test_a_page_of_events_is_counted_by_a_statement_of_its_own(app: Flask) -> None:
    with app.app_context(), mock.patch.object(Matching, "_fetch", autospec=True, return_value=[[0, 0]]) as fetch:
        matching = Matching(get_table("oauth_exchange"), ROOT, parse_encoded_query("ORDERBYDESCsys_id"))
        matching.list_and_count(20, 0)
    assert [call.args[1] for call in fetch.call_args_list] == ["page", "count"]
