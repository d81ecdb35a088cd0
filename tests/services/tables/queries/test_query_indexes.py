"""Indexes serve the queries that automation asks all day."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import CompoundSelect, Select, func

from changegate.database import connection
from changegate.database.alternatives import select_matches
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import CallLimits
from changegate.services.tables.registry import get_table
from changegate.services.tables.visibility import Restriction, parameters_of, visible_rows
from tests.support.queries import statement_of

# Whose own a change is; a task also belongs to its change.
OWN = ("requested_by", "opened_by", "oauth_entity")


def plan_of(statement: Select[Any] | CompoundSelect[Any]) -> str:
    """Return how SQLite finds what a statement asks for."""
    sql = statement.compile(connection().engine, compile_kwargs={"literal_binds": True})
    plan = connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
    return " ".join(str(step[-1]) for step in plan if "SEARCH" in str(step[-1]))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("number=chg0000001", "autoindex_task"),
        (f"sys_id={'a' * 32}", "autoindex_task"),
        ("correlation_id=Fire", "ix_task_correlation_id_lower"),
        ("correlation_id=a^ORcorrelation_id=b", "ix_task_correlation_id_lower"),
        (f"assignment_group={'d' * 32}", "ix_task_assignment_group"),
        (f"assignment_groupIN{'d' * 32},{'e' * 32}", "ix_task_assignment_group"),
        ("active=true^assignment_groupISEMPTY", "ix_task_active"),
        ("assignment_group.name=Network", "ix_sys_user_group_name_lower"),
        ("assignment_group=Network", "ix_sys_user_group_name_lower"),
        ("assigned_to=ann", "uq_sys_user_user_name_lower"),
        ("state=3", "ix_task_state"),
        ("stateIN3,4", "ix_task_state"),
        ("active=true", "ix_task_active"),
        ("sys_created_on>2026-01-01", "ix_task_sys_created_on"),
        ("sys_updated_onRELATIVEGT@hour@ago@1", "ix_task_sys_updated_on"),
    ],
)
def test_an_index_serves_the_common_queries(app: Flask, query: str, index: str) -> None:
    with app.app_context():
        assert index in plan_of(statement_of(query, shown="sys_id").order_by(None))


def test_an_integrations_own_records_are_paged_and_counted_without_reading_them(app: Flask) -> None:
    grant = TokenGrant("e" * 32, "change_request.read_own", limits_now=CallLimits(own_records=True))
    robot = Caller("a" * 32, "robot", Permissions(frozenset({"itil"}), grant))
    with app.app_context():
        page = statement_of("ORDERBYDESCsys_created_on", robot, shown="sys_id")
        for statement in (page, page.order_by(None).with_only_columns(func.count())):
            assert "COVERING INDEX ix_task_oauth_entity (oauth_entity=?)" in plan_of(statement)


def test_a_requesters_own_tasks_are_found_without_reading_those_of_others(app: Flask) -> None:
    requester = Caller("a" * 32, "rita", Permissions(frozenset()))
    # Statistics of a hundred thousand changes, two thirds of which come from a few integrations.
    statistics = {
        "sqlite_autoindex_task_1": "150000 1",
        "ix_task_requested_by": "100000 100",
        "ix_task_opened_by": "50000 55",
        "ix_task_oauth_entity": "70000 11667 1 1 1",
        "ix_task_change_request": "50000 2",
    }
    with app.app_context():
        connection().exec_driver_sql("ANALYZE")
        for index, text in statistics.items():
            connection().exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = ?", (index,))
            connection().exec_driver_sql("INSERT INTO sqlite_stat1 VALUES ('task', ?, ?)", (index, text))
        connection().exec_driver_sql("ANALYZE sqlite_schema")
        for table_name, alternatives in (("change_request", OWN), ("task", (*OWN, "change_request"))):
            table = get_table(table_name)
            is_own = visible_rows(table, Restriction(own_rows=True))
            own = select_matches([table.columns["sys_id"]], table.source, is_own)
            plan = plan_of(own.params(parameters_of(requester)))
            assert all(f"ix_task_{name} " in plan for name in alternatives), table_name


def test_a_partial_index_contains_only_rows_with_a_value(app: Flask) -> None:
    with app.app_context():
        found = connection().exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE sql LIKE '%CREATE INDEX%IS NOT NULL%'"
        )
        assert {"ix_task_assignment_group", "ix_task_correlation_id_lower"} <= set(found.scalars())
