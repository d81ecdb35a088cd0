"""Common queries on 100,000 changes of two years: none that selects few records reads all of them."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import pytest
from benchmarks.common_queries import TEXT, CommonQuery, common_queries
from benchmarks.life import fill_life, life_of
from benchmarks.query_plans import indexes_of, noted_plans, plan_of
from flask import Flask
from sqlalchemy import update

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.console.my_work import SECTIONS
from changegate.console.records.list_state import ListState
from changegate.database import commit, connection, text_index
from changegate.extensions import db, now
from changegate.models import Task
from changegate.services.approvals.deadlines import list_due
from changegate.services.dashboard.charts import CHARTS, ON_HOLD
from changegate.services.tables.queries.encoded_query import render_encoded_query
from changegate.services.tables.registry import get_table
from changegate.services.tables.upkeep import index_texts, renew_statistics
from changegate.services.users.accounts import create_user
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.postgres import prepared_database_of_postgres

CHANGES = 100_000
ADMIN = basic("admin", ADMIN_PASSWORD)
LIFE = life_of(CHANGES)
QUERIES = common_queries(LIFE)
UNSELECTIVE = {"everything"}
[WATCHED] = [each for each in SECTIONS if each.title == "Watched"]
[WAITING] = [each for each in CHARTS if each.key == "approver"]
[BEGINNING] = [each for each in QUERIES if each.name == "beginning of a field"]
OF_PAGES = [
    (CommonQuery("watched", WATCHED.query.format(me="x" * 32), WATCHED.table), "task_watched"),
    (CommonQuery("on hold", ON_HOLD), "task_on_hold"),
    (BEGINNING, "task_short_description_lower"),
    (CommonQuery("service offering", f"service_offering={'x' * 32}", "task"), "task_service_offering"),
    (CommonQuery("template", f"std_change_producer_version={'x' * 32}"), "task_std_change_producer_version"),
    (CommonQuery("answered by", f"answered_by={'x' * 32}", "sysapproval_approver"), "sysapproval_approver_answered_by"),
    (CommonQuery("by approver", WAITING.query, WAITING.table, stats=WAITING.field), "sysapproval_approver_state"),
]
[DAY] = [each.query for each in QUERIES if each.name == "overlaps a day"]
OVERLAPS = [
    CommonQuery("group's open, overlap", f"active=true^assignment_group={LIFE.groups[0]}^{DAY}"),
    CommonQuery("person's, overlap", f"assigned_to={LIFE.users[0]}^{DAY}"),
]


def is_selective(query: CommonQuery) -> bool:
    return query.name not in UNSELECTIVE and not query.name.startswith("all by ")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with the changes, whose texts are indexed and whose statistics are up to date."""
    overrides = {"admin_password": ADMIN_PASSWORD}
    with ExitStack() as stack:
        if request.param == "postgresql":
            overrides["database_url"] = stack.enter_context(prepared_database_of_postgres())
        app = create_app(instance_path=tmp_path_factory.mktemp("queries") / "instance", overrides=overrides)
        prepare_instance(app)
        with app.app_context():
            url = db.engine.url.render_as_string(hide_password=False)
        # No query is about prose, the indexing of which would take as long as all else.
        fill_life(url, CHANGES, has_prose=False)
        with app.app_context():
            index_and_analyze()
        yield app
        with app.app_context():
            db.engine.dispose()


def index_and_analyze() -> None:
    # All texts in one batch: after batches of the usual size, FTS5 merges parts of the index, which adds half again.
    with mock.patch.multiple(text_index, TEXTS_AT_ONCE=10 * CHANGES, CHARACTERS_AT_ONCE=10_000 * CHANGES):
        while index_texts(now()):
            commit()
    commit()
    renew_statistics(now())


@pytest.mark.parametrize("query", [each for each in QUERIES if is_selective(each)], ids=lambda each: each.name)
def test_a_selective_query_reads_few_rows(app: Flask, query: CommonQuery) -> None:
    plan = plan_of(app, query, ADMIN)
    assert "all rows" not in indexes_of(plan), plan
    # Of the ranges, SQLite reads only the first entry of each.
    scans = [step for before, step in pairwise(["", *plan]) if before != "MATERIALIZE ranges"]
    assert not any("SCAN task " in f"{step} " for step in scans), plan
    # Not all records in the order of the page either.
    assert query.kind != TEXT or "task_sys_created_on" not in indexes_of(plan), plan


