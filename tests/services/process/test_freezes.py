"""Freezes in the process: which moves they stop, who overrides them, and what happens when they end."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import AccessRefused, InputInvalid, OperationFailed
from changegate.extensions import database_now, db
from changegate.models import ChgFreezeOverride, ChgHistory, Job
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.process.blockers import Blocker, list_blockers
from changegate.services.process.changes import lock_change
from changegate.services.process.facts import gather_facts
from changegate.services.process.next_states import next_states
from changegate.services.process.planning_work import impact
from changegate.services.schedules.row_rules import RELEASE
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.workers.workers import Assignment
from tests.conftest import Clock
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
    SCHEDULED,
    add,
    add_group,
    add_policy,
    answer,
    approvals_of,
    change_of,
    edit,
    of_users,
)
from tests.services.approvals.test_claims import add_change, add_integration, by_claims
from tests.services.standard_changes.template_records import add_template
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT, add_account, caller_for

NEW, IMPLEMENT, REVIEW, CANCELED = -5, -1, 0, 4
Later = Callable[..., None]


class StillClock(Clock):
    """A clock that only a test moves, so that all times of a test are whole hours apart."""

    def __init__(self) -> None:
        super().__init__()
        self.start = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.start + self.offset


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    clock = StillClock()
    either_app.config |= {"CLOCK": clock, "DATABASE_CLOCK": clock}
    with either_app.app_context():
        add_group("Network")
        yield


@pytest.fixture
def later(either_app: Flask) -> Later:
    """Let time pass, and the workers do what is due."""

    def pass_by(**duration: float) -> None:
        commit()
        either_app.config["CLOCK"].advance(**duration)
        run_due_jobs(either_app, "approvals.deadlines")
        db.session.expire_all()

    return pass_by


def hours(from_now: float) -> str:
    return f"{database_now() + timedelta(hours=from_now):%Y-%m-%d %H:%M:%S}"


def freeze(start: float, end: float, **sent: Any) -> str:
    """Add a freeze from some hours from now to others."""
    sys_id = add("cmn_schedule_blackout", **{"name": "Year end", "time_zone": "Etc/UTC", **sent})
    add("cmn_schedule_span", schedule=sys_id, start_date_time=hours(start), end_date_time=hours(end))
    return sys_id


def change_in(state: int, start: float | None = 24, end: float | None = 26, **sent: Any) -> str:
    dates = {"start_date": start, "end_date": end}
    planned = {name: hours(at) for name, at in dates.items() if at is not None}
    return add("change_request", **{"type": "normal", "assignment_group": "Network", "state": state, **planned, **sent})


def state_of(change: str) -> int:
    return int(change_of(change)["state"])


def refusal_of(change: str, state: int, caller: Caller = ROOT, **sent: Any) -> str:
    with pytest.raises(OperationFailed) as raised:
        edit("change_request", change, caller, state=state, **sent)
    return str(raised.value.detail)


def blockers_of(change: str) -> list[Blocker]:
    locked = lock_change(change)
    assert locked is not None
    return list_blockers(locked)


def asked_change(*approvers: str, start: float = 24, end: float = 26, **sent: Any) -> str:
    """Return a change in Authorize that waits for the approvals of users."""
    add_policy(of_users(*approvers), state=AUTHORIZE)
    change = change_in(NEW, start, end, type="emergency", **sent)
    edit("change_request", change, state=AUTHORIZE)
    assert change_of(change)["approval"] == "requested"
    return change


@pytest.fixture
def approver() -> Caller:
    return caller_for(add_account("ann"), "itil")


@pytest.mark.parametrize("enforcement", ["hard", "soft"])
def test_creating_is_never_refused_and_implementing_is(enforcement: str) -> None:
    freeze(-1, 2, enforcement=enforcement)
    change = change_in(SCHEDULED, approval="approved")
    refusal = refusal_of(change, IMPLEMENT)
    assert f"The {enforcement} freeze Year end is in force until {hours(2)[:14]}" in refusal
    assert "Scheduled to Implement needs: No freeze now." in refusal
    edit("change_request", change, short_description="Edits are possible")
    edit("change_request", change, state=CANCELED)


@pytest.mark.parametrize(("start", "end"), [(-2, -1), (1, 24), (26, 30)])
def test_a_freeze_at_another_time_stops_nothing(start: float, end: float) -> None:
    freeze(start, end)
    change = change_in(SCHEDULED, approval="approved")
    edit("change_request", change, state=IMPLEMENT)
    assert state_of(change) == IMPLEMENT


def test_a_standard_change_is_scheduled_outside_of_freezes_only() -> None:
    template = add_template("Restart")
    commit()
    freeze(25, 30)
    change = change_in(NEW, std_change_producer_version=template, type="standard")
    assert "overlaps with the planned window until" in refusal_of(change, SCHEDULED)
    # The window that a request sends with the state is the one that counts.
    edit("change_request", change, state=SCHEDULED, start_date=hours(30), end_date=hours(31))
    assert state_of(change) == SCHEDULED


@pytest.mark.parametrize(
    ("start", "end", "planned"),
    [
        (24, 26, 1),
        (None, None, 0),
        (None, 26, 0),
        (25, None, 1),  # without an end, the start counts
        (25, 24, 1),
        (-5, 26, 1),
        (20, 25, 0),  # ends when the freeze begins
        (30, 31, 0),
        (-5, -4, 0),
        (1, 24 * 365 * 900, 1),
    ],
)
def test_the_planned_window_counts_as_far_as_it_is_not_over(
    start: float | None, end: float | None, planned: int
) -> None:
    freeze(25, 30)
    freeze(-6, -1, name="Over")
    change = lock_change(change_in(NEW, start, end))
    assert change is not None
    facts = gather_facts(change)
    assert (facts["freeze.planned"], facts["freeze.planned_hard"], facts["freeze.now"]) == (planned, planned, 0)


def test_a_freeze_covers_affected_items() -> None:
    item = add("cmdb_ci", name="router")
    freeze(-1, 2, configuration_items="router")
    change = change_in(SCHEDULED, approval="approved")
    add("task_ci", task=change, ci_item=item)
    assert "Year end" in refusal_of(change, IMPLEMENT)
    # Emptying the field of the request does not help, and neither does another item of its own.
    assert "Year end" in refusal_of(change, IMPLEMENT, cmdb_ci="")


def test_a_freeze_covers_impacted_services() -> None:
    service = add("cmdb_ci", name="shop", sys_class_name="cmdb_ci_service")
    freeze(-1, 2, configuration_items="shop")
    change = change_in(SCHEDULED, approval="approved")
    add("task_cmdb_ci_service", task=change, cmdb_ci_service=service)
    assert "Year end" in refusal_of(change, IMPLEMENT)


def test_only_change_managers_remove_a_service_that_a_freeze_names(approver: Caller) -> None:
    service, other = (add("cmdb_ci", name=name, sys_class_name="cmdb_ci_service") for name in ("shop", "other"))
    ended = freeze(-1, 2, configuration_items="shop")
    change, foreign = change_in(SCHEDULED, approval="approved"), change_in(NEW)
    row = add("task_cmdb_ci_service", task=change, cmdb_ci_service=service)
    services = get_table("task_cmdb_ci_service")
    commit()
    with pytest.raises(AccessRefused) as removal:
        delete_record(services, approver, row)
    db.session.rollback()
    with pytest.raises(AccessRefused) as replacement:
        update_record(services, approver, row, {"cmdb_ci_service": other})
    db.session.rollback()
    with pytest.raises(OperationFailed) as transfer:
        update_record(services, ROOT, row, {"task": foreign})
    assert "only change managers take a change out of a freeze" in str(removal.value.detail)
    assert replacement.value.detail == removal.value.detail
    assert "task: the field cannot change" in str(transfer.value.detail)
    assert "Year end" in refusal_of(change, IMPLEMENT, approver)
    edit("cmn_schedule_blackout", ended, active="false")
    delete_record(services, approver, row)
    edit("change_request", change, state=IMPLEMENT)


def scope_of_freezes() -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Return what a freeze covers, and the fields of a change that it covers, with an edit that would leave it."""
    add_group("Database")
    router, switch = (add("cmdb_ci", name=name) for name in ("router", "switch"))
    return {
        "assignment_groups": ({"assignment_groups": "Network"}, {"assignment_group": "Database"}),
        "configuration_items": ({"configuration_items": "router", "cmdb_ci": router}, {"cmdb_ci": switch}),
        "emptied": ({"configuration_items": "router", "cmdb_ci": router}, {"cmdb_ci": ""}),
        "condition": ({"condition": "category=network", "category": "network"}, {"category": "software"}),
    }


