"""A creation that is sent again creates nothing again, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from changegate.errors import AccessRefused, KeyAlreadyUsed, RequestUnreadable
from changegate.extensions import db
from changegate.models import IdempotencyKey, OAuthEntity, SysUser, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.idempotency import OTHER_BODY, RECORD_IS_GONE, create_once
from changegate.services.tables.writing.records import delete_record, update_record
from tests.conftest import Clock
from tests.support.jobs import run_due_jobs
from tests.support.people import ADMIN, ROOT

CHANGES = get_table("change_request")
USERS = get_table("sys_user")
BODY = {"short_description": "once", "priority": 2}
SIMULTANEOUS = 20


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[Flask]:
    either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        yield either_app


def created(key: str = "key", sent: Any = BODY, caller: Caller = ROOT, **options: bool) -> str:
    """Create once, commit and return the sys_id."""
    record = create_once(CHANGES, caller, key, sent, **options)
    db.session.commit()
    return str(record["sys_id"])


def count(model: type[Any] = Task) -> int:
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


def test_the_same_key_and_body_give_the_same_record(at_work: Flask) -> None:
    first = created()
    assert created(sent={"priority": 2, "short_description": "once"}) == first
    assert count() == 1


def test_a_repetition_gives_the_record_as_it_is_now(at_work: Flask) -> None:
    first = created()
    update_record(CHANGES, ROOT, first, {"short_description": "changed since"})
    again = create_once(CHANGES, ROOT, "key", BODY)
    assert again["short_description"] == "changed since"
    assert again.keys() == set(CHANGES.fields_for(ROOT.permissions))


@pytest.mark.parametrize(
    "body", [{}, {"short_description": "once"}, {**BODY, "unknown": None}, {**BODY, "priority": "2"}]
)
def test_refuses_another_body_under_the_same_key(at_work: Flask, body: dict[str, Any]) -> None:
    created()
    with pytest.raises(KeyAlreadyUsed) as refused:
        created(sent=body)
    assert (refused.value.status, refused.value.detail) == (409, OTHER_BODY)
    assert count() == 1


def test_how_values_are_to_be_read_is_part_of_the_body(at_work: Flask) -> None:
    created()
    with pytest.raises(KeyAlreadyUsed):
        created(input_display_value=True)


def test_a_key_is_known_to_its_user_integration_and_table_alone(at_work: Flask) -> None:
    user = SysUser(user_name="ann", name="Ann")
    entity = OAuthEntity(name="CI", client_id="0" * 32, issuer="https://ci", jwks_url="https://ci/jwks", run_as=ADMIN)
    db.session.add_all([user, entity])
    db.session.flush()
    ann = Caller(user.sys_id, "ann", Permissions(ROOT.roles))
    token = Caller(ADMIN, "admin", Permissions(ROOT.roles, TokenGrant(entity.sys_id, "")))
    ids = {created(caller=caller, key=key) for caller in (ROOT, ann, token) for key in ("key", "KEY", "key ")}
    assert len(ids) == count() == 9
    assert create_once(USERS, ROOT, "key", {"user_name": "ben"})["user_name"] == "ben"


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\0", "a\n", "\x7f", "\ud800"])
def test_refuses_an_invalid_key(at_work: Flask, key: str) -> None:
    with pytest.raises(RequestUnreadable) as refused:
        create_once(CHANGES, ROOT, key, BODY)
    assert refused.value.detail == "Header Idempotency-Key: 1 to 255 printable ASCII characters are expected"


def test_takes_every_printable_key(at_work: Flask) -> None:
    for key in ("".join(map(chr, range(32, 127))), "x" * 255, " "):
        assert created(key) == created(key)


def test_keeps_a_sys_id_that_the_caller_chose(at_work: Flask) -> None:
    body = {"SYS_ID": "A" * 32}
    assert created(sent=body) == created(sent=body) == "A" * 32


def test_a_failed_creation_burns_no_key(at_work: Flask) -> None:
    for body, error in (({"priority": 9}, RequestUnreadable), ({"sys_id": "x"}, RequestUnreadable)):
        with pytest.raises(error):
            created(sent=body)
        db.session.rollback()
    assert count(IdempotencyKey) == 0
    assert created()


def test_refuses_a_body_too_deep_to_compare(at_work: Flask) -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(RequestUnreadable, match="Exception while reading"):
        created(sent={"unknown": deep})


def test_a_key_whose_record_is_gone_creates_no_other(at_work: Flask) -> None:
    delete_record(CHANGES, ROOT, created())
    with pytest.raises(KeyAlreadyUsed) as refused:
        created()
    assert refused.value.detail == RECORD_IS_GONE
    assert count() == 0


def test_a_caller_who_may_no_longer_create_learns_nothing(at_work: Flask) -> None:
    created()
    with pytest.raises(AccessRefused):
        created(caller=Caller(ADMIN, "admin", Permissions(frozenset())))


def test_a_key_is_forgotten_after_a_day(at_work: Flask) -> None:
    clock: Clock = at_work.config["CLOCK"]
    first = created()
    clock.advance(hours=23, minutes=59)
    assert created() == first
    clock.advance(minutes=2)
    second = created(sent={"short_description": "another body"})
    assert second != first
    assert created(sent={"short_description": "another body"}) == second
    assert count(IdempotencyKey) == 1


def test_forgotten_keys_are_purged(at_work: Flask) -> None:
    clock: Clock = at_work.config["CLOCK"]
    created("old")
    clock.advance(hours=25)
    created("new")
    assert count(IdempotencyKey) == 2
    run_due_jobs(at_work, "tables.purge_idempotency_keys")
    assert count(IdempotencyKey) == 1


def test_of_simultaneous_requests_one_creates_and_all_answer_alike(at_work: Flask) -> None:
    def create(_turn: int) -> str:
        with at_work.app_context():
            return created()

    with ThreadPoolExecutor(SIMULTANEOUS) as pool:
        answers = set(pool.map(create, range(SIMULTANEOUS)))
    assert len(answers) == 1
    assert count() == count(IdempotencyKey) == 1


def test_of_simultaneous_requests_the_next_creates_when_the_first_fails(at_work: Flask) -> None:
    def create(turn: int) -> str | None:
        with at_work.app_context():
            record = create_once(CHANGES, ROOT, "key", BODY)
            if turn % 2:
                db.session.rollback()  # as if the process had failed before its answer
                return None
            db.session.commit()
            return str(record["sys_id"])

    with ThreadPoolExecutor(SIMULTANEOUS) as pool:
        answers = set(pool.map(create, range(SIMULTANEOUS))) - {None}
    assert len(answers) == 1
    assert count() == 1