@pytest.mark.parametrize(("query", "index"), OF_PAGES, ids=lambda each: getattr(each, "name", ""))
def test_pages_read_their_numbers_from_an_index_of_what_they_count(app: Flask, query: CommonQuery, index: str) -> None:
    assert indexes_of(plan_of(app, query, ADMIN)) == [index]


def test_records_with_a_frequent_word_are_neither_read_nor_compared_on_sqlite(app: Flask) -> None:
    plan = plan_of(app, CommonQuery("frequent word", "123TEXTQUERY321=patch"), ADMIN)
    reading = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert not reading or reading[0].startswith("SCAN task_text VIRTUAL TABLE"), plan


@pytest.mark.parametrize("condition", ["state=3", f"assignment_group={LIFE.groups[2]}"])
def test_a_page_by_number_skips_the_numbers_of_other_classes(app: Flask, condition: str) -> None:
    plan = plan_of(app, CommonQuery("by number", f"{condition}^ORDERBYDESCnumber"), ADMIN)
    assert all("Index Cond" in following for step, following in pairwise([*plan, ""]) if "uq_task_number" in step), plan


@pytest.mark.parametrize("order", ["number", "sys_updated_on"])
def test_open_changes_are_sorted_without_reading_all_of_them(app: Flask, order: str) -> None:
    plan = plan_of(app, CommonQuery("sorted", f"active=true^ORDERBYDESC{order}"), ADMIN)
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
    expected = {"task_active_group", "task_active_page"}
    assert expected == {*indexes_of(plan)} if is_sqlite else not re.search("Sort", "".join(plan)), plan


def test_the_job_of_deadlines_finds_approvals_by_their_times(app: Flask) -> None:
    with app.app_context(), noted_plans("task") as plans:
        list_due(now(), 10)
    indexes = indexes_of([step for plan in plans for step in plan])
    assert {"sysapproval_approver_due_date", "sysapproval_approver_expires"} <= set(indexes)


def test_the_console_lists_the_newest_changes_without_their_tasks(app: Flask) -> None:
    newest = render_encoded_query(ListState.of_arguments(get_table("change_request"), {}).query)
    indexes = indexes_of(plan_of(app, CommonQuery("newest", newest), ADMIN))
    assert ("task_sys_created_on" in indexes, any("number" in each for each in indexes)) == (True, False)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (CommonQuery("approvals", "", "sysapproval_approver"), "sysapproval_approver_sys_created_on"),
        (CommonQuery("open by number", "active=true^ORDERBYDESCnumber"), "task_number_active"),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_postgresql_reads_a_page_from_an_index_in_its_order(app: Flask, query: CommonQuery, index: str) -> None:
    with app.app_context():
        is_postgres = db.engine.dialect.name == "postgresql"
    assert index in indexes_of(plan_of(app, query, ADMIN)) or not is_postgres


def test_sqlite_expects_that_many_changes_are_active(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            found = "SELECT stat FROM sqlite_stat1 WHERE idx = 'ix_task_active_page'"
            _, active, *_ = connection().exec_driver_sql(found).scalar_one().split()
            assert int(active) > CHANGES / 20


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("overlaps a day", ["task_window"]),
        ("open, overlaps a day", ["task_window"]),
        ("group's open, overlap", ["task_window"]),
        ("person's, overlap", ["task_assigned_to"]),
        ("by pipeline, open", ["task_active_pipeline"]),
        ("open by group and state", ["task_active_state"]),
        ("group's open by person and state", ["task_active_state"]),
        ("open by risk and type", ["task_type_page"]),
        ("open emergencies", ["task_active_page", "task_type_page"]),
    ],
)
def test_sqlite_reads_no_index_with_more_entries_than_it_needs(app: Flask, name: str, indexes: list[str]) -> None:
    [query] = [each for each in [*QUERIES, *OVERLAPS] if each.name == name]
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
    assert indexes_of(plan_of(app, query, ADMIN)) == indexes or not is_sqlite