@pytest.mark.parametrize(
    ("by", "state", "start", "end"),
    [
        ("assignment_groups", SCHEDULED, -1, 2),
        ("configuration_items", AUTHORIZE, 25, 30),
        ("emptied", SCHEDULED, 25, 30),
        ("condition", AUTHORIZE, -1, 2),
        ("condition", SCHEDULED, 100, 101),
    ],
)
def test_only_change_managers_take_a_change_out_of_a_freeze(
    approver: Caller, by: str, state: int, start: float, end: float
) -> None:
    covers, edited = scope_of_freezes()[by]
    fields = {name: covers.pop(name) for name in ("cmdb_ci", "category") if name in covers}
    freeze(start, end, **covers)
    change = change_in(state, approval="approved", **fields)
    with pytest.raises(AccessRefused) as raised:
        edit("change_request", change, approver, **edited)
    assert "The freeze Year end covers this change" in str(raised.value.detail)
    edit("change_request", change, approver, short_description="Other edits are possible")
    edit("change_request", change, caller_for(add_account("max"), "change_manager", "itil"), **edited)


def test_a_change_leaves_a_freeze_by_its_dates_and_before_it_is_assessed(approver: Caller) -> None:
    freeze(25, 30, assignment_groups="Network", condition="stateIN-5,-2")
    add_group("Database")
    edit("change_request", change_in(SCHEDULED), approver, state=CANCELED)
    edit("change_request", change_in(NEW), approver, assignment_group="Database")
    change = change_in(SCHEDULED, approval="approved")
    edit("change_request", change, approver, start_date=hours(20), end_date=hours(24))


