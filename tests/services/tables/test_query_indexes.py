"""Indexes serve the queries that automation asks all day."""

import pytest
from flask import Flask

from changegate.extensions import connection
from tests.support.queries import statement_of


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("number=chg0000001", "autoindex_task"),
        (f"sys_id={'a' * 32}", "autoindex_task"),
        ("correlation_id=Fire", "ix_task_correlation_id_lower"),
        ("correlation_id=a^ORcorrelation_id=b", "ix_task_correlation_id_lower"),
        (f"assignment_group={'d' * 32}", "ix_task_assignment_group"),
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
        statement = statement_of(query, shown="sys_id").order_by(None)
        sql = statement.compile(connection().engine, compile_kwargs={"literal_binds": True})
        plan = connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
        assert index in " ".join(str(step[-1]) for step in plan if "SEARCH" in str(step[-1]))