@pytest.mark.parametrize("order", ["sys_created_on", "sys_created_on^ORDERBYDESCnumber"], ids=["keys", "console"])
@pytest.mark.parametrize("name", ["last name", "full name", "most frequent first name"])
def test_changes_of_people_are_found_in_indexes_alone(app: Flask, name: str, order: str) -> None:
    [query] = [each for each in QUERIES if each.name == name]
    orders = (f"ORDERBYDESC{order}", "ORDERBYnumber")
    plan, plan_by_number = (plan_of(app, replace(query, query=f"{query.query}^{each}"), ADMIN) for each in orders)
    of_people = [step for step in plan if re.search("ix_task_[a-z_]+_(by|to|for|delegate)", step)]
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
    assert len(of_people) == 6
    # Without VACUUM, PostgreSQL does not know that the rows of an index are visible.
    assert all("COVERING" in step for step in of_people) or not is_sqlite
    combined = "MULTI-INDEX OR" if is_sqlite else "BitmapOr"
    assert [any(combined in step for step in each) for each in (plan, plan_by_number)] == [False, True]
    # PostgreSQL would estimate the matches of each condition that excludes those of earlier alternatives.
    assert is_sqlite or sum("CASE WHEN" in step for step in plan) >= len(of_people)


@pytest.fixture(scope="module")
def requester(app: Flask) -> dict[str, str]:
    """The header of a user without roles, who may see only their own changes: a few."""
    with app.app_context():
        user = create_user(user_name="requester", password=ADMIN_PASSWORD, email=None, name=None, roles=[])
        tasks = Task.__table__
        is_own = tasks.c.sys_id.in_(LIFE.sys_ids[:10])
        connection().execute(update(tasks).where(is_own).values(requested_by=user.sys_id, active=True))
        commit()
    return basic("requester", ADMIN_PASSWORD)


def test_own_changes_are_found_without_tasks(app: Flask, requester: dict[str, str]) -> None:
    indexes = indexes_of(plan_of(app, CommonQuery("own", "ORDERBYDESCsys_created_on"), requester))
    assert ("task_requested_by" in indexes, "task_change_request" in indexes) == (True, False)


@pytest.mark.parametrize(
    "query",
    [
        CommonQuery("newest", "ORDERBYDESCsys_created_on"),
        CommonQuery("by planned start", "active=true^ORDERBYstart_date"),
        CommonQuery("of the console", "ORDERBYDESCsys_created_on^ORDERBYDESCnumber"),
        CommonQuery("by state", "", stats="state"),
    ],
    ids=lambda each: each.name,
)
def test_own_changes_are_found_once(app: Flask, requester: dict[str, str], query: CommonQuery) -> None:
    plan = plan_of(app, query, requester)
    assert sum("ix_task_requested_by" in step for step in plan) == 1, plan


def test_own_approvals_are_found_by_own_tasks(app: Flask, requester: dict[str, str]) -> None:
    plan = plan_of(app, CommonQuery("own", "ORDERBYDESCsys_created_on", "sysapproval_approver"), requester)
    assert "sysapproval_approver_sysapproval" in indexes_of(plan)
    assert not any(re.search("(SCAN|Seq Scan on) sysapproval_approver", step) for step in plan), plan


@pytest.mark.parametrize("name", ["correlation_id", "source_commit"])
def test_postgresql_expects_few_changes_of_a_run_or_commit(app: Flask, name: str) -> None:
    """Otherwise, it looks for them among all changes in the order of creation."""
    with app.app_context():
        if db.engine.dialect.name == "postgresql":
            plan = f"EXPLAIN (FORMAT JSON) SELECT sys_id FROM task WHERE lower({name}) = 'x'"
            [found] = connection().exec_driver_sql(plan).scalar_one()
            assert found["Plan"]["Plan Rows"] < 10


def test_changes_are_uneven_and_mostly_closed(app: Flask) -> None:
    client = app.test_client()

    def count(name: str) -> int:
        [query] = [each for each in QUERIES if each.name == name]
        return int(client.get(query.path(), headers=ADMIN).headers["X-Total-Count"])

    assert count("everything") == CHANGES
    assert count("all open") == pytest.approx(CHANGES / 10, rel=0.05)
    assert count("largest group's open") > 4 * count("smallest group's open")
    assert count("busiest person's open") > 10 * count("person's open")
