"""Aggregates on both databases: figures, groups, what is passed over (docs/reference/other-apis.md#aggregate)."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select

from changegate.database import connection
from changegate.database.dialects import is_postgres
from changegate.database.skipping import count_ranges
from changegate.errors import AccessRefused, RequestUnreadable
from changegate.extensions import db
from changegate.models import ChangeRequest, SysUser, SysUserGroup, Task
from changegate.models.base import new_sys_id
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables import walks
from changegate.services.tables.display.shapes import DisplayValue
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading import aggregates
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.support.people import ADMIN, ROOT

CHANGES = get_table("change_request")
NETWORK = "ab" * 16
pytestmark = pytest.mark.usefixtures("at_work")


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[None]:
    """Five changes: their priorities are 1, 1, 2, 3, 4, and the first three are of a group."""
    with either_app.app_context():
        db.session.add(SysUser(sys_id="cd" * 16, user_name="mia", name="Mia Chen"))
        db.session.flush()
        db.session.add(SysUserGroup(sys_id=NETWORK, name="Network", manager="cd" * 16))
        db.session.commit()
        for priority, group, start in (
            (1, NETWORK, "2026-01-01 10:00:00"),
            (1, NETWORK, "2026-03-01 10:00:00"),
            (2, NETWORK, ""),
            (3, "", "2026-02-01 10:00:00"),
            (4, "", ""),
        ):
            fields = {"priority": priority, "assignment_group": group, "start_date": start, "category": "Network"}
            create_record(CHANGES, ROOT, fields)
        db.session.commit()
        yield


def asked(query: str = "", caller: Caller = ROOT, **wanted: Any) -> Any:
    return aggregate_records(CHANGES, caller, parse_encoded_query(query), Aggregation(**wanted))


def grouped(*fields: str, **wanted: Any) -> list[tuple[Any, ...]]:
    """Return the values of each group, followed by its count."""
    answer = asked(group_by=fields, counts=True, **wanted)
    return [(*(each["value"] for each in item["groupby_fields"]), item["stats"]["count"]) for item in answer]


def test_counts_what_matches() -> None:
    assert asked(counts=True) == {"stats": {"count": "5"}}
    assert asked("priority<3", counts=True) == {"stats": {"count": "3"}}
    assert asked("assignment_group.name=network", counts=True) == {"stats": {"count": "3"}}


def test_sends_every_figure_as_text_with_four_decimals_for_averages() -> None:
    fields = dict.fromkeys(("avg", "min", "max", "sum"), ("priority",))
    figures = {"avg": "2.2000", "min": "1", "max": "4", "sum": "11"}
    assert asked(fields=fields) == {"stats": {name: {"priority": text} for name, text in figures.items()}}
    assert asked("priority<3", fields={"avg": ("priority",)}) == {"stats": {"avg": {"priority": "1.3333"}}}


def test_finds_the_first_and_last_of_dates_and_texts() -> None:
    fields = {"min": ("start_date", "number"), "max": ("start_date", "number")}
    assert asked(fields=fields)["stats"] == {
        "min": {"start_date": "2026-01-01 10:00:00", "number": "CHG0030001"},
        "max": {"start_date": "2026-03-01 10:00:00", "number": "CHG0030005"},
    }


def test_walks_to_the_fields_of_others() -> None:
    fields = {"max": ("assignment_group.manager.name", "ASSIGNMENT_GROUP.NAME")}
    expected = {"assignment_group.manager.name": "Mia Chen", "ASSIGNMENT_GROUP.NAME": "Network"}
    assert asked(fields=fields)["stats"] == {"max": expected}


def test_has_figures_of_nothing() -> None:
    answer = asked("priority=1^priority=2", counts=True, fields={"avg": ("priority",), "max": ("start_date",)})
    assert answer == {"stats": {"count": "0", "avg": {"priority": ""}, "max": {"start_date": ""}}}


def test_passes_over_fields_that_have_no_such_figure() -> None:
    fields = {
        "avg": ("nonsense", "number", "active", "start_date", "assigned_to.user_password", "priority"),
        "sum": ("short_description", "on_hold"),
        "min": ("active", "work_notes", "nonsense.name"),
    }
    assert asked(fields=fields) == {"stats": {"avg": {"priority": "2.2000"}}}


def test_is_empty_when_no_figure_is_requested() -> None:
    assert asked() == {"stats": {}}
    assert asked(group_by=("nonsense",), counts=True) == {"stats": {"count": "5"}}


def test_counts_only_what_the_caller_may_see() -> None:
    plain = Caller("cd" * 16, "mia", Permissions(frozenset()))
    create_record(CHANGES, ROOT, {"requested_by": plain.sys_id})
    assert asked(caller=plain, counts=True) == {"stats": {"count": "1"}}
    assert asked(counts=True) == {"stats": {"count": "6"}}
    assert len(asked(caller=plain, group_by=("number",), counts=True)) == 1


def test_needs_the_right_to_read() -> None:
    with pytest.raises(AccessRefused):
        aggregate_records(
            get_table("oidc_provider_configuration"),
            Caller(ADMIN, "x", Permissions(frozenset())),
            parse_encoded_query(""),
            Aggregation(counts=True),
        )


def test_refuses_more_figures_than_a_database_answers() -> None:
    with pytest.raises(RequestUnreadable):
        asked(fields={"min": ("number",) * 600, "max": ("number",) * 600})


def test_counts_each_group_the_empty_one_first() -> None:
    assert grouped("assignment_group") == [("", "2"), (NETWORK, "3")]
    assert grouped("priority") == [("1", "2"), ("2", "1"), ("3", "1"), ("4", "1")]


def test_groups_by_several_and_by_walked_fields() -> None:
    answer = asked("priority=1", group_by=("assignment_group.manager.name", "PRIORITY", "active"), counts=True)
    assert answer == [
        {
            "stats": {"count": "2"},
            "groupby_fields": [
                {"field": "assignment_group.manager.name", "value": "Mia Chen"},
                {"field": "PRIORITY", "value": "1"},
                {"field": "active", "value": "true"},
            ],
        }
    ]


def test_takes_missing_and_empty_text_for_one_group() -> None:
    connection().execute(Task.__table__.update().where(Task.priority == 4).values(correlation_display=""))
    assert grouped("correlation_display") == [("", "5")]


def test_gives_each_group_its_figures() -> None:
    answer = asked(group_by=("assignment_group",), fields={"avg": ("priority",), "max": ("start_date",)})
    assert [item["stats"] for item in answer] == [
        {"avg": {"priority": "3.5000"}, "max": {"start_date": "2026-02-01 10:00:00"}},
        {"avg": {"priority": "1.3333"}, "max": {"start_date": "2026-03-01 10:00:00"}},
    ]


def test_shows_display_values_of_group_fields_on_request() -> None:
    wanted: dict[str, Any] = {"group_by": ("assignment_group", "priority"), "query": "priority=2"}
    [shown] = asked(**wanted, display_value=DisplayValue.DISPLAY)
    assert shown["groupby_fields"] == [
        {"field": "assignment_group", "value": "Network"},
        {"field": "priority", "value": "2 - High"},
    ]
    [both] = asked(**wanted, display_value=DisplayValue.ALL)
    assert both["groupby_fields"] == [
        {"field": "assignment_group", "display_value": "Network", "value": NETWORK},
        {"field": "priority", "display_value": "2 - High", "value": "2"},
    ]


def test_is_an_empty_list_where_nothing_matches() -> None:
    assert grouped("priority", query="number=nonsense") == []


@pytest.mark.parametrize(
    ("having", "groups"),
    [
        ((("count", "priority", ">", "1"),), "1"),
        ((("COUNT", "", "=", "1"),), "234"),
        ((("count", "priority", ">=", "1.5"),), "1"),
        ((("count", "priority", "<", "1e3"), ("sum", "priority", "!=", "4")), "123"),
        ((("avg", "priority", "<=", "2"),), "12"),
        ((("max", "start_date", ">", "2026-02-15 00:00:00"),), "1"),
        ((("min", "number", "=", "CHG0030003"),), "2"),
        ((("max", "assignment_group.name", "=", "Network"),), "12"),
        ((("count", "priority", "LIKE", "1"),), "1234"),
        ((("count", "priority", ">", "nan"),), "1234"),
        ((("count", "priority", ">", "x"),), "1234"),
        ((("max", "start_date", ">", "yesterday"),), "1234"),
        ((("max", "start_date", ">", ""),), "1234"),
        ((("sum", "nonsense", ">", "1"),), "1234"),
        ((("median", "priority", ">", "1"),), "1234"),
        ((("count",), (), ("a", "b", "c", "d", "e")), "1234"),
    ],
)
def test_having_keeps_the_groups_that_match(having: Any, groups: str) -> None:
    assert "".join(value for value, _ in grouped("priority", having=having)) == groups


@pytest.mark.parametrize(
    ("order_by", "groups"),
    [
        ((("count", "DESC"),), "1234"),
        ((("count",),), "2341"),
        ((("priority", "DESC"),), "4321"),
        ((("priority", "desc"), ("count",)), "4321"),
        ((("max", "start_date", "DESC"),), "1324"),
        ((("AVG", "priority"),), "1234"),
        ((("max", "assignment_group.name"),), "3412"),
        ((("nonsense",), ("avg", "nonsense"), ("state", "DESC"), ("",)), "1234"),
    ],
)
def test_sorts_groups_as_asked(order_by: Any, groups: str) -> None:
    assert "".join(value for value, _ in grouped("priority", order_by=order_by)) == groups


def test_sorts_groups_that_an_index_counts_by_a_figure() -> None:
    assert grouped("state", order_by=(("max", "start_date"),)) == [("-5", "5")]


def test_refuses_more_groups_than_an_answer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "MAX_GROUPS", 5)
    assert len(grouped("number")) == 5
    row = {"sys_id": new_sys_id(), "number": "CHG1", "sys_class_name": "change_request", "state": -5}
    connection().execute(insert(Task.__table__), [row])
    with pytest.raises(RequestUnreadable):
        grouped("number")


@pytest.fixture
def read_ranges(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note the ranges by which an aggregate counts; None if no index is suitable."""
    found: list[object] = []
    monkeypatch.setattr(walks, "count_ranges", lambda *about: found.append(count_ranges(*about)) or found[-1])
    return found


