"""Compiled SELECTs on both databases, and how many of them are kept."""

from functools import partial

import pytest
from flask import Flask
from sqlalchemy import Select, bindparam, func, literal_column, or_, select, text
from sqlalchemy.exc import DBAPIError

from changegate.database import connection
from changegate.database.compiled import CompiledSelect, CompiledSelects
from changegate.database.prepared import Prepared, parameter
from changegate.models import SysUserRole

ROLES = SysUserRole.__table__
NAME = ROLES.c["name"]


def by_name() -> Select[str]:
    return select(NAME).where(NAME == parameter("wanted"))


@pytest.mark.usefixtures("either_app_context")
def test_takes_values_and_lists_by_name() -> None:
    listed = NAME.in_(bindparam("listed", ["x", "y"], expanding=True))
    is_chosen = or_(listed, NAME == parameter("wanted"), ROLES.c["sys_mod_count"] < parameter("least"))
    compiled = CompiledSelect(select(NAME).where(is_chosen).order_by(NAME), connection().dialect)
    values = {"wanted": "admin", "listed": ["itil", "approver_user"], "least": -1, "other": 1}
    assert [row[0] for row in compiled.fetch(connection(), values)] == ["admin", "approver_user", "itil"]
    assert list(compiled.fetch(connection(), {"listed": ["nobody", "x"]})) == []


@pytest.mark.usefixtures("either_app_context")
def test_keeps_what_a_statement_was_made_with() -> None:
    compiled = CompiledSelect(select(NAME).where(NAME.in_(["itil", "admin"])).order_by(NAME), connection().dialect)
    assert [row[0] for row in compiled.fetch(connection(), {})] == ["admin", "itil"]


@pytest.mark.usefixtures("either_app_context")
def test_never_takes_a_value_for_sql() -> None:
    compiled = CompiledSelect(by_name(), connection().dialect)
    assert list(compiled.fetch(connection(), {"wanted": "' OR '1'='1"})) == []


@pytest.mark.usefixtures("either_app_context")
def test_raises_the_errors_of_sqlalchemy_without_values() -> None:
    compiled = CompiledSelect(by_name(), connection().dialect)
    with pytest.raises(DBAPIError) as caught:
        compiled.fetch(connection(), {"wanted": ["a secret", object()]})
    assert "a secret" not in str(caught.value)


@pytest.mark.usefixtures("either_app_context")
def test_builds_a_statement_once_and_drops_the_least_recently_used() -> None:
    built: list[int] = []

    def build(shape: int) -> Select[str]:
        built.append(shape)
        return by_name()

    statements = CompiledSelects(2)
    for shape in (1, 2, 1, 3, 1, 2):
        found = statements.fetch(shape, partial(build, shape), {"wanted": "itil"})
        assert [row[0] for row in found] == ["itil"]
    assert built == [1, 2, 3, 2]


def test_a_failure_while_rows_are_fetched_is_a_database_error(app: Flask) -> None:
    second_fails = text("(SELECT 1 AS x UNION ALL SELECT -9223372036854775807 - 1)")
    statement = Prepared(select(func.abs(literal_column("x"))).select_from(second_fails))
    with app.app_context(), pytest.raises(DBAPIError, match="integer overflow"):
        statement.all({})
