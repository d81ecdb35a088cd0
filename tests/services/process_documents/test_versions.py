"""Versions of the process: each content of its records, and under which one a change moved and was decided about."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from changegate.database import commit, connection, rollback
from changegate.models import ChgHistory, ChgProcessVersion
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.seed.first_start import seed_first_start
from changegate.services.process_documents.kinds import KINDS, all_kinds
from changegate.services.process_documents.versions import current_version, documents_at
from changegate.services.tables.registry import get_table
from tests.services.approvals.asked_changes import add, add_group, add_policy, edit, of_group, remove
from tests.services.process.test_races import Race
from tests.support.people import ROOT, add_account

MODELS, POLICIES = (next(kind for kind in KINDS if kind.key == key) for key in ("models", "policies"))
VERSIONS = ChgProcessVersion.__table__


def versions_since(number: int) -> list[tuple[str, str]]:
    """Return table and name of each version after a number, and insist that no number is missing."""
    rows = connection().execute(select(VERSIONS).where(VERSIONS.c.number > number).order_by(VERSIONS.c.number)).all()
    assert [row.number for row in rows] == [*range(number + 1, number + 1 + len(rows))]
    return [(row.subject_table, row.name) for row in rows]


def names_at(number: int, kind: Any = POLICIES) -> dict[str, dict[str, str]]:
    return {document.name: dict(document.fields) for document in documents_at(number)[kind]}


def committed_policy(**sent: Any) -> str:
    policy = add_policy(of_group(add_group("Peers", add_account("ann"))), **sent)
    commit()
    return policy


def test_the_first_start_stores_everything_that_is_shipped_once(at_work: Flask) -> None:
    assert {*MODELS_OF_TYPES} == {name.lower() for name in names_at(current_version(), MODELS)}
    assert "Normal change: CAB" in names_at(current_version())
    before = current_version()
    seed_first_start(None)
    commit()
    assert current_version() == before > 0


def test_a_transaction_stores_one_version_of_a_record_with_all_of_its_rows(at_work: Flask) -> None:
    before = current_version()
    committed_policy(name="Night shift")
    assert versions_since(before) == [("chg_policy_approval", "Night shift")]
    [policy] = (each for each in documents_at(current_version())[POLICIES] if each.name == "Night shift")
    assert policy.fields["active"] == "true"
    assert [rule.fields["approver_source"] for rule in policy.parts["rules"]] == ["group"]


def test_a_rollback_stores_no_version(at_work: Flask) -> None:
    before = current_version()
    add_policy(of_group(add_group("Peers", add_account("ann"))))
    rollback()
    commit()
    assert current_version() == before


def test_a_write_that_ends_where_it_began_stores_no_version(at_work: Flask) -> None:
    policy = committed_policy(order=7)
    before = current_version()
    edit("chg_policy_approval", policy, order=8)
    edit("chg_policy_approval", policy, order=7)
    commit()
    assert current_version() == before


def test_a_version_shows_the_process_as_it_was(at_work: Flask) -> None:
    policy = committed_policy(name="Night shift", order=7)
    first = current_version()
    edit("chg_policy_approval", policy, name="Day shift", order=8, active=False)
    commit()
    second = current_version()
    remove("chg_policy_approval", policy)
    commit()
    assert names_at(first)["Night shift"]["order"] == "7"
    assert names_at(second)["Day shift"]["order"] == "8"
    assert {"Night shift", "Day shift"}.isdisjoint(names_at(current_version()))
    assert versions_since(second) == [("chg_policy_approval", "Day shift")]


def test_rows_of_rows_belong_to_the_version_of_a_model(at_work: Flask) -> None:
    model = add("chg_model", name="Network", copied_from="Normal")
    commit()
    before = current_version()
    table = get_table("sttrm_state_transition").source
    moves = select(table.c.sys_id).where(table.c.sttrm_model == model, table.c.name == "New to Assess")
    conditions = get_table("sttrm_transition_condition").source
    row = select(conditions.c.sys_id).where(conditions.c.transition == connection().execute(moves).scalar_one())
    edit("sttrm_transition_condition", connection().execute(row).scalar_one(), condition="risk=4")
    commit()
    assert versions_since(before) == [("chg_model", "Network")]
    [network] = (each for each in documents_at(current_version())[MODELS] if each.name == "Network")
    [move] = (each for each in network.parts["transitions"] if each.name == "New to Assess")
    assert [each.fields["condition"] for each in move.parts["conditions"]] == ["risk=4"]


def test_copies_of_a_model_have_its_content(at_work: Flask) -> None:
    add("chg_model", name="Network", copied_from="Normal")
    commit()
    contents = {each.name: each.parts for each in documents_at(current_version())[MODELS]}
    assert contents["Network"] == contents["Normal"]


def test_a_change_records_under_which_version_it_moved_and_was_decided_about(at_work: Flask) -> None:
    committed_policy(condition="type=normal")
    group = add_group("Network", add_account("bob"))
    change = add("change_request", assignment_group=group, risk=4)
    edit("change_request", change, state=-4)
    commit()
    first = current_version()
    committed_policy_of_another_state()
    edit("change_request", change, state=4, work_notes="no longer needed")
    commit()
    rows = connection().execute(
        select(ChgHistory.kind, ChgHistory.facts).where(ChgHistory.subject_id == change).order_by(ChgHistory.seq)
    )
    recorded = [(kind, json.loads(facts).get("process_version")) for kind, facts in rows]
    numbered = [each for each in recorded if each[1] is not None]
    assert numbered[:2] == [("moved", first), ("requested", first)]
    assert {number for _, number in numbered[2:]} == {current_version()} != {first}


def committed_policy_of_another_state() -> None:
    add_policy(of_group(add_group("Others", add_account("cem"))), state=-3)
    commit()


def test_the_database_refuses_to_edit_a_version(at_work: Flask) -> None:
    for write in (update(VERSIONS).values(name="forged"), delete(VERSIONS)):
        with pytest.raises(DBAPIError, match="append-only"):
            connection().execute(write)
        rollback()


def test_writers_at_the_same_time_store_versions_one_after_the_other(either_app: Flask) -> None:
    race = Race(either_app)
    with either_app.app_context():
        policies = [add("chg_policy_approval", name=f"Policy {at}", state=-4) for at in range(4)]
        commit()
        before = current_version()

    def editing(policy: str) -> Any:
        return lambda: edit("chg_policy_approval", policy, description="edited")

    assert race.run(*map(editing, policies)) == [None] * 4
    with either_app.app_context():
        assert sorted(versions_since(before)) == [("chg_policy_approval", f"Policy {at}") for at in range(4)]


@pytest.mark.parametrize("kind", [*all_kinds()], ids=lambda kind: kind.key)
def test_every_write_of_a_document_is_noted(kind: Any) -> None:
    owners = {table.history_table or table.table_name for table in KINDS}
    assert getattr(kind.table.rules, "subject_table", None) in owners
    assert kind.table.is_closed_to_tokens


def test_readers_of_changes_read_versions_and_nobody_writes_them(at_work: Flask) -> None:
    access = get_table("chg_process_version").access
    assert access.admits("read", ROOT.permissions)
    assert not any(access.admits(operation, ROOT.permissions) for operation in ("create", "update", "delete"))
