"""Chains of history entries: what is appended, and that it cannot be changed afterwards."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError

from changegate.database import commit, connection, rollback
from changegate.database.prepared import Prepared
from changegate.errors import RecordChanged
from changegate.models import ChgHistory
from changegate.services.access.caller import Caller, TokenOrigin
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.history.actors import SYSTEM, actor_of
from changegate.services.history.chain import (
    START,
    Event,
    append,
    append_events,
    describe_beginning,
    digest_of,
    hash_of,
)
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("either_app_context")
CHANGE = "c" * 32
ANN = {"user": "a" * 32, "user_name": "ann"}
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def entries(subject: str = CHANGE) -> list[dict[str, Any]]:
    found = select(ChgHistory.__table__).where(ChgHistory.subject_id == subject).order_by(ChgHistory.seq)
    return [dict(row) for row in connection().execute(found).mappings()]


def test_each_entry_holds_the_hash_of_the_entry_before_it() -> None:
    append("change_request", CHANGE, "moved", {"from": -5, "to": -4}, ANN, NOON)
    append("change_request", CHANGE, "requested", {"round": 1}, SYSTEM)
    append("change_request", "d" * 32, "moved", {}, ANN)

    first, second = entries()
    assert (first["seq"], second["seq"]) == (1, 2)
    assert (first["previous_hash"], second["previous_hash"]) == (START, first["hash"])
    assert [hash_of(row) for row in (first, second)] == [first["hash"], second["hash"]]
    assert first["sys_created_on"] == NOON
    assert (first["sys_created_by"], second["sys_created_by"]) == ("ann", "system")
    assert [row["seq"] for row in entries("d" * 32)] == [1]


def test_facts_are_canonical_json() -> None:
    """Equal facts have equal text, whatever the order of their members and the zone of their times."""
    append("change_request", CHANGE, "moved", {"z": [1, None, "é"], "a": NOON}, ANN)
    assert entries()[0]["facts"] == '{"a":"2026-11-28T12:00:00Z","z":[1,null,"é"]}'


def test_the_hash_covers_every_column() -> None:
    append("change_request", CHANGE, "moved", {"to": -4}, ANN, NOON)
    row = entries()[0]
    others = {"seq": 2, "sys_mod_count": 1, "sys_created_on": datetime.now(UTC), "sys_updated_on": datetime.now(UTC)}
    for name in row.keys() - {"hash"}:
        assert hash_of({**row, name: others.get(name, "x")}) != row["hash"], name


def test_a_published_hash_can_be_computed_as_the_documentation_specifies() -> None:
    """Never change this value: every chain of every instance would no longer verify."""
    row = {
        "sys_id": "1" * 32,
        "sys_created_on": NOON,
        "sys_created_by": "ann",
        "sys_updated_on": NOON,
        "sys_updated_by": "ann",
        "sys_mod_count": 0,
        "subject_table": "change_request",
        "subject_id": CHANGE,
        "seq": 1,
        "kind": "moved",
        "actor": '{"user":"a"}',
        "facts": "{}",
        "previous_hash": START,
    }
    covered = (
        f'[1,"{START}","change_request","{CHANGE}",1,"moved","{"1" * 32}","2026-11-28T12:00:00Z","ann",'
        f'"2026-11-28T12:00:00Z","ann",0,"{digest_of(row["actor"])}","{digest_of("{}")}"]'
    )
    assert hash_of(row) == digest_of(covered)


def test_a_chain_begins_with_the_creation_and_its_values_before_the_first_event() -> None:
    created = Event("created", {"number": "CHG1", "state": "-4", "risk": "2"}, ANN, NOON)
    describe_beginning("test_subject", lambda sys_id: created if sys_id == CHANGE else None)
    append("test_subject", CHANGE, "moved", {"changes": {"state": ["-5", "-4"]}}, SYSTEM)
    append("test_subject", CHANGE, "moved", {"changes": {"state": ["-4", "-3"]}}, SYSTEM)
    append("test_subject", "d" * 32, "moved", {}, SYSTEM)

    first, *others = entries()
    assert (first["kind"], first["sys_created_on"], json.loads(first["actor"])) == ("created", NOON, ANN)
    assert json.loads(first["facts"]) == {"number": "CHG1", "state": "-5", "risk": "2"}
    assert [row["kind"] for row in others] == ["moved", "moved"]
    assert [row["kind"] for row in entries("d" * 32)] == ["moved"]


def test_several_events_cost_two_statements() -> None:
    events = [Event("moved", {"to": to}, ANN) for to in (-4, -3, -2)]
    append_events("change_request", CHANGE, events)
    with counted_statements() as statements:
        append_events("change_request", CHANGE, events)
    assert len(statements) == 2
    assert [row["seq"] for row in entries()] == [1, 2, 3, 4, 5, 6]


def test_two_writers_cannot_continue_a_chain_from_the_same_entry() -> None:
    """Without the unique key, two writers that forgot the lock of the change would fork its history."""
    append("change_request", CHANGE, "moved", {}, ANN)
    row = entries()[0]
    with pytest.raises(IntegrityError):
        connection().execute(ChgHistory.__table__.insert().values({**row, "sys_id": "e" * 32}))


def test_a_writer_that_did_not_wait_for_another_one_is_refused() -> None:
    append("change_request", CHANGE, "moved", {}, ANN)
    with mock.patch.object(Prepared, "first", lambda *_: None), pytest.raises(RecordChanged):
        append("change_request", CHANGE, "moved", {}, ANN)


def test_entries_end_with_a_transaction_that_is_rolled_back() -> None:
    append("change_request", CHANGE, "moved", {}, ANN)
    rollback()
    append("change_request", CHANGE, "answered", {}, ANN)
    commit()
    assert [(row["seq"], row["kind"]) for row in entries()] == [(1, "answered")]


@pytest.mark.parametrize(
    "edit",
    [
        update(ChgHistory).values(kind="answered"),
        delete(ChgHistory),
        text("UPDATE chg_history SET facts = '{}' WHERE seq = 1"),
        text("DELETE FROM chg_history_root"),
        text("UPDATE chg_history_root SET signed = ''"),
    ],
)
def test_the_database_refuses_every_edit(edit: Any) -> None:
    append("change_request", CHANGE, "moved", {}, ANN)
    root = "INSERT INTO chg_history_root VALUES (1, '2026-11-28 00:00:00', '00', '', '{}')"
    connection().exec_driver_sql(root)
    commit()
    with pytest.raises(IntegrityError, match="is append-only"):
        connection().execute(edit)
    rollback()
    assert [row["kind"] for row in entries()] == ["moved"]


def test_the_database_refuses_truncation(postgres_app: Flask) -> None:
    with postgres_app.app_context():
        append("change_request", CHANGE, "moved", {}, ANN)
        commit()
        with pytest.raises(IntegrityError, match="is append-only"):
            connection().exec_driver_sql("TRUNCATE chg_history")
        rollback()
        assert len(entries()) == 1


def test_an_actor_is_the_person_and_the_workload_behind_the_token() -> None:
    origin = TokenOrigin("client", "correlation", issuer="https://idp.example.com", subject="repo:x")
    grant = TokenGrant("e" * 32, "changes")
    person = Caller(ANN["user"], "ann", Permissions(frozenset()))
    workload = Caller(ANN["user"], "ann", Permissions(frozenset(), grant), origin)
    assert actor_of(person) == ANN
    assert actor_of(person, acts_for="b" * 32) == ANN | {"acts_for": "b" * 32}
    assert actor_of(workload) == ANN | {
        "integration": "e" * 32,
        "oauth_client_id": "client",
        "oauth_issuer": "https://idp.example.com",
        "oauth_subject": "repo:x",
        "oauth_exchange": "correlation",
    }