def test_a_recalculated_risk_takes_no_change_out_of_a_freeze(approver: Caller) -> None:
    add("risk_conditions", name="Network", condition="category=network", risk="2", impact="1", order=1)
    freeze(25, 30, condition="risk=2")
    change = change_in(AUTHORIZE, category="network")
    assert change_of(change)["risk"] == 2
    with pytest.raises(AccessRefused, match="Operation Failed") as raised:
        edit("change_request", change, approver, category="software")
    assert "The freeze Year end covers this change" in str(raised.value.detail)


def test_only_change_managers_remove_an_affected_item_that_a_freeze_names(approver: Caller) -> None:
    router, switch, hub = (add("cmdb_ci", name=name) for name in ("router", "switch", "hub"))
    change = change_in(SCHEDULED, approval="approved")
    row, other = (add("task_ci", task=change, ci_item=item) for item in (router, switch))
    freeze(25, 30, configuration_items="router")
    affected = get_table("task_ci")
    for attempt in (
        lambda: delete_record(affected, approver, row),
        lambda: update_record(affected, approver, row, {"ci_item": hub}),
    ):
        commit()
        with pytest.raises(AccessRefused, match="Operation Failed") as raised:
            attempt()
        assert "The freeze Year end covers this change" in str(raised.value.detail)
        db.session.rollback()
    delete_record(affected, approver, other)
    delete_record(affected, ROOT, row)


