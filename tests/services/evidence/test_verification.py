"""The verification of histories: real edits of the database are found, and unaltered histories pass."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import commit, connection
from changegate.models import ChgHistory, ChgHistoryRoot, Task
from changegate.services.evidence.roots import export_root, make_root, read_exported
from changegate.services.evidence.verification import Verification, verify
from changegate.services.history.actors import SYSTEM, actor_of
from changegate.services.history.chain import START, append, canonical, hash_of
from changegate.services.oauth.token_keys import block_token_key, list_token_keys
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.conftest import Clock
from tests.services.evidence.tampering import tamper
from tests.support.people import ROOT

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ANN, BOB, EVE = (name * 32 for name in "abe")
A, B = "a1", "b1"


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        # The template of the first start has a history.
        tamper("DELETE FROM chg_history")
        yield


def grow(subject: str, *kinds: str) -> None:
    for kind in kinds or ("moved",):
        append("change_request", subject, kind, {"about": subject}, SYSTEM)
    commit()


def codes(report: Verification) -> list[tuple[str, str | None, int | None]]:
    return [(each.code, each.subject_id, each.seq) for each in report.observations]


def found(*statements: str) -> list[tuple[str, str | None, int | None]]:
    """Alter the database, and return what the verification says."""
    tamper(*statements)
    return codes(verify())


@pytest.fixture
def histories() -> None:
    """Two chains of three entries with a root, and one more entry each."""
    for subject in (A, B):
        grow(subject, "moved", "requested", "moved")
    make_root(NOON)
    commit()
    for subject in (A, B):
        grow(subject)


def test_nothing_is_wrong_with_what_the_product_wrote(histories: None) -> None:
    report = verify()
    assert (report.observations, report.is_clean) == ([], True)
    assert (report.chains, report.entries, report.roots) == (2, 8, 1)


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'edited'",
        "facts = '{}'",
        'actor = \'{"user_name":"eve"}\'',
        "sys_created_on = '2026-01-01 00:00:00'",
        "sys_updated_on = '2026-01-01 00:00:00'",
        "sys_created_by = 'eve'",
        "sys_updated_by = 'eve'",
        "sys_mod_count = 1",
        "sys_id = '00000000000000000000000000000000'",
    ],
)
def test_an_edit_of_any_column_is_found(histories: None, change: str) -> None:
    edit = f"UPDATE chg_history SET {change} WHERE subject_id = '{A}' AND seq = 2"
    assert found(edit) == [("edited", A, 2)]


def test_an_edit_with_a_new_hash_breaks_the_chain(histories: None) -> None:
    tamper(f"UPDATE chg_history SET facts = '{{}}' WHERE subject_id = '{A}' AND seq = 2")
    forge_hashes(A, only=2)
    assert codes(verify()) == [("edited", A, 3)]


def test_a_chain_that_was_computed_again_contradicts_its_root(histories: None) -> None:
    """An attacker who can compute hashes can forge a chain that is correct in itself; the root has another hash."""
    tamper(f"UPDATE chg_history SET facts = '{{}}' WHERE subject_id = '{A}' AND seq = 2")
    forge_hashes(A)
    assert codes(verify()) == [("edited", A, 3)]


def forge_hashes(subject: str, only: int | None = None) -> None:
    """Compute the hashes of a chain again, as an attacker would."""
    table, previous = ChgHistory.__table__, START
    rows = connection().execute(select(table).where(table.c.subject_id == subject).order_by(table.c.seq)).mappings()
    for row in [dict(row) for row in rows]:
        if only in (None, row["seq"]):
            row |= {"previous_hash": row["previous_hash"] if only else previous}
            row["hash"] = hash_of(row)
            connection().execute(update(table).where(table.c.sys_id == row["sys_id"]).values(row))
        previous = row["hash"]
    commit()


def test_a_missing_entry_is_a_gap(histories: None) -> None:
    assert found(f"DELETE FROM chg_history WHERE subject_id = '{A}' AND seq = 2") == [("gap", A, 3)]
    assert found(f"DELETE FROM chg_history WHERE subject_id = '{B}' AND seq = 1") == [("gap", A, 3), ("gap", B, 2)]


def test_a_renumbered_entry_is_found(histories: None) -> None:
    remove, close = (
        f"DELETE FROM chg_history WHERE subject_id = '{A}' AND seq = 2",
        f"UPDATE chg_history SET seq = seq - 1 WHERE subject_id = '{A}' AND seq > 2",
    )
    assert {code for code, _, _ in found(remove, close)} == {"edited"}


def test_a_truncated_chain_is_found_by_its_root(histories: None) -> None:
    assert found(f"DELETE FROM chg_history WHERE subject_id = '{A}' AND seq > 2") == [("truncated", A, 2)]


def test_a_removed_chain_is_found_by_its_root(histories: None) -> None:
    assert found(f"DELETE FROM chg_history WHERE subject_id = '{A}'") == [("removed", A, None)]


def test_an_entry_that_was_moved_to_another_change_is_found(histories: None) -> None:
    move = f"UPDATE chg_history SET subject_id = '{B}', seq = 5 WHERE subject_id = '{A}' AND seq = 4"
    assert {(code, subject) for code, subject, _ in found(move)} == {("edited", B)}


def test_erased_contents_leave_the_rest_of_the_chain_verifiable(histories: None) -> None:
    """Personal data may have to be erased by law: the other entries must still prove what they say."""
    assert found(f"UPDATE chg_history SET facts = '' WHERE subject_id = '{A}' AND seq = 1") == [("erased", A, 1)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("signed = replace(signed, '.', '.A')", "root_edited"),
        ("signed = ''", "root_edited"),
        ("made_at = '2026-01-01 00:00:00'", "root_edited"),
        ("number = 2", "root_missing"),
        ("public_jwk = '{}'", "root_edited"),
    ],
)
def test_an_edited_root_is_found(histories: None, change: str, code: str) -> None:
    assert code in [each for each, _, _ in found(f"UPDATE chg_history_root SET {change}")]


def test_heads_that_were_removed_from_a_root_are_found(histories: None) -> None:
    other = connection().execute(select(Task.sys_id)).all()
    assert other == []
    empty = "X'005B5D'" if connection().dialect.name == "sqlite" else "'\\x005B5D'"
    assert found(f"UPDATE chg_history_root SET heads = {empty}") == [("root_edited", None, None)]


def test_a_root_with_heads_that_cannot_be_read_is_found(histories: None) -> None:
    cut = "X'01FF'" if connection().dialect.name == "sqlite" else "'\\x01FF'"
    assert found(f"UPDATE chg_history_root SET heads = {cut}") == [("root_edited", None, None)]


def test_a_removed_root_is_found_by_the_next_one_and_by_a_file(histories: None) -> None:
    file = read_exported(export_root())
    make_root(NOON + timedelta(days=1))
    commit()
    assert found("DELETE FROM chg_history_root WHERE number = 1") == [("root_missing", None, None)]
    assert codes(verify(file)) == [("root_missing", None, None)] * 2


def test_a_file_reveals_a_history_that_was_forged_with_its_roots(histories: None) -> None:
    """An attacker with the database and the signing key can forge everything but the file that was kept elsewhere."""
    file = read_exported(export_root())
    tamper("DELETE FROM chg_history_root", f"DELETE FROM chg_history WHERE subject_id = '{A}'")
    make_root(NOON)
    commit()
    assert codes(verify()) == []
    assert codes(verify(file)) == [("root_differs", None, None), ("removed", A, None)]


def test_a_root_that_was_made_again_contradicts_the_next_one(histories: None) -> None:
    """An attacker with the signing key can replace a root, but not those after it that sign its hash."""
    make_root(NOON + timedelta(days=1))
    commit()
    table = ChgHistoryRoot.__table__
    second = dict(connection().execute(select(table).where(table.c.number == 2)).one()._mapping)
    tamper("DELETE FROM chg_history_root")
    make_root(NOON + timedelta(hours=1))
    connection().execute(table.insert().values(second))
    commit()
    assert codes(verify()) == [("root_edited", None, None)]


def test_a_root_of_a_blocked_key_is_noticed(histories: None) -> None:
    block_token_key(list_token_keys(NOON)[0].kid, NOON)
    report = verify()
    assert (codes(report), report.is_clean) == ([("root_key_blocked", None, None)], True)


def test_more_entries_than_are_read_at_once_are_verified(histories: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changegate.services.evidence.verification.ENTRIES_AT_ONCE", 3)
    assert verify().entries == 8
    assert found(f"DELETE FROM chg_history WHERE subject_id = '{B}' AND seq = 2") == [("gap", B, 3)]


# Decisions


def decide(change: str, *, counted: Any = None, answers: Any = None, **explanation: Any) -> None:
    """Record a change that Ann requested, an answer of Bob, and the decision that it led to."""
    append("change_request", change, "created", {"requested_by": ANN, "opened_by": ANN, "state": "-5"}, SYSTEM)
    answer = {"approval": "p1", "state": "approved", "approver": BOB, "answered_by": BOB}
    for given in [answer] if answers is None else answers:
        facts = {name: value for name, value in given.items() if name != "kind"}
        append("change_request", change, given.get("kind", "answered"), facts, SYSTEM)
    rule = {"definition": {"allows_requester": False}, "counted": [answer] if counted is None else counted}
    explanation = {"rules": [rule], "initiators": {}, "unmapped_actor": None} | explanation
    facts = {"outcome": "approved", "policy": "policy1", "policy_version": 1, "explanation": explanation}
    append("change_request", change, "decided", facts, SYSTEM)
    commit()


def test_an_approval_by_another_person_is_in_order() -> None:
    decide(A)
    assert codes(verify()) == []


def answer_of(approver: str, answered_by: str | None = None, **facts: Any) -> dict[str, Any]:
    return {
        "approval": "p1",
        "state": "approved",
        "approver": approver,
        "answered_by": answered_by or approver,
        **facts,
    }


@pytest.mark.parametrize(
    "answer",
    [
        answer_of(ANN),
        # By a delegate who asked for the change, and for an approver who did.
        answer_of(BOB, ANN),
        answer_of(ANN, BOB),
    ],
)
def test_an_approval_by_the_requester_is_found(answer: dict[str, Any]) -> None:
    decide(A, answers=[answer], counted=[answer])
    assert codes(verify()) == [("own_approval", A, 3)]


@pytest.mark.parametrize("field", ["requested_by", "opened_by"])
def test_requester_and_opener_are_both_people_who_asked(field: str) -> None:
    values = {"requested_by": EVE, "opened_by": EVE, "state": "-5", field: BOB}
    append("change_request", A, "created", values, SYSTEM)
    decide(A)
    assert ("own_approval", A, 4) in codes(verify())


def test_an_approval_by_a_former_requester_is_found() -> None:
    append("change_request", A, "created", {"requested_by": EVE, "opened_by": EVE, "state": "-5"}, SYSTEM)
    append("change_request", A, "edited", {"changes": {"requested_by": [EVE, BOB]}}, SYSTEM)
    decide(A)
    assert ("own_approval", A, 5) in codes(verify())


def test_an_approval_by_another_account_of_the_requester_is_found() -> None:
    decide(A, initiators={BOB: "Bob has the same employee number as Ann"})
    assert codes(verify()) == [("own_approval", A, 3)]


def test_a_policy_may_allow_the_requester() -> None:
    rule = {"definition": {"allows_requester": True}, "counted": [answer_of(ANN)]}
    decide(A, answers=[answer_of(ANN)], rules=[rule])
    assert codes(verify()) == []


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [answer_of(BOB, state="rejected")],
        [answer_of(EVE)],
        [answer_of(BOB), {"kind": "voided", "approvals": [{"approval": "p1"}]}],
    ],
)
def test_a_decision_that_counts_an_answer_which_was_not_given_is_found(answers: list[dict[str, Any]]) -> None:
    decide(A, answers=answers, counted=[answer_of(BOB)])
    assert [code for code, _, _ in codes(verify())] == ["answer_unrecorded"]


def test_an_actor_who_maps_to_no_user_is_listed() -> None:
    decide(A, unmapped_actor="octocat at https://token.example.com")
    report = verify()
    assert report.is_clean
    assert [(each.code, each.sentence) for each in report.observations] == [
        ("actor_unknown", "The decision cannot know who is behind octocat at https://token.example.com.")
    ]


def test_a_change_decided_under_a_policy_that_an_approver_edited_is_listed() -> None:
    append("chg_policy_approval", "policy1", "policy_edited", {}, {"user": BOB, "user_name": "bob"})
    append("chg_policy_approval", "policy2", "policy_edited", {}, {"user": ANN, "user_name": "ann"})
    decide(A)
    report = verify()
    assert report.is_clean
    assert codes(report) == [("policy_edited_by_approver", A, 3)]


def test_a_policy_that_an_approver_edited_later_is_not_listed() -> None:
    decide(A)
    later = datetime.now(UTC) + timedelta(hours=1)
    append("chg_policy_approval", "policy1", "policy_edited", {}, {"user": BOB, "user_name": "bob"}, later)
    commit()
    assert codes(verify()) == []


def test_a_rejection_needs_no_four_eyes() -> None:
    append("change_request", A, "created", {"requested_by": ANN, "state": "-5"}, SYSTEM)
    rules = [{"definition": {}, "counted": [answer_of(ANN)]}]
    append("change_request", A, "decided", {"outcome": "rejected", "explanation": {"rules": rules}}, SYSTEM)
    commit()
    assert codes(verify()) == []


# The records themselves


def test_a_state_to_which_no_recorded_move_leads_is_found() -> None:
    change = create_record(get_table("change_request"), ROOT, {})["sys_id"]
    append("change_request", change, "moved", {"changes": {"state": ["-5", "-4"]}}, actor_of(ROOT))
    connection().execute(update(Task).where(Task.sys_id == change).values(state=-4))
    commit()
    assert codes(verify()) == []

    tamper(f"UPDATE task SET state = -1 WHERE sys_id = '{change}'")
    assert codes(verify()) == [("state_differs", change, None)]


@pytest.mark.parametrize(
    ("edit", "observed"),
    [
        ("state = -1, approval = 'approved'", ["state_differs"]),
        ("approval = 'approved'", ["state_differs"]),
        ("implementation_plan = 'Drop tables'", []),
    ],
)
def test_a_new_change_that_was_moved_in_the_database_is_found(edit: str, observed: list[str]) -> None:
    grow(A)
    change = create_record(get_table("change_request"), ROOT, {})["sys_id"]
    commit()
    assert codes(verify()) == []

    assert [code for code, _, _ in found(f"UPDATE task SET {edit} WHERE sys_id = '{change}'")] == observed


def test_a_change_from_before_all_histories_is_a_notice() -> None:
    change = create_record(get_table("change_request"), ROOT, {})["sys_id"]
    commit()
    tamper(f"UPDATE task SET state = -1, sys_created_on = '2020-01-01 00:00:00' WHERE sys_id = '{change}'")

    report = verify()
    assert (codes(report), report.is_clean) == ([("history_missing", change, None)], True)


def test_the_history_of_an_older_change_makes_no_problem_of_changes_from_before_all_histories() -> None:
    older, newer = (create_record(get_table("change_request"), ROOT, {})["sys_id"] for _ in range(2))
    commit()
    tamper(
        f"UPDATE task SET sys_created_on = '2020-01-01 00:00:00' WHERE sys_id = '{older}'",
        f"UPDATE task SET state = -1, sys_created_on = '2020-01-02 00:00:00' WHERE sys_id = '{newer}'",
    )
    append("change_request", older, "edited", {"changes": {}}, actor_of(ROOT))
    commit()

    report = verify()
    assert (codes(report), report.is_clean) == ([("history_missing", newer, None)], True)


def test_an_imported_change_has_a_history() -> None:
    grow(A)
    create_record(get_table("change_request"), ROOT, {"state": "-1"})
    create_record(get_table("change_request"), ROOT, {"state": "3", "close_code": "successful", "close_notes": "Done"})
    commit()
    assert codes(verify()) == []


@pytest.mark.parametrize("field", ["implementation_plan", "short_description", "close_notes"])
def test_a_value_to_which_no_recorded_edit_leads_is_found(field: str) -> None:
    change = create_record(get_table("change_request"), ROOT, {"state": "-2", "backout_plan": "Restore"})["sys_id"]
    update_record(get_table("change_request"), ROOT, change, {"implementation_plan": "Deploy"})
    commit()
    assert codes(verify()) == []

    assert found(f"UPDATE task SET {field} = 'Other' WHERE sys_id = '{change}'") == [("fields_differ", change, None)]


def test_references_that_a_deletion_has_emptied_are_not_reported() -> None:
    item = create_record(get_table("cmdb_ci"), ROOT, {"name": "web"})["sys_id"]
    change = create_record(get_table("change_request"), ROOT, {"state": "-1", "business_service": item})["sys_id"]
    delete_record(get_table("cmdb_ci"), ROOT, item)
    commit()
    assert change and codes(verify()) == []


def test_a_deleted_change_has_a_history_in_order() -> None:
    change = create_record(get_table("change_request"), ROOT, {})["sys_id"]
    delete_record(get_table("change_request"), ROOT, change)
    commit()
    assert codes(verify()) == []


def test_entries_that_cannot_be_parsed_do_not_stop_the_verification() -> None:
    decide(A)
    grow(B)
    tamper(
        f"UPDATE chg_history SET facts = '[]' WHERE subject_id = '{A}' AND seq = 3",
        f"UPDATE chg_history SET facts = 'x' WHERE subject_id = '{B}'",
    )
    assert {(code, subject) for code, subject, _ in codes(verify())} == {("edited", A), ("edited", B)}


def test_facts_that_are_canonical_stay_so() -> None:
    decide(A)
    for facts in connection().execute(select(ChgHistory.facts)).scalars():
        assert canonical(orjson.loads(facts)) == facts
