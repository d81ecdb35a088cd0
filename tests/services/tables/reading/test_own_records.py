"""Lists of a user without roles: each of their own records once, whatever makes it theirs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import insert, update

from changegate.extensions import db
from changegate.models import ChangeRequest, ChangeTask, OAuthEntity, SysapprovalApprover, SysUserGroupMember, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from tests.support.change_rows import HOW_MANY, insert_rows
from tests.support.queries import find

ANN, GROUP, PIPELINE = "a" * 32, "d" * 32, "f" * 32
CALLER = Caller(ANN, "ann", Permissions(frozenset()))


@dataclass(frozen=True)
class Owned:
    """The sys_ids of the caller's own changes, and of the tasks of these."""

    changes: set[str]
    tasks: set[str]


@pytest.fixture
def owned(either_app: Flask) -> Iterator[Owned]:
    """Own changes for one reason, for several, and for all of them; most changes are of others."""
    either_app.config["CLOCK"] = lambda: datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    with either_app.app_context():
        insert_rows()
        pipeline = {"type": "jwt_bearer", "name": "Pipeline", "client_id": "p", "owner_group": GROUP}
        db.session.execute(insert(OAuthEntity.__table__), [{"sys_id": PIPELINE, **pipeline}])
        db.session.execute(insert(SysUserGroupMember.__table__), [{"user": ANN, "group": GROUP}])
        changes = db.session.scalars(db.select(ChangeRequest.sys_id).order_by(ChangeRequest.number)).all()
        for name, value, step in (("requested_by", ANN, 3), ("opened_by", ANN, 4), ("oauth_entity", PIPELINE, 5)):
            is_chosen = Task.__table__.c.sys_id.in_(changes[::step])
            db.session.execute(update(Task.__table__).where(is_chosen).values({name: value}))
        of_all = [
            {"sys_class_name": "change_task", "number": f"CTASK{at:07}", "change_request": sys_id, "state": 1}
            for at, sys_id in enumerate(changes)
        ]
        db.session.execute(insert(ChangeTask.__table__), of_all)
        asked = [
            {"sysapproval": sys_id, "approver": ANN if at % 7 == 0 else "b" * 32} for at, sys_id in enumerate(changes)
        ]
        db.session.execute(insert(SysapprovalApprover.__table__), asked)
        db.session.commit()
        own = {*changes[::3], *changes[::4], *changes[::5]}
        tasks = db.session.scalars(db.select(ChangeTask.sys_id).where(ChangeTask.change_request.in_(own))).all()
        yield Owned(own, {*tasks})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ORDERBYDESCsys_id",
        "ORDERBYsys_id^ORDERBYnumber",
        "active=true^ORDERBYDESCnumber",
        "ORDERBYDESCstart_date",
        "ORDERBYpriority^ORDERBYDESCstart_date",
        "assigned_to.nameISNOTEMPTY^ORDERBYDESCassigned_to.manager.name^ORDERBYassignment_group",
        "123TEXTQUERY321=e^ORDERBYDESCsys_created_on",
        "123TEXTQUERY321=e^ORDERBYstart_date",
        "descriptionLIKEwall",
        "state=3^ORactive=true",
    ],
)
@pytest.mark.parametrize("table_name", ["change_request", "task"])
@pytest.mark.parametrize("far_offset", [0, 5000])
def test_pages_and_counts_contain_each_own_record_once(
    owned: Owned, query: str, table_name: str, far_offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changegate.services.tables.reading.matching.FAR_OFFSET", far_offset)
    table, parsed = get_table(table_name), parse_encoded_query(query)
    expected = find(query, CALLER, table_name, shown="sys_id")
    own = owned.changes | (owned.tasks if table_name == "task" else set())
    assert {*expected} <= own
    assert expected
    assert len(expected) == len(own) or query not in {"", "ORDERBYDESCstart_date"}
    for offset in (0, 1, len(expected) - 2, len(expected)):
        matching = Matching(table, CALLER, parsed)
        page, total = matching.list_and_count(3, offset)
        assert (page.sys_ids, total) == (expected[offset : offset + 3], len(expected))
        assert matching.list_page(3, offset) == page
    counted = count_records(table, CALLER, parsed)
    assert (counted, count_records(table, CALLER, parsed, most=5)) == (len(expected), min(5, len(expected)))


def test_a_page_of_own_records_begins_after_a_key(owned: Owned) -> None:
    table, query = get_table("change_request"), parse_encoded_query("ORDERBYDESCnumber")
    begun = Matching(table, CALLER, query)
    page, total = begun.list_and_count(4, 0)
    following = Matching(table, CALLER, query, begun.key_of(page, 4))
    rest, _ = following.list_and_count(HOW_MANY, 0)
    assert [*page.sys_ids, *rest.sys_ids] == find("ORDERBYDESCnumber", CALLER, shown="sys_id")
    assert total == len(owned.changes)


@pytest.mark.parametrize("group_by", [(), ("state",), ("category", "assignment_group.name")])
@pytest.mark.parametrize("fields", [{}, {"max": ("number",)}])
def test_aggregates_count_each_own_record_once(
    owned: Owned, group_by: tuple[str, ...], fields: dict[str, tuple[str, ...]]
) -> None:
    asked = Aggregation(counts=True, group_by=group_by, fields=fields)
    stats = aggregate_records(get_table("change_request"), CALLER, parse_encoded_query(""), asked)
    groups = stats if isinstance(stats, list) else [stats]
    assert len(groups) > 1 or not group_by
    assert sum(int(group["stats"]["count"]) for group in groups) == len(owned.changes)


@pytest.mark.usefixtures("owned")
@pytest.mark.parametrize("query", ["", "state=not requested^ORDERBYDESCsys_id", "sysapproval.active=true"])
def test_approvals_are_those_that_ask_the_caller_and_those_of_own_changes(query: str) -> None:
    approvals = get_table("sysapproval_approver")
    expected = find(query, CALLER, "sysapproval_approver", shown="sys_id")
    page, total = Matching(approvals, CALLER, parse_encoded_query(query)).list_and_count(HOW_MANY, 0)
    assert 3 < len(expected) < HOW_MANY
    assert (page.sys_ids, total) == (expected, len(expected))