def test_a_search_for_services_takes_no_change_out_of_a_freeze() -> None:
    service = add("cmdb_ci", name="shop", sys_class_name="cmdb_ci_service")
    change = change_in(SCHEDULED, approval="approved")
    add("task_cmdb_ci_service", task=change, cmdb_ci_service=service, manually_added="false")
    search = Assignment({}, change, ROOT)
    ended = freeze(25, 30, configuration_items="shop")
    commit()
    with pytest.raises(AccessRefused) as raised:
        impact(search)
    assert "The freeze Year end covers this change" in str(raised.value.detail)
    db.session.rollback()
    edit("cmn_schedule_blackout", ended, active="false")
    assert impact(search).message == "0 impacted services were added, 1 were removed"


def test_an_approved_change_is_scheduled_when_the_freeze_ends(approver: Caller, later: Later) -> None:
    freeze(20, 25)
    change = asked_change(approver.sys_id)
    answer(change, approver)
    assert (change_of(change)["approval"], state_of(change)) == ("approved", AUTHORIZE)
    later(hours=24.9)
    assert state_of(change) == AUTHORIZE
    later(hours=0.2)
    assert state_of(change) == SCHEDULED
    moved = (
        connection()
        .execute(
            select(ChgHistory.actor, ChgHistory.facts)
            .where(ChgHistory.subject_id == change, ChgHistory.kind == "moved")
            .order_by(ChgHistory.seq.desc())
        )
        .first()
    )
    assert moved is not None
    assert orjson.loads(moved.actor)["user_name"] == "system"
    assert orjson.loads(moved.facts)["transition"] == "Authorize to Scheduled"


def end_by_date(sys_id: str) -> None:
    span = connection().execute(select(get_table("cmn_schedule_span").source.c["sys_id"])).scalar_one()
    edit("cmn_schedule_span", span, end_date_time=hours(21))


LIFTED = {
    "deactivated": lambda sys_id: edit("cmn_schedule_blackout", sys_id, active="false"),
    "narrowed": lambda sys_id: edit("cmn_schedule_blackout", sys_id, change_types="normal"),
    "deleted": lambda sys_id: delete_record(get_table("cmn_schedule_blackout"), ROOT, sys_id),
    "shortened": end_by_date,
}


@pytest.mark.parametrize("how", LIFTED)
def test_an_approved_change_is_scheduled_when_the_freeze_is_lifted(approver: Caller, later: Later, how: str) -> None:
    sys_id = freeze(20, 25)
    change = asked_change(approver.sys_id)
    answer(change, approver)
    later(minutes=5)
    assert state_of(change) == AUTHORIZE
    LIFTED[how](sys_id)
    later(minutes=1)
    assert state_of(change) == SCHEDULED


def test_a_freeze_that_is_extended_keeps_the_change_until_its_new_end(approver: Caller, later: Later) -> None:
    sys_id = freeze(20, 25)
    change = asked_change(approver.sys_id, end=1000)
    answer(change, approver)
    add("cmn_schedule_span", schedule=sys_id, start_date_time=hours(25), end_date_time=hours(50))
    later(hours=26)
    assert state_of(change) == AUTHORIZE
    later(hours=25)
    assert state_of(change) == SCHEDULED


def test_a_freeze_without_an_end_is_looked_at_again(approver: Caller, later: Later) -> None:
    sys_id = add("cmn_schedule_blackout", name="Always", time_zone="Etc/UTC")
    add("cmn_schedule_span", schedule=sys_id, start_date_time=hours(-1), end_date_time=hours(23), repeat_type="daily")
    change = asked_change(approver.sys_id, end=30_000)
    answer(change, approver)
    (blocker,) = blockers_of(change)
    assert (blocker.code, blocker.not_before) == ("freeze", None)
    later(days=401)
    assert state_of(change) == AUTHORIZE
    edit("cmn_schedule_blackout", sys_id, active="false")
    later(minutes=1)
    assert state_of(change) == SCHEDULED