def add_records_of_ranges() -> None:
    """Add changes that differ in type, risk, and activity, and a task of a change."""
    [change, *_] = [*connection().execute(select(Task.sys_id)).scalars()]
    for number, kind in enumerate((None, "normal", "standard", "standard")):
        given = {"sys_id": new_sys_id(), "number": f"T{number}", "sys_class_name": "change_request", "state": -5}
        others = {"type": kind, "risk": number or None, "active": number != 2}
        connection().execute(insert(ChangeRequest.__table__), {**given, **others})
    create_record(get_table("change_task"), ROOT, {"short_description": "A task", "state": 1, "change_request": change})


def counted(query: str, fields: tuple[str, ...], order: tuple[tuple[str, ...], ...] = ()) -> Any:
    aggregation = Aggregation(counts=True, group_by=fields, order_by=order)
    return aggregate_records(CHANGES, ROOT, parse_encoded_query(query), aggregation)


@pytest.mark.parametrize(
    "fields",
    [(), ("state",), ("assignment_group", "state"), ("risk", "type"), ("type",), ("type", "state"), ("category",)],
    ids=",".join,
)
@pytest.mark.parametrize("order", [(), (("count", "DESC"),)])
def test_counts_of_all_records_are_those_of_a_query_that_matches_all(
    read_ranges: list[object], fields: tuple[str, ...], order: tuple[tuple[str, ...], ...]
) -> None:
    """SQLite counts the ranges of an index that begins with the fields, PostgreSQL the equal entries of one."""
    add_records_of_ranges()
    all_records, every = (counted(query, fields, order) for query in ("", "sys_idISNOTEMPTY"))
    assert all_records == every
    # Entries are not compared by the class, which is that of all of them.
    assert "GROUP BY task.sys_class_name" not in str(read_ranges[0])
    not_found = [("category",)] if is_postgres(connection()) else [("type", "state"), ("category",)]
    assert [ranges is None for ranges in read_ranges] == [fields in not_found, True]


