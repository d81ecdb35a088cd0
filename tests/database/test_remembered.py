"""What is made of a row and remembered: the row is read each time, and what it says decides."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from changegate.database import commit, connection
from changegate.database.prepared import Prepared, Remembered, parameter
from changegate.models import SysUserGroup
from changegate.models.base import new_sys_id, utc_now

GROUPS = SysUserGroup.__table__
BY_NAME = select(GROUPS.c["name"], GROUPS.c["description"]).where(GROUPS.c["name"] == parameter("wanted"))


class Made:
    """Something made of a row; each time another object."""

    def __init__(self, row: Any) -> None:
        self.text = f"{row.name}: {row.description}"


@pytest.fixture
def remembered(either_app_context: None) -> Remembered[Made]:
    _insert("a", "one")
    return Remembered(Prepared(BY_NAME), Made)


def _insert(name: str, description: str) -> None:
    stamps = {"sys_created_on": utc_now(), "sys_updated_on": utc_now(), "sys_created_by": "x", "sys_updated_by": "x"}
    row = {"sys_id": new_sys_id(), "sys_mod_count": 0, "active": True, **stamps}
    connection().execute(insert(GROUPS).values(name=name, description=description, **row))
    commit()


def test_makes_it_once_for_a_row_that_stays_the_same(remembered: Remembered[Made]) -> None:
    first = remembered.first({"wanted": "a"})
    assert first is not None
    assert first.text == "a: one"
    assert remembered.first({"wanted": "a"}) is first


def test_makes_it_again_when_the_row_has_changed(remembered: Remembered[Made]) -> None:
    remembered.first({"wanted": "a"})
    connection().execute(update(GROUPS).values(description="two"))
    commit()

    found = remembered.first({"wanted": "a"})

    assert found is not None
    assert found.text == "a: two"


def test_returns_none_when_the_row_was_deleted(remembered: Remembered[Made]) -> None:
    remembered.first({"wanted": "a"})
    connection().execute(GROUPS.delete().where(GROUPS.c["name"] == "a"))
    commit()

    assert remembered.first({"wanted": "a"}) is None


@pytest.mark.usefixtures("either_app_context")
def test_keeps_no_more_than_it_may() -> None:
    for number in range(5):
        _insert(f"g{number}", "x")
    made: list[str] = []
    remembered = Remembered(Prepared(BY_NAME), lambda row: made.append(row.name) or row, size=2)

    for number in (0, 1, 2, 3, 4, 4, 3, 0):
        assert remembered.first({"wanted": f"g{number}"}) is not None

    assert made == ["g0", "g1", "g2", "g3", "g4", "g0"]