def test_a_change_that_waits_for_more_than_a_freeze_is_not_moved_by_its_end(approver: Caller, later: Later) -> None:
    sys_id = freeze(20, 25)
    change = asked_change(approver.sys_id)
    edit("change_request", change, on_hold="true", on_hold_reason="Wait")
    edit("cmn_schedule_blackout", sys_id, active="false")
    later(minutes=1)
    assert state_of(change) == AUTHORIZE
    assert connection().execute(select(Job.sys_id).where(Job.kind == RELEASE)).first() is None


def test_no_approval_by_claims_passes_over_a_freeze(later: Later) -> None:
    add_integration()
    freeze(20, 25)
    add_policy(by_claims(), state=AUTHORIZE)
    planned = {"start_date": hours(24), "end_date": hours(26)}
    change = add_change(type="emergency", assignment_group="Network", **planned)
    edit("change_request", change, state=AUTHORIZE)
    assert (change_of(change)["approval"], state_of(change)) == ("approved", AUTHORIZE)
    later(hours=25.1)
    assert state_of(change) == SCHEDULED


def test_a_policy_may_depend_on_freezes(approver: Caller) -> None:
    add_policy(of_users(approver.sys_id), state=AUTHORIZE, condition="freeze.planned>0")
    change, other = change_in(NEW, type="emergency"), change_in(NEW, type="emergency")
    edit("change_request", other, state=AUTHORIZE)
    freeze(20, 25, enforcement="soft")
    edit("change_request", change, state=AUTHORIZE)
    assert [row["approver"] for row in approvals_of(change)] == [approver.sys_id]
    assert not approvals_of(other)


def test_blockers_name_the_freeze_its_end_and_who_may_override_it() -> None:
    role = add("sys_user_role", name="freeze_manager")
    hard = freeze(-1, 2, name="Hard", override_role=role)
    freeze(-1, 3, name="Soft", enforcement="soft")
    freeze(-1, 4, name="Closed")
    change = change_in(SCHEDULED, approval="approved")
    found = {blocker.sentence.split()[3]: blocker for blocker in blockers_of(change)}
    assert {blocker.code for blocker in found.values()} == {"freeze"}
    assert {name: [who["name"] for who in blocker.who_can] for name, blocker in found.items()} == {
        "Hard": ["freeze_manager"],
        "Soft": ["change_manager"],
        "Closed": ["admin"],
    }
    ends = {name: blocker.not_before - database_now() for name, blocker in found.items() if blocker.not_before}
    assert {name: round(left / timedelta(hours=1)) for name, left in ends.items()} == {
        "Hard": 2,
        "Soft": 3,
        "Closed": 4,
    }
    how = found["Hard"].how
    assert how is not None
    assert (how.path, how.body) == (
        "/api/now/table/chg_freeze_override",
        {"change_request": change, "freeze": hard, "reason": ""},
    )
    assert found["Closed"].how is None
    shown = next_states(change_of(change))["state_transitions"]
    conditions = [each for move in shown for way in move for each in way["conditions"] if not each["passed"]]
    assert [each["condition"]["name"] for each in conditions] == ["Rejected", "No freeze now"]


def override(change: str, sys_id: str, caller: Caller, reason: str = "A fix of the payment service") -> None:
    create_record(
        get_table("chg_freeze_override"), caller, {"change_request": change, "freeze": sys_id, "reason": reason}
    )


def manager(name: str = "max", *roles: str) -> Caller:
    return caller_for(add_account(name), "itil", *(roles or ("change_manager",)))