@pytest.mark.parametrize(
    ("query", "fields", "databases"),
    [
        ("active=true", ("risk", "type"), "sqlite"),
        ("active=true", ("assignment_group", "state"), "sqlite"),
        ("active=true^type=standard", (), "sqlite"),
        ("type=standard^ORtypeISEMPTY", ("active",), "sqlite"),
        ("riskIN1,2^active=false", ("type",), "sqlite"),
        ("state!=3", (), "sqlite"),
        ("state=-5^assignment_groupISEMPTY", ("state",), "sqlite postgresql"),
        ("type!=normal^active!=false", ("risk",), "sqlite"),
        # The index of integrations begins with `active`.
        ("oauth_entityISEMPTY", (), "postgresql"),
        ("oauth_entityISEMPTY", ("active",), "postgresql"),
        # An index finds these records and no others.
        ("active=true", (), ""),
        ("state=-5", (), ""),
        # Each range would have few records.
        ("active=true^assignment_groupISEMPTY", ("assigned_to", "state"), ""),
        # No index begins with the fields.
        ("active=true", ("state", "type"), ""),
        ("type=standard^short_descriptionISEMPTY", (), ""),
        ("assignment_group.nameISEMPTY", ("state",), ""),
        ("assignment_group=Network^state!=3", (), ""),
    ],
)
def test_counts_by_ranges_are_those_of_a_query_that_reads_more(
    read_ranges: list[object], query: str, fields: tuple[str, ...], databases: str
) -> None:
    add_records_of_ranges()
    by_ranges, by_records = (counted(each, fields) for each in (query, f"{query}^sys_idISNOTEMPTY"))
    assert by_ranges == by_records
    expected = [] if "." in query else [connection().dialect.name in databases.split(), False]
    assert [ranges is not None for ranges in read_ranges] == expected
    assert count_records(CHANGES, ROOT, parse_encoded_query(query)) == sum(
        int(stats["stats"]["count"]) for stats in (by_ranges if fields else [by_ranges])
    )


def test_records_that_a_caller_may_not_see_are_not_counted_by_ranges(read_ranges: list[object]) -> None:
    ann = Caller("cd" * 16, "mia", Permissions(frozenset()))
    assert asked(caller=ann, counts=True) == {"stats": {"count": "0"}}
    assert [ranges for ranges in read_ranges if ranges is not None] == []
