"""Dot-walks: what is reached, what is joined, and what stays hidden."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import insert, select

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.extensions import db
from changegate.models import ChangeRequest, ChangeTask
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.visibility import parameters_of
from changegate.services.tables.walks import MAX_JOINS, Walks
from tests.support.change_rows import insert_rows
from tests.support.queries import ROOT, find

CHANGES = get_table("change_request")
TASKS = get_table("change_task")
NOBODY = Caller("0" * 32, "nobody", Permissions(frozenset()))
ANN = Caller("a" * 32, "ann", Permissions(frozenset()))


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[Flask]:
    with either_app.app_context():
        insert_rows()
        yield either_app


def how_many_joins(walks: Walks) -> int:
    return str(walks.source).count("LEFT OUTER JOIN")


def test_a_plain_name_costs_no_join() -> None:
    walks = Walks(CHANGES, ROOT.permissions)
    field = walks.find("NUMBER")
    assert field is not None
    assert (field.path, field.table.name, field.entry.label) == ("number", "change_request", "Number")
    assert walks.source is CHANGES.source
    assert not field.is_walked


def test_each_step_is_joined_once() -> None:
    walks = Walks(CHANGES, ROOT.permissions)
    paths = (
        "assignment_group.name",
        "assignment_group.manager.email",
        "Assignment_Group.MANAGER.name",
        "parent.number",
    )
    fields = [field for path in paths if (field := walks.find(path))]
    assert [field.is_walked for field in fields] == [True] * 4
    assert [str(field.column).split(".")[0] for field in fields] == ["walk_1", "walk_2", "walk_2", "walk_3"]
    assert how_many_joins(walks) == 3


def test_equal_walks_have_equal_scopes() -> None:
    first, second, other = (Walks(CHANGES, caller.permissions) for caller in (ROOT, ROOT, ANN))
    for walks in (first, second, other):
        assert walks.find("parent.assignment_group.name")
    assert first.scope == second.scope != other.scope
    assert first.find("parent.parent.number")
    assert first.scope != second.scope


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "nonsense",
        "nonsense.name",
        "assignment_group.",
        ".assignment_group",
        "assignment_group..name",
        "assignment_group.nonsense",
        "assignment_group.name.name",
        "short_description.name",
        "watch_list.name",
        "sys_domain.name",
        "location.name",
        "assigned_to.user_password",
        "parent.parent.parent.parent.parent.parent.number",
        "\0",
    ],
)
def test_a_walk_to_nowhere_finds_no_field_and_joins_nothing(path: str) -> None:
    walks = Walks(CHANGES, ROOT.permissions)
    assert walks.find(path) is None
    assert walks.source is CHANGES.source


def test_walks_five_steps() -> None:
    walks = Walks(CHANGES, ROOT.permissions)
    assert walks.find("parent.parent.parent.parent.parent.number") is not None
    assert how_many_joins(walks) == 5


def test_a_field_that_the_caller_may_not_read_is_not_found() -> None:
    assert Walks(CHANGES, ROOT.permissions).find("assigned_to.employee_number") is not None
    assert Walks(CHANGES, NOBODY.permissions).find("assigned_to.employee_number") is None
    assert Walks(CHANGES, NOBODY.permissions).find("assigned_to.name") is not None


def test_refuses_more_joins_than_databases_make() -> None:
    walks = Walks(CHANGES, ROOT.permissions)
    references = ["parent", "assigned_to", "opened_by", "closed_by", "cmdb_ci", "assignment_group"]
    paths = [f"{'parent.' * depth}{name}.sys_id" for depth in range(4) for name in references]
    paths += [f"{'universal_request.' * depth}{name}.sys_id" for depth in range(1, 5) for name in references]
    paths += [f"parent.universal_request.{name}.sys_id" for name in references]
    with pytest.raises(RequestUnreadable) as caught:
        for path in paths:
            walks.find(path)
    assert str(MAX_JOINS) in str(caught.value.detail)
    assert how_many_joins(walks) == MAX_JOINS


def test_as_many_joins_as_are_admitted_run(at_work: Flask) -> None:
    names = ["assigned_to", "opened_by", "closed_by", "assignment_group.manager"]
    paths = [f"{'parent.' * depth}{name}.active" for depth in range(4) for name in names]
    found = find("^".join(f"{path}!=true" for path in paths))
    assert len(find("")) > len(found) > 0


@pytest.fixture
def tasks(at_work: Flask) -> None:
    """One change of Ann's and one of another user's, with a task each."""
    common = {"state": 1, "sys_class_name": "change_request"}
    own, other = "1" * 32, "2" * 32
    connection().execute(
        insert(ChangeRequest.__table__),
        [
            {**common, "sys_id": own, "number": "CHG1", "short_description": "own", "requested_by": ANN.sys_id},
            {**common, "sys_id": other, "number": "CHG2", "short_description": "other", "requested_by": "b" * 32},
        ],
    )
    connection().execute(
        insert(ChangeTask.__table__),
        [
            {"state": 1, "number": "T1", "sys_class_name": "change_task", "change_request": own, "parent": other},
            {"state": 1, "number": "T2", "sys_class_name": "change_task", "change_request": other, "parent": own},
        ],
    )
    db.session.commit()


def shown(caller: Caller, path: str) -> list[tuple[str, str | None]]:
    walks = Walks(TASKS, caller.permissions)
    field = walks.find(path)
    assert field is not None
    number = walks.root.c["number"]
    statement = select(number, field.column).select_from(walks.source).where(number.in_(("T1", "T2"))).order_by(number)
    return [(row[0], row[1]) for row in connection().execute(statement, parameters_of(caller))]


@pytest.mark.usefixtures("tasks")
def test_a_row_that_the_caller_may_not_see_gives_nothing() -> None:
    assert shown(ROOT, "change_request.short_description") == [("T1", "own"), ("T2", "other")]
    assert shown(ANN, "change_request.short_description") == [("T1", "own"), ("T2", None)]
    assert shown(NOBODY, "change_request.short_description") == [("T1", None), ("T2", None)]


@pytest.mark.usefixtures("tasks")
def test_a_hidden_row_is_not_walked_through_either() -> None:
    assert shown(ROOT, "change_request.requested_by.user_name") == [("T1", "ann"), ("T2", "BOB")]
    assert shown(ANN, "change_request.requested_by.user_name") == [("T1", "ann"), ("T2", None)]
    assert find("change_request.short_description=other", ANN, "change_task", shown="number") == []
    assert find("change_request.short_description=own", ANN, "change_task", shown="number") == ["T1"]


@pytest.mark.usefixtures("tasks")
def test_a_reference_to_a_class_is_not_followed_to_another_class() -> None:
    task_sys_id = find("number=T1", table_name="change_task", shown="sys_id")[0]
    db.session.execute(ChangeTask.__table__.update().where(ChangeTask.number == "T2").values(parent=task_sys_id))
    assert shown(ROOT, "parent.number") == [("T1", "CHG2"), ("T2", "T1")]
    db.session.execute(
        ChangeTask.__table__.update().where(ChangeTask.number == "T2").values(change_request=task_sys_id)
    )
    assert shown(ROOT, "change_request.number") == [("T1", "CHG1"), ("T2", None)]