def test_an_override_moves_the_change_and_is_in_its_history() -> None:
    sys_id, max_ = freeze(-1, 2, enforcement="soft"), manager()
    change = change_in(SCHEDULED, approval="approved")
    override(change, sys_id, max_)
    edit("change_request", change, state=IMPLEMENT)
    rows = (
        connection()
        .execute(select(ChgHistory.facts, ChgHistory.actor).where(ChgHistory.kind == "freeze_overridden"))
        .all()
    )
    ((facts, actor),) = [(orjson.loads(row.facts), orjson.loads(row.actor)) for row in rows]
    assert facts["reason"] == "A fix of the payment service"
    assert (facts["freeze"], actor["user"]) == (sys_id, max_.sys_id)
    assert connection().execute(select(ChgFreezeOverride.overridden_by)).scalar_one() == max_.sys_id


def test_an_override_of_the_planned_window_schedules_the_change(approver: Caller) -> None:
    sys_id = freeze(20, 25, enforcement="soft")
    change = asked_change(approver.sys_id)
    answer(change, approver)
    override(change, sys_id, manager())
    assert state_of(change) == SCHEDULED


EDITS: dict[str, Callable[[str, str], None]] = {
    "window": lambda change, _: edit("change_request", change, end_date=hours(27)),
    "plan": lambda change, _: edit("change_request", change, implementation_plan="Drop tables"),
    "freeze": lambda _, sys_id: edit("cmn_schedule_blackout", sys_id, description="Also for payments"),
    "hard": lambda _, sys_id: edit("cmn_schedule_blackout", sys_id, enforcement="hard"),
    "item": lambda change, _: add("task_ci", task=change, ci_item=add("cmdb_ci", name="router")) and None,
}


@pytest.mark.parametrize("what", EDITS)
def test_an_override_ends_with_an_edit_of_the_change_or_of_the_freeze(what: str) -> None:
    sys_id = freeze(-1, 2, enforcement="soft")
    change = change_in(SCHEDULED, approval="approved")
    override(change, sys_id, manager())
    EDITS[what](change, sys_id)
    assert "Year end" in refusal_of(change, IMPLEMENT)


def test_an_override_does_not_cover_an_edit_in_the_request_that_moves_the_change() -> None:
    sys_id = freeze(-1, 2, enforcement="soft")
    change = change_in(SCHEDULED, approval="approved")
    override(change, sys_id, manager())
    assert "Year end" in refusal_of(change, IMPLEMENT, implementation_plan="Drop tables")


def test_an_override_covers_one_freeze_and_one_change() -> None:
    sys_id = freeze(-1, 2, enforcement="soft")
    change, other = change_in(SCHEDULED, approval="approved"), change_in(SCHEDULED, approval="approved")
    override(change, sys_id, manager())
    assert "Year end" in refusal_of(other, IMPLEMENT)
    freeze(-1, 2, enforcement="soft", name="Second")
    assert "Second" in refusal_of(change, IMPLEMENT)


def test_only_the_named_role_overrides_a_hard_freeze() -> None:
    role = add("sys_user_role", name="freeze_manager")
    sys_id, closed = freeze(-1, 2, override_role=role), freeze(-1, 2, name="Closed")
    change = change_in(SCHEDULED, approval="approved", requested_by=add_account("zoe"))
    for caller in (manager(), manager("adm", "admin"), caller_for(add_account("tom"), "itil")):
        with pytest.raises(AccessRefused, match="Operation Failed") as raised:
            override(change, sys_id, caller)
        assert "users with the role freeze_manager" in str(raised.value.detail)
        with pytest.raises(AccessRefused) as raised:
            override(change, closed, caller)
        assert "No role may override" in str(raised.value.detail)
    override(change, sys_id, manager("fay", "freeze_manager"))


def test_nobody_who_asked_for_a_change_overrides_a_freeze_for_it() -> None:
    sys_id, max_ = freeze(-1, 2, enforcement="soft"), manager()
    requested = change_in(SCHEDULED, approval="approved", requested_by=max_.sys_id)
    opened = str(create_record(get_table("change_request"), max_, {"requested_by": add_account("zoe")})["sys_id"])
    for change in (requested, opened):
        with pytest.raises(AccessRefused) as raised:
            override(change, sys_id, max_)
        assert "Somebody else must override the freeze: Max " in str(raised.value.detail)


