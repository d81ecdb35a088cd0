"""Answers that end: by an edit of what they cover, by other changes of it, and by time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db, now
from changegate.models import ChgHistory, SysapprovalApprover, TaskCi
from changegate.models.cmdb_ci import CmdbCi
from changegate.services.approvals.content import GOVERNED_FIELDS, read_content, store_content
from changegate.services.approvals.hours import expiry_of
from changegate.services.approvals.rounds import Round
from changegate.services.approvals.voiding import find_uncovered, void_after_edit, void_uncovered
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.conftest import Clock
from tests.services.approvals.asked_changes import decide
from tests.support.people import ROOT, add_account, caller_for

Change = dict[str, Any]
Ask = Callable[..., str]


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = Clock()
    with either_app.app_context():
        yield


@pytest.fixture
def change() -> Change:
    sent = {"implementation_plan": "Deploy", "backout_plan": "Roll back", "risk": "3", "state": "-4"}
    record = dict(create_record(get_table("change_request"), ROOT, sent))
    decide(record["sys_id"], "requested")
    return record


@pytest.fixture
def ask(change: Change) -> Ask:
    """Ask a new person for an approval that covers some fields of the change; return its sys_id."""

    def asked(name: str, state: str = "approved", fields: Any = GOVERNED_FIELDS, **columns: Any) -> str:
        digest = store_content(read_content(change, fields))
        values = {"asked_by_policy": True, "round": 1, "stage": -4, "content_hash": digest} | columns
        row = SysapprovalApprover(sysapproval=change["sys_id"], approver=add_account(name), state=state, **values)
        db.session.add(row)
        db.session.flush()
        return row.sys_id

    return asked


def row_of(sys_id: str) -> SysapprovalApprover:
    db.session.expire_all()
    return db.session.get_one(SysapprovalApprover, sys_id)


def uncovered(change: Change) -> dict[str, str]:
    """Return why answers no longer count, by sys_id."""
    return {row["sys_id"]: reason for row, reason in find_uncovered(Round(change))}


def edit(change: Change, **edits: Any) -> list[str]:
    """Edit the change as another person; return the names of those whose answers are void."""
    caller = caller_for(add_account(f"editor{len(edits)}{min(edits)}"[:40]), "itil")
    void_after_edit(Round(change | edits, caller), frozenset(edits))
    db.session.expire_all()
    voided = [row for row in db.session.query(SysapprovalApprover) if row.sys_updated_by == caller.user_name]
    return sorted(row.approver for row in voided if row.voided_at)


def test_an_edit_voids_an_answer_visibly_with_the_difference(change: Change, ask: Ask) -> None:
    sys_id = ask("ann")
    mallory = caller_for(add_account("mallory"), "itil")
    void_after_edit(Round(change | {"implementation_plan": "Drop tables"}, mallory), frozenset({"implementation_plan"}))

    row = row_of(sys_id)
    assert row.state == "cancelled"
    assert row.voided_at is not None
    assert row.void_reason == 'Implementation plan changed from "Deploy" to "Drop tables", by mallory'
    [entry] = [entry for entry in db.session.query(ChgHistory) if entry.kind == "voided"]
    assert entry.subject_id == change["sys_id"]
    assert row.void_reason in str(entry.facts).replace('\\"', '"')


def test_an_edit_voids_only_the_answers_that_depend_on_it(change: Change, ask: Ask) -> None:
    ann, bob = ask("ann", fields={"implementation_plan"}), ask("bob", fields={"backout_plan", "risk"})

    assert edit(change, backout_plan="None") == [row_of(bob).approver]
    assert row_of(ann).state == "approved"


@pytest.mark.parametrize("field", ["short_description", "business_service", "conflict_status", "work_start"])
def test_an_edit_of_other_fields_voids_nothing(change: Change, ask: Ask, field: str) -> None:
    sys_id = ask("ann")

    assert edit(change, **{field: change[field]}) == []
    assert row_of(sys_id).state == "approved"


def test_a_risk_that_a_caller_edits_voids_and_one_that_is_recalculated_does_not(change: Change, ask: Ask) -> None:
    sys_id = ask("ann")
    recalculated = change | {"risk": 2}

    assert void_uncovered(Round(recalculated)) == []
    assert uncovered(recalculated) == {}
    assert edit(change, risk=2) == [row_of(sys_id).approver]


def test_an_edit_that_changes_nothing_voids_nothing(change: Change, ask: Ask) -> None:
    sys_id = ask("ann")

    assert edit(change, implementation_plan="Deploy") == []
    assert row_of(sys_id).state == "approved"


def test_a_void_answer_stays_void_after_the_edit_is_undone(change: Change, ask: Ask) -> None:
    sys_id = ask("ann")
    edit(change, implementation_plan="Drop tables")

    assert edit(change, implementation_plan="Deploy", risk=3) == []
    assert row_of(sys_id).state == "cancelled"


def test_an_open_request_covers_the_new_content_and_its_version_changes(change: Change, ask: Ask) -> None:
    sys_id = ask("ann", state="requested")
    before = row_of(sys_id).content_hash, row_of(sys_id).sys_mod_count
    edited = change | {"implementation_plan": "Deploy twice"}
    void_after_edit(Round(edited), frozenset({"implementation_plan"}))

    row = row_of(sys_id)
    assert row.state == "requested"
    assert row.content_hash == store_content(read_content(edited, GOVERNED_FIELDS)) != before[0]
    # An answer with If-Match that was meant for the old content is refused.
    assert row.sys_mod_count == before[1] + 1


def test_only_requests_of_policies_in_the_current_round_are_touched(change: Change, ask: Ask) -> None:
    by_hand, earlier, current = ask("ann", asked_by_policy=False), ask("bob", round=0), ask("cid")
    rejected = ask("eve", state="rejected")

    assert edit(change, implementation_plan="x") == [row_of(current).approver]
    assert [row_of(sys_id).state for sys_id in (by_hand, earlier, rejected)] == ["approved", "approved", "rejected"]


def test_a_change_of_affected_cis_past_every_rule_is_found(change: Change, ask: Ask) -> None:
    sys_id = ask("ann")
    item = CmdbCi(name="web")
    db.session.add(item)
    db.session.flush()
    db.session.add(TaskCi(task=change["sys_id"], ci_item=item.sys_id))
    db.session.flush()

    reason = "Affected CIs: added web"
    assert uncovered(change) == {sys_id: reason}
    assert row_of(sys_id).state == "approved"
    assert void_uncovered(Round(change)) == [reason]
    assert row_of(sys_id).state == "cancelled"


def test_an_answer_expires(change: Change, ask: Ask, either_app: Flask) -> None:
    expires = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    sys_id, later = ask("ann", expires=expires), ask("bob", expires=now() + timedelta(hours=1))
    reason = "The approval was valid until 2026-01-01 12:00:00"

    assert void_uncovered(Round(change)) == [reason]
    assert (row_of(sys_id).state, row_of(later).state) == ("cancelled", "approved")
    either_app.config["CLOCK"].advance(hours=2)
    assert list(uncovered(change)) == [later]


def test_an_answer_is_valid_until_the_planned_end_or_for_the_hours_of_its_rule(change: Change) -> None:
    end = datetime(2026, 12, 1, tzinfo=UTC)

    assert expiry_of(change, {"valid_hours": None}) is None
    assert expiry_of(change | {"end_date": end}, {"valid_hours": None}) == end
    in_two_hours = expiry_of(change | {"end_date": end}, {"valid_hours": 2})
    assert in_two_hours is not None
    assert timedelta(minutes=100) < in_two_hours - now() <= timedelta(hours=2)
