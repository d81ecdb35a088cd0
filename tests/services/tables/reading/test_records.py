"""Reading on both databases: pages, dot-walks, what each caller may see, and what it costs."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from changegate.database import connection
from changegate.errors import RecordNotFound, RequestUnreadable
from changegate.extensions import db
from changegate.models import CmdbCi, SysUser, SysUserGroup, Task
from changegate.models.base import new_sys_id
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables import recent_rows
from changegate.services.tables.display.selections import select_fields
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records, read_page, read_record, render_written
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.support.people import ADMIN, ROOT

BASE = "https://change.example.com/api/now/table"
CHANGES = get_table("change_request")
TASKS = get_table("change_task")
USERS = get_table("sys_user")
ALL_WITH_WALKS = Shape(
    BASE,
    DisplayValue.ALL,
    fields=(
        *CHANGES.fields_for(ROOT.permissions),
        *CHANGES.blank_fields,
        "assignment_group.manager.email",
        "requested_by.name",
        "cmdb_ci.name",
        "parent.work_notes",
        "parent.state",
    ),
)


@pytest.fixture
def on_sqlite(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def add(model: type[Any], **values: Any) -> str:
    record = model(sys_id=new_sys_id(), **values)
    db.session.add(record)
    db.session.commit()
    return str(record.sys_id)


def create(**fields: Any) -> str:
    sys_id = create_record(CHANGES, ROOT, fields)["sys_id"]
    db.session.commit()
    return str(sys_id)


def shape(*fields: str, display: DisplayValue = DisplayValue.ACTUAL, exclude: bool = False) -> Shape:
    return Shape(BASE, display, exclude, fields)


def listed(query: str, *fields: str, caller: Caller = ROOT, limit: int = 10_000, offset: int = 0) -> list[Any]:
    """Return the one field, or the fields, of each record on a page."""
    page = read_page(CHANGES, caller, parse_encoded_query(query), shape(*fields), limit=limit, offset=offset)
    return [tuple(record.values()) if len(fields) > 1 else record[fields[0]] for record in page.records]


@pytest.fixture
def network(at_work: Flask) -> str:
    """A group with a manager who has an email address."""
    manager = add(SysUser, user_name="mia", name="Mia Chen", email="mia@example.com")
    return add(SysUserGroup, name="Network", manager=manager)


def test_walks_through_references_to_plain_fields_and_to_references(network: str) -> None:
    sys_id = create(assignment_group=network)
    fields = ("assignment_group.name", "assignment_group.manager.email", "assignment_group.manager")
    record = read_record(CHANGES, ROOT, sys_id, shape(*fields))
    manager = record["assignment_group.manager"]["value"]
    assert record == {
        "assignment_group.name": "Network",
        "assignment_group.manager.email": "mia@example.com",
        "assignment_group.manager": {"link": f"{BASE}/sys_user/{manager}", "value": manager},
    }
    with_names = read_record(CHANGES, ROOT, sys_id, shape(*fields, display=DisplayValue.ALL, exclude=True))
    assert with_names == {
        "assignment_group.name": {"display_value": "Network", "value": "Network"},
        "assignment_group.manager.email": {"display_value": "mia@example.com", "value": "mia@example.com"},
        "assignment_group.manager": {"display_value": "Mia Chen", "value": manager},
    }


def test_spells_walked_names_as_asked_and_leaves_out_unknown_ones(network: str) -> None:
    sys_id = create(assignment_group=network)
    asked = (
        "Assignment_Group.NAME",
        "nonsense.name",
        "number.name",
        "state.",
        ".state",
        "assignment_group.",
        "parent..x",
    )
    assert read_record(CHANGES, ROOT, sys_id, shape(*asked)) == {"Assignment_Group.NAME": "Network"}


@pytest.mark.parametrize(
    ("display", "empty"),
    [
        (DisplayValue.ACTUAL, ""),
        (DisplayValue.DISPLAY, ""),
        (DisplayValue.ALL, {"display_value": "", "value": ""}),
    ],
)
def test_walks_through_an_empty_reference_to_nothing(at_work: Flask, display: DisplayValue, empty: object) -> None:
    sys_id = create()
    fields = ("assignment_group.name", "assignment_group.manager", "parent.work_notes", "parent.sys_tags")
    assert read_record(CHANGES, ROOT, sys_id, shape(*fields, display=display)) == dict.fromkeys(fields, empty)


@pytest.mark.parametrize(
    ("display", "empty"),
    [
        (DisplayValue.ACTUAL, ""),
        (DisplayValue.DISPLAY, ""),
        (DisplayValue.ALL, {"display_value": "", "value": ""}),
    ],
)
def test_a_walk_into_an_absent_table_or_to_an_unknown_field_is_blank(
    network: str, display: DisplayValue, empty: object
) -> None:
    sys_id = create(assignment_group=network, location="Berlin", requested_by=ADMIN)
    deep = "parent.parent.parent.parent.parent.parent.number"
    fields = ("Location.Name", "location.country.name", "assignment_group.nonsense", "requested_by.location.city", deep)
    assert read_record(CHANGES, ROOT, sys_id, shape(*fields, display=display)) == dict.fromkeys(fields, empty)


def test_shows_labels_and_journals_of_records_it_walks_to(at_work: Flask) -> None:
    parent = create(short_description="parent", priority=1, work_notes="look here", state="-4")
    sys_id = create(parent=parent)
    fields = ("parent.priority", "parent.work_notes", "parent.comments_and_work_notes", "parent.comments")
    record = read_record(CHANGES, ROOT, sys_id, shape(*fields, display=DisplayValue.DISPLAY))
    assert record["parent.priority"] == "1 - Critical"
    assert record["parent.work_notes"] == record["parent.comments_and_work_notes"]
    assert record["parent.work_notes"].endswith("System Administrator (Work notes)\nlook here\n\n")
    assert record["parent.comments"] == ""
    plain = read_record(CHANGES, ROOT, sys_id, shape(*fields))
    assert plain == {"parent.priority": "1", **dict.fromkeys(fields[1:], "")}


def test_shows_journals_under_display_values_alone(at_work: Flask) -> None:
    sys_id = create(work_notes="first", comments="hello")
    update_record(CHANGES, ROOT, sys_id, {"work_notes": "second"})
    db.session.commit()
    record = read_record(CHANGES, ROOT, sys_id, shape(display=DisplayValue.ALL))
    notes = record["work_notes"]["display_value"]
    assert notes.index("second") < notes.index("first")
    assert "hello" in record["comments"]["display_value"]
    assert "hello" in record["comments_and_work_notes"]["display_value"]
    assert {record[name]["value"] for name in ("work_notes", "comments", "comments_and_work_notes")} == {""}
    assert record["approval_history"] == {"display_value": "", "value": ""}
    assert read_record(CHANGES, ROOT, sys_id, shape())["work_notes"] == ""


def test_a_row_that_the_caller_may_not_see_shows_as_its_sys_id_and_has_no_fields(at_work: Flask) -> None:
    ann = add(SysUser, user_name="ann", name="Ann Lee")
    hidden = create(short_description="of somebody else")
    sys_id = create(requested_by=ann, parent=hidden)
    plain = Caller(ann, "ann", Permissions(frozenset()))
    fields = ("parent", "parent.short_description", "parent.work_notes", "requested_by")
    record = read_record(CHANGES, plain, sys_id, shape(*fields, display=DisplayValue.DISPLAY, exclude=True))
    assert record == {
        "parent": hidden,
        "parent.short_description": "",
        "parent.work_notes": "",
        "requested_by": "Ann Lee",
    }
    itil = Caller(ann, "ann", Permissions(frozenset({"itil"})))
    assert read_record(CHANGES, itil, sys_id, shape("parent.short_description")) == {
        "parent.short_description": "of somebody else"
    }


def test_fields_that_the_caller_may_not_read_are_blank_like_unknown_ones_on_every_walk(at_work: Flask) -> None:
    sys_id = create(requested_by=ADMIN)
    blank = dict.fromkeys(("requested_by.locked_out", "requested_by.user_password", "requested_by.nonsense"), "")
    itil = Caller(ADMIN, "admin", Permissions(frozenset({"itil"})))
    shown = read_record(CHANGES, itil, sys_id, shape(*blank, "requested_by.user_name"))
    assert shown == {**blank, "requested_by.user_name": "admin"}
    assert read_record(CHANGES, ROOT, sys_id, shape(*blank)) == {**blank, "requested_by.locked_out": "false"}


def test_callers_with_the_same_permissions_share_statements_and_nothing_else(at_work: Flask) -> None:
    nobody = Permissions(frozenset())
    people = [Caller(add(SysUser, user_name=name, name=name), name, nobody) for name in ("ann", "bob")]
    for caller in people:
        parent = create(requested_by=caller.sys_id, short_description=f"parent of {caller.user_name}")
        create(requested_by=caller.sys_id, parent=parent, short_description=f"child of {caller.user_name}")
    for _ in range(2):
        for caller in people:
            name = caller.user_name
            query = "short_descriptionLIKEof^ORDERBYDESCnumber"
            found = listed(query, "short_description", "parent.short_description", caller=caller)
            assert found == [(f"child of {name}", f"parent of {name}"), (f"parent of {name}", "")]
            assert count_records(CHANGES, caller, parse_encoded_query(query)) == 2
            walked = f"parent.short_description=parent of {name}"
            assert listed(walked, "short_description", caller=caller) == [f"child of {name}"]
            other = "bob" if name == "ann" else "ann"
            assert listed(f"parent.short_description=parent of {other}", "number", caller=caller) == []


def test_queries_that_differ_in_their_values_alone_find_different_records(at_work: Flask) -> None:
    for priority in (1, 2, 3, 4):
        create(priority=priority, short_description=f"p{priority}")
    for values in ("1", "1,2", "3,4", "2,3,4", "1,2,3,4", "4"):
        expected = [f"p{value}" for value in values.split(",")]
        query = f"priorityIN{values}^short_descriptionLIKEp^ORDERBYpriority"
        assert listed(query, "short_description") == expected
        assert count_records(CHANGES, ROOT, parse_encoded_query(query)) == len(expected)
    for value in (1, 2, 3, 4):
        assert listed(f"priority={value}", "short_description") == [f"p{value}"]
        assert listed(f"priority>{value}^ORDERBYpriority", "priority") == [str(more) for more in range(value + 1, 5)]


def test_walks_to_two_records_of_one_table_are_not_mixed_up(at_work: Flask) -> None:
    ann, bob = (add(SysUser, user_name=name, name=name) for name in ("ann", "bob"))
    create(requested_by=ann, assigned_to=bob)
    for _ in range(2):
        assert listed("requested_by.name=ann", "requested_by.name", "assigned_to.name") == [("ann", "bob")]
        assert listed("assigned_to.name=ann", "assigned_to.name") == []
        assert listed("assigned_to.name=bob", "assigned_to.name", "requested_by.name") == [("bob", "ann")]
        # Terms that are dropped have walked too: both queries join the same tables and compare one name.
        assert listed("requested_by.active=nonsense^assigned_to.name=bob", "requested_by.name") == ["ann"]
        assert listed("requested_by.name=bob^assigned_to.active=nonsense", "requested_by.name") == []
        assert listed("requested_by.active>nonsense^assigned_to.nameLIKEbob", "requested_by.name") == ["ann"]
        assert listed("requested_by.nameLIKEbob^assigned_to.active>nonsense", "requested_by.name") == []


def test_a_page_keeps_the_order_of_its_query_through_every_chunk(at_work: Flask) -> None:
    total = 1201
    rows = [
        {"sys_id": new_sys_id(), "number": f"CHG{at:07}", "sys_class_name": "change_request", "state": -5, "order": -at}
        for at in range(total)
    ]
    connection().execute(insert(Task.__table__), rows)
    db.session.commit()
    assert listed("ORDERBYorder", "order") == [str(-at) for at in reversed(range(total))]
    page = read_page(CHANGES, ROOT, parse_encoded_query("ORDERBYorder"), shape("number"), limit=7, offset=1190)
    assert [record["number"] for record in page.records] == [f"CHG{at:07}" for at in range(10, 3, -1)]
    assert page.total == total


@pytest.mark.parametrize(
    ("limit", "offset", "shown"), [(2, 0, 2), (3, 0, 3), (4, 0, 3), (2, 2, 1), (2, 3, 0), (0, 0, 0)]
)
def test_counts_exactly_whatever_the_page(at_work: Flask, limit: int, offset: int, shown: int) -> None:
    for _ in range(3):
        create(priority=1)
    create(priority=2)
    page = read_page(CHANGES, ROOT, parse_encoded_query("priority=1"), shape("number"), limit=limit, offset=offset)
    assert (len(page.records), page.total) == (shown, 3)


def test_a_record_deleted_while_its_page_is_read_is_passed_over(at_work: Flask) -> None:
    kept, gone = create(short_description="kept"), create(short_description="gone")
    page = read_page(CHANGES, ROOT, parse_encoded_query(""), shape("sys_id"), limit=10, offset=0)
    db.session.execute(Task.__table__.delete().where(Task.sys_id == gone))
    assert [record["sys_id"] for record in page.records] == [kept]


def test_serves_the_task_view_of_a_change(at_work: Flask) -> None:
    sys_id = create(short_description="a task too")
    record = read_record(get_table("task"), ROOT, sys_id, shape("short_description", "sys_class_name", "number"))
    assert record["short_description"] == "a task too"
    assert record["sys_class_name"] == "change_request"
    with pytest.raises(RecordNotFound):
        read_record(TASKS, ROOT, sys_id, shape())


@pytest.mark.parametrize("sys_id", ["", "x", "a\0b", "\ud800", "0" * 32, "nonexistent sys ID", "x" * 5000])
def test_an_unknown_record_is_not_found(at_work: Flask, sys_id: str) -> None:
    with pytest.raises(RecordNotFound):
        read_record(CHANGES, ROOT, sys_id, shape())


def test_refuses_more_fields_than_a_database_answers(at_work: Flask) -> None:
    sys_id = create()
    name = "correlation_display"
    spellings = [
        "".join(letter.upper() if bits >> at & 1 else letter for at, letter in enumerate(name)) for bits in range(1024)
    ]
    spellings = list(dict.fromkeys(spellings))
    assert len(read_record(CHANGES, ROOT, sys_id, shape(*spellings[:999]))) == min(999, len(spellings))
    walked = [f"parent.{spelling}" for spelling in spellings]
    with pytest.raises(RequestUnreadable):
        read_record(CHANGES, ROOT, sys_id, shape(*spellings, *walked))


def test_repeated_statements_are_cached_and_unusually_long_ones_are_not(
    at_work: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(short_description="kept")
    usual, unusual = shape("number", "opened_by.name"), shape("number", "x" * 5000)
    assert select_fields(CHANGES, ROOT.permissions, usual) is select_fields(CHANGES, ROOT.permissions, usual)
    assert select_fields(CHANGES, ROOT.permissions, unusual) is not select_fields(CHANGES, ROOT.permissions, unusual)
    assert listed("short_description=kept", "active") == ["true"]

    def add_to_cache(*_arguments: object) -> None:
        pytest.fail("A statement was compiled for the cache.")

    monkeypatch.setattr("changegate.database.compiled.CompiledSelect", add_to_cache)
    for query in (
        "short_description=kept",
        f"short_description=kept^{'x' * 5000}=1",
        f"short_description=kept^{'^'.join(f'x{at}=1' for at in range(100))}",
        f"short_description=kept{'^ORDERBYnumber' * 100}",
        f"short_description=kept^ORDERBY{'x' * 5000}",
        f"short_descriptionIN{','.join(f'x{at}' for at in range(100))},kept",
    ):
        assert listed(query, "active") == ["true"]


def test_a_written_record_is_rendered_like_one_that_is_read(network: str) -> None:
    fields = {"assignment_group": network, "start_date": "2026-01-31 08:30:00", "cab_date": "2026-02-01", "risk": 3}
    for display in DisplayValue:
        for wanted in (shape(display=display), shape("number", "assignment_group.manager.email", display=display)):
            created = create_record(CHANGES, ROOT, fields)
            rendered = render_written(CHANGES, ROOT, created, wanted)
            db.session.commit()
            assert rendered == read_record(CHANGES, ROOT, created["sys_id"], wanted)


def test_callers_see_their_write_even_if_it_removed_their_read_access(at_work: Flask) -> None:
    ann = Caller(add(SysUser, user_name="ann", name="Ann"), "ann", Permissions(frozenset()))
    created = create_record(CHANGES, ROOT, {"requested_by": ADMIN, "opened_by": ADMIN})
    assert render_written(CHANGES, ann, created, shape("requested_by.name")) == {
        "requested_by.name": "System Administrator"
    }


def test_masks_secrets_for_administrators_where_names_are_shown(at_work: Flask) -> None:
    add(SysUser, user_name="ann", name="Ann")
    expected = {
        DisplayValue.ACTUAL: [{}, {}],
        DisplayValue.DISPLAY: [{"user_password": "********"}, {"user_password": ""}],
        DisplayValue.ALL: [
            {"user_password": {"display_value": "********", "value": ""}},
            {"user_password": {"display_value": "", "value": ""}},
        ],
    }
    query = parse_encoded_query("user_nameINadmin,ann^ORDERBYuser_name")
    itil = Caller(ADMIN, "admin", Permissions(frozenset({"itil"})))
    for display, records in expected.items():
        page = read_page(USERS, ROOT, query, shape("user_password", display=display), limit=9, offset=0)
        assert list(page.records) == records
        page = read_page(USERS, itil, query, shape("user_password", display=display), limit=9, offset=0)
        assert list(page.records) == [{}, {}]


def _statements(count: int) -> int:
    """Return how many statements it takes to read a page of `count` records with everything."""
    taken: list[str] = []
    driver: Any = connection().connection.dbapi_connection
    driver.set_trace_callback(taken.append)
    page = read_page(CHANGES, ROOT, parse_encoded_query("ORDERBYDESCnumber"), ALL_WITH_WALKS, limit=count, offset=0)
    records = list(page.records)
    driver.set_trace_callback(None)
    assert len(records) == count
    assert all(record["requested_by.name"]["value"] for record in records)
    return len(taken)


def test_a_page_costs_as_many_statements_whatever_its_rows(on_sqlite: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a slow machine the second for which choices are remembered ends between two pages.
    monkeypatch.setattr(recent_rows, "KEPT_FOR_SECONDS", 3600)
    parent = create(short_description="parent")
    for at in range(120):
        user = add(SysUser, user_name=f"user{at}", name=f"User {at}")
        group = add(SysUserGroup, name=f"Group {at}", manager=user)
        item = add(CmdbCi, name=f"Item {at}")
        create(
            requested_by=user,
            assigned_to=user,
            assignment_group=group,
            cmdb_ci=item,
            parent=parent,
            watch_list=f"{user},{ADMIN}",
            work_notes=f"note {at}",
        )
    _statements(1)
    assert _statements(1) == _statements(10) == _statements(100) < 20


def test_the_last_page_takes_as_many_steps_as_the_first(on_sqlite: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("matching", "records"):
        monkeypatch.setattr(f"changegate.services.tables.reading.{module}.FAR_OFFSET", 1000)
    total = 5000
    rows = [
        {"sys_id": new_sys_id(), "number": f"CHG{at:07}", "sys_class_name": "change_request", "state": -5}
        for at in range(total)
    ]
    connection().execute(insert(Task.__table__), rows)
    looks: list[None] = []
    driver: Any = connection().connection.dbapi_connection
    driver.set_progress_handler(lambda: looks.append(None), 100)

    def steps(offset: int, limit: int) -> int:
        looks.clear()
        page = read_page(CHANGES, ROOT, parse_encoded_query(""), shape("number"), limit=limit, offset=offset)
        assert (len(list(page.records)), page.total) == (limit, total)
        return len(looks)

    for limit in (20, 200):
        first, last = (min(steps(offset, limit) for _ in range(2)) for offset in (0, total - limit))
        assert last < 1.05 * first < steps(total // 2, limit)


def test_reading_a_large_page_takes_no_more_room_than_some_hundred_records(on_sqlite: Flask) -> None:
    rows = [
        {"sys_id": new_sys_id(), "number": f"CHG{at:07}", "sys_class_name": "change_request", "state": -5}
        for at in range(5000)
    ]
    connection().execute(insert(Task.__table__), rows)
    wanted, query = shape(), parse_encoded_query("")

    def peak(limit: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in read_page(CHANGES, ROOT, query, wanted, limit=limit, offset=0).records) == limit
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(500)
        assert peak(5000) < 3 * peak(500)
    finally:
        tracemalloc.stop()


def test_a_change_task_walks_to_its_change(at_work: Flask) -> None:
    change = create(short_description="the change")
    task = create_record(TASKS, ROOT, {"change_request": change, "short_description": "the task"})
    db.session.commit()
    record = read_record(TASKS, ROOT, task["sys_id"], shape("change_request.short_description", "change_request.state"))
    assert record == {"change_request.short_description": "the change", "change_request.state": "-5"}


def test_walks_within_a_count_of_related_records_are_not_taken_for_those_outside(at_work: Flask) -> None:
    ann, bob = (add(SysUser, user_name=name, name=name) for name in ("ann", "bob"))
    change = create(assigned_to=ann)
    create_record(TASKS, ROOT, {"change_request": change, "assigned_to": bob})
    db.session.commit()
    related = "RLQUERYchange_task.change_request,>=1^assigned_to.name={}^ENDRLQUERY"
    assert listed(f"assigned_to.name=ann^{related.format('bob')}", "sys_id") == [change]
    assert listed(f"assigned_to.name=ann^{related.format('ann')}", "sys_id") == []
    assert listed(f"assigned_to.name=bob^{related.format('bob')}", "sys_id") == []


@pytest.mark.parametrize(
    ("limit", "offset", "shown"), [(2, 0, 2), (2, 4, 1), (2, 9, 0), (100, 0, 5), (101, 0, 5), (0, 0, 0)]
)
def test_every_page_has_the_total_number_of_matches(at_work: Flask, limit: int, offset: int, shown: int) -> None:
    for number in range(5):
        create(short_description=f"Restart {number}")
    create(short_description="Deploy")
    query = parse_encoded_query("short_descriptionSTARTSWITHRestart^short_descriptionINRestart 0,Restart 1,Restart 2,"
                                "Restart 3,Restart 4^ORDERBYshort_description")  # fmt: skip
    page = read_page(CHANGES, ROOT, query, shape("number"), limit=limit, offset=offset)
    assert (len(page.records), page.total) == (shown, 5)


def test_a_usual_page_is_found_and_counted_by_one_statement(on_sqlite: Flask) -> None:
    for _ in range(3):
        create()
    made: list[str] = []
    driver: Any = connection().connection.dbapi_connection
    driver.set_trace_callback(made.append)
    page = read_page(CHANGES, ROOT, parse_encoded_query("active=true"), shape("number"), limit=2, offset=0)
    assert (len(page.records), page.total) == (2, 3)
    assert len(made) == 1