def test_an_override_needs_a_reason_an_active_freeze_and_a_person() -> None:
    sys_id, max_ = freeze(-1, 2, enforcement="soft"), manager()
    change = change_in(SCHEDULED, approval="approved")
    with pytest.raises(OperationFailed):
        override(change, sys_id, max_, reason="")
    with pytest.raises(InputInvalid, match="Enter why"):
        override(change, sys_id, max_, reason="  \n ")
    token = Caller(max_.sys_id, max_.user_name, Permissions(max_.roles, TokenGrant("e" * 32, "s")))
    with pytest.raises(AccessRefused):
        override(change, sys_id, token)
    edit("cmn_schedule_blackout", sys_id, active="false")
    with pytest.raises(InputInvalid, match="not active"):
        override(change, sys_id, max_)


@pytest.mark.parametrize("operation", [update_record, delete_record])
def test_an_override_is_never_edited_or_deleted(operation: Any) -> None:
    sys_id = freeze(-1, 2, enforcement="soft")
    override(change_in(SCHEDULED, approval="approved"), sys_id, manager())
    row = connection().execute(select(ChgFreezeOverride.sys_id)).scalar_one()
    with pytest.raises(AccessRefused):
        operation(
            get_table("chg_freeze_override"), ROOT, row, *([{"reason": "x"}] if operation is update_record else [])
        )


def test_overrides_go_with_their_change_and_with_their_freeze() -> None:
    sys_id, other = freeze(-1, 2, enforcement="soft"), freeze(-1, 2, enforcement="soft", name="Second")
    change = change_in(SCHEDULED, approval="approved")
    max_ = manager()
    override(change, sys_id, max_)
    override(change, other, max_)
    delete_record(get_table("cmn_schedule_blackout"), ROOT, sys_id)
    assert connection().execute(select(ChgFreezeOverride.freeze)).scalars().all() == [other]
    delete_record(get_table("change_request"), ROOT, change)
    assert not connection().execute(select(ChgFreezeOverride.freeze)).scalars().all()


def test_a_freeze_that_is_created_between_approval_and_move_stops_the_move(approver: Caller, later: Later) -> None:
    change = asked_change(approver.sys_id)
    answer(change, approver)
    assert state_of(change) == SCHEDULED
    freeze(-1, 2)
    assert "Year end" in refusal_of(change, IMPLEMENT)
    later(hours=2)
    edit("change_request", change, state=IMPLEMENT)
    assert state_of(change) == IMPLEMENT


def test_an_unauthorized_change_is_reviewed_during_a_freeze(approver: Caller) -> None:
    freeze(-1, 48)
    change = asked_change(approver.sys_id, unauthorized="true")
    answer(change, approver)
    assert state_of(change) == REVIEW


def test_many_freezes_are_named_up_to_a_limit() -> None:
    for at in range(23):
        freeze(-1, 2, name=f"Freeze {at:02}")
    change = change_in(SCHEDULED, approval="approved")
    refusal = refusal_of(change, IMPLEMENT)
    assert refusal.count("is in force") == 20
    assert "There are 3 more freezes." in refusal
    assert len(blockers_of(change)) == 23


def test_decisions_of_the_same_moment_agree(later: Later) -> None:
    """The end is exclusive: in the second in which the freeze ends, the change moves."""
    freeze(-1, 2)
    change = change_in(SCHEDULED, approval="approved")
    (blocker,) = blockers_of(change)
    assert isinstance(blocker.not_before, datetime)
    later(seconds=(blocker.not_before - database_now()).total_seconds() + 1)
    edit("change_request", change, state=IMPLEMENT)
