"""Records on both databases: nothing is lost, nothing is written by halves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from changegate.errors import ChangegateError, OperationFailed, RecordNotFound, RequestUnreadable
from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser, Task
from changegate.services.access import Caller
from changegate.services.tables.catalog import find_table, get_table
from changegate.services.tables.display import Shape, render_records
from changegate.services.tables.reading import get_record
from changegate.services.tables.records import create_record, delete_record, update_record

ADMIN = "6816f79cc0a8016401c5a33be04be441"
ROOT = Caller(ADMIN, "admin", frozenset({"admin"}))
CHANGES = get_table("change_request")
USERS = get_table("sys_user")
THREADS = 8
EACH = 5
VALUES: dict[str, Any] = {
    "short_description": "\U0001f600 é ß \\ ' \" % _ ^",
    "description": "x" * 4000,
    "start_date": "1000-01-01 00:00:00",
    "end_date": "9998-12-31 23:59:59",
    "cab_date": "2026-01-31",
    "order": str(-(2**31) + 1),
    "on_hold": "true",
    "category": "System Software",
    "correlation_id": "x" * 100,
}


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[Flask]:
    with either_app.app_context():
        yield either_app


def read(sys_id: str) -> dict[str, Any]:
    return dict(zip(CHANGES.fields_for(ROOT), get_record(CHANGES, ROOT, sys_id), strict=True))


def test_every_kind_of_value_comes_back_as_it_was_stored(at_work: Flask) -> None:
    created = create_record(CHANGES, ROOT, VALUES)
    db.session.commit()
    assert read(created["sys_id"]) == created
    updated = create_record(CHANGES, ROOT, {})
    update_record(CHANGES, ROOT, updated["sys_id"], VALUES)
    db.session.commit()
    assert {name: read(updated["sys_id"])[name] for name in VALUES} == {name: created[name] for name in VALUES}


def test_dates_read_as_utc_whatever_the_zone_of_the_database(at_work: Flask) -> None:
    created = create_record(CHANGES, ROOT, {"start_date": "2026-01-31T09:30:00+01:00"})
    db.session.commit()
    fields = CHANGES.fields_for(ROOT)
    [shown] = render_records(CHANGES, [get_record(CHANGES, ROOT, created["sys_id"])], fields, Shape("https://x"))
    assert shown["start_date"] == "2026-01-31 08:30:00"


def test_counts_every_one_of_concurrent_updates(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()

    def write(worker: int) -> None:
        for turn in range(EACH):
            with at_work.app_context():
                update_record(CHANGES, ROOT, sys_id, {"description": f"{worker} {turn}"})
                db.session.commit()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    assert read(sys_id)["sys_mod_count"] == THREADS * EACH


def test_of_concurrent_creations_with_one_id_one_succeeds(at_work: Flask) -> None:
    def create(_worker: int) -> bool:
        with at_work.app_context():
            try:
                create_record(CHANGES, ROOT, {"sys_id": "A" * 32})
                db.session.commit()
            except OperationFailed:
                db.session.rollback()
                return False
            return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(create, range(THREADS))) == [False] * (THREADS - 1) + [True]
    assert db.session.execute(select(func.count()).select_from(Task)).scalar_one() == 1


def test_of_concurrent_deletions_one_succeeds(at_work: Flask) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()

    def remove(_worker: int) -> bool:
        with at_work.app_context():
            try:
                delete_record(CHANGES, ROOT, sys_id)
                db.session.commit()
            except RecordNotFound:
                return False
            return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(remove, range(THREADS))) == [False] * (THREADS - 1) + [True]


@pytest.mark.parametrize("sys_id", ["", "\0", "\ud800", "x" * 100_000, "%", "\n"])
def test_an_id_that_nobody_has_is_not_found(at_work: Flask, sys_id: str) -> None:
    for attempt in (
        lambda: get_record(CHANGES, ROOT, sys_id),
        lambda: update_record(CHANGES, ROOT, sys_id, {"state": 0}),
        lambda: delete_record(CHANGES, ROOT, sys_id),
    ):
        with pytest.raises(RecordNotFound):
            attempt()


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "\x1b[31m", "\x7f"])
def test_text_that_no_database_holds_is_refused_in_every_field(at_work: Flask, text: str) -> None:
    sys_id = create_record(CHANGES, ROOT, {})["sys_id"]
    db.session.commit()
    for name, entry in CHANGES.entries.items():
        if not entry.is_read_only:
            with pytest.raises(RequestUnreadable):
                update_record(CHANGES, ROOT, sys_id, {name: text})
            with pytest.raises(RequestUnreadable):
                create_record(CHANGES, ROOT, {name: text})
    db.session.rollback()
    assert read(sys_id)["sys_mod_count"] == 0


def test_every_writable_field_holds_as_much_as_it_promises(at_work: Flask) -> None:
    for table, required in ((CHANGES, {}), (USERS, {"user_name": "ann"})):
        texts = {
            name: "é" * entry.max_length
            for name, entry in table.entries.items()
            if entry.kind == "string" and entry.max_length and not entry.is_read_only
        }
        record = create_record(table, ROOT, {**texts, **{name: texts[name] for name in required}})
        db.session.commit()
        assert all(record[name] == text for name, text in texts.items() if name in table.columns)


def test_a_user_that_something_needs_is_not_deleted(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    entity = OAuthEntity(name="CI", client_id="0" * 32, issuer="https://ci", jwks_url="https://ci/jwks", run_as=user)
    db.session.add(entity)
    db.session.commit()
    with pytest.raises(OperationFailed, match="Operation Failed") as refused:
        delete_record(USERS, ROOT, user)
    assert refused.value.detail == "Other records refer to this one and cannot do without it"
    db.session.rollback()
    assert db.session.get(SysUser, user) is not None


def test_references_to_a_deleted_user_are_emptied(at_work: Flask) -> None:
    user = create_record(USERS, ROOT, {"user_name": "ann"})["sys_id"]
    sys_id = create_record(CHANGES, ROOT, {"assigned_to": "ann"})["sys_id"]
    delete_record(USERS, ROOT, user)
    db.session.commit()
    assert read(sys_id)["assigned_to"] is None


def test_two_users_never_differ_in_case_alone(at_work: Flask) -> None:
    create_record(USERS, ROOT, {"user_name": "ann"})
    with pytest.raises(ChangegateError, match="Operation Failed"):
        create_record(USERS, ROOT, {"user_name": "Ann"})


def test_knows_tables_that_are_only_referred_to() -> None:
    group = find_table("sys_user_group")
    assert group is not None
    assert group.display_field == "name"
    assert find_table("nonsense") is None
