"""Writes of policies and their rules: what is refused, and which version they have."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import commit, connection
from changegate.errors import AccessRefused, ChangegateError, InputInvalid, OperationFailed
from changegate.models.base import utc_now
from changegate.seed.approvals import CAB_APPROVAL, POLICIES, seed_approvals
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.access.scope_policy import ScopePolicy
from changegate.services.approvals.deadlines import follow_up_open
from changegate.services.approvals.policies import rules_of
from changegate.services.approvals.token_limits import GROUP_REFUSED, MANAGER_REFUSED
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.services.approvals.asked_changes import (
    ASSESS,
    NEW,
    add,
    add_group,
    add_people,
    add_policy,
    answer,
    approvals_of,
    change_of,
    edit,
    enter,
    of_group,
    of_users,
    remove,
    round_of,
    states_of,
)
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
CANCELED = 4


def version_of(policy: str) -> int:
    return int(row_of("chg_policy_approval", policy)["version"])


def row_of(table: str, sys_id: str) -> Any:
    source = get_table(table).source
    return connection().execute(select(source).where(source.c["sys_id"] == sys_id)).mappings().one()


def detail_of(problem: ChangegateError) -> str:
    return problem.detail or problem.message


def test_a_policy_without_rules_cannot_be_active() -> None:
    with pytest.raises(InputInvalid, match="at least one rule before it is active"):
        add("chg_policy_approval", name="Empty", state=-4, active=True)
    policy = add("chg_policy_approval", name="Empty", state=-4)
    with pytest.raises(InputInvalid, match="at least one rule before it is active"):
        edit("chg_policy_approval", policy, active=True)


def test_the_last_rule_of_an_active_policy_stays() -> None:
    ann, bob = add_people("ann", "bob").values()
    policy = add_policy(of_users(ann), of_users(bob))
    first, second = (rule["sys_id"] for rule in rules_of(policy))
    remove("chg_approval_def", first)

    with pytest.raises(OperationFailed) as refusal:
        remove("chg_approval_def", second)
    assert "is the last one of the active policy" in detail_of(refusal.value)
    edit("chg_policy_approval", policy, active=False)
    remove("chg_approval_def", second)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("color=red", "'color' is neither a field of a change nor one of the facts"),
        ("riskBOGUS4", "is not a condition"),
        ("ORDERBYnumber", "sorts"),
        ("pipeline.changes=many", "pipeline.changes"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_refused(condition: str, said: str) -> None:
    with pytest.raises(InputInvalid, match=said):
        add("chg_policy_approval", name="Red", state=-4, condition=condition)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"approver_source": "users"}, "users"),
        ({"approver_source": "users", "users": "admin,guest@example.com"}, "users"),
        ({"approver_source": "group"}, "group"),
        ({"approver_source": "field"}, "approver_field"),
        ({"approver_source": "claims"}, "condition"),
        ({"approver_source": "field", "approver_field": "risk"}, "approver_field"),
        ({"approver_source": "field", "approver_field": "nowhere.manager"}, "approver_field"),
        ({"approver_source": "field", "approver_field": "assignment_group.name"}, "approver_field"),
        ({"approver_source": "field", "approver_field": "cmdb_ci"}, "approver_field"),
        ({"approver_source": "users", "users": "admin", "wait_for": "percentage"}, "value"),
        ({"approver_source": "users", "users": "admin", "wait_for": "percentage", "value": 0}, "value"),
        ({"approver_source": "users", "users": "admin", "wait_for": "percentage", "value": 101}, "value"),
        ({"approver_source": "users", "users": "admin", "wait_for": "count"}, "value"),
        ({"approver_source": "users", "users": "admin", "wait_for": "count", "value": 0}, "value"),
        ({"approver_source": "claims", "condition": "risk=4"}, "condition"),
        ({"approver_source": "claims", "condition": "source_refLIKEmain"}, "condition"),
        ({"approver_source": "claims", "condition": "source_ref="}, "condition"),
        ({"approver_source": "claims", "condition": "pipeline.changes>=0.5"}, "condition"),
        ({"approver_source": "claims", "condition": "source_ref=x^nonsense"}, "condition"),
        ({"approver_source": "claims", "condition": "RLQUERYchange_task.change_request,>=1^ENDRLQUERY"}, "condition"),
    ],
)
def test_an_invalid_rule_is_refused_with_its_field(rule: dict[str, Any], field: str) -> None:
    policy = add("chg_policy_approval", name="Peers", state=-4)
    with pytest.raises(InputInvalid) as refusal:
        add("chg_approval_def", policy=policy, name="Rule", **rule)
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize("name", ["reminder_hours", "escalation_hours", "expiry_hours", "valid_hours"])
def test_the_hours_of_a_rule_are_from_1_to_8760(name: str) -> None:
    rule = {"policy": add("chg_policy_approval", name="Peers", state=-4), **of_users(add_account("ann"))}
    for hours in (-1, 0, 8761, 2147483647):
        with pytest.raises(InputInvalid) as refusal:
            add("chg_approval_def", name="Rule", **rule, **{name: hours})
        assert refusal.value.fields == {name: ["Enter a number of hours from 1 to 8760."]}
    for hours in (1, 8760):
        added = add("chg_approval_def", name="Rule", **rule, **{name: hours})
        assert row_of("chg_approval_def", added)[name] == hours


@pytest.mark.parametrize("hours", [-2147483647, 0, 2147483647])
def test_stored_hours_beyond_the_limits_stop_no_request_and_no_answer(hours: int) -> None:
    """Such rules may have been stored before their hours were validated."""
    ann = add_account("ann")
    policy = add_policy(of_users(ann))
    names = ("reminder_hours", "escalation_hours", "expiry_hours", "valid_hours")
    rule = get_table("chg_approval_def").source
    of_policy = rule.c["policy"] == policy
    connection().execute(update(rule).where(of_policy).values(dict.fromkeys(names, hours)))
    change = add("change_request", type="normal", assignment_group=add_group("Network"))
    enter(change)
    assert approvals_of(change)[0]["due_date"] > utc_now()
    follow_up_open(round_of(change), approvals_of(change)[0]["due_date"] - timedelta(seconds=1))
    answer(change, caller_for(ann))
    assert states_of(change) == {ann: "approved"}
    assert approvals_of(change)[0]["expires"] > utc_now()


def test_an_unknown_group_is_refused() -> None:
    policy = add("chg_policy_approval", name="Peers", state=-4)
    with pytest.raises(ChangegateError) as refusal:
        add("chg_approval_def", policy=policy, name="Rule", approver_source="group", group="Nobody knows it")
    assert "Field group: no record of sys_user_group" in detail_of(refusal.value)


def test_each_edit_raises_the_version() -> None:
    ann, bob = add_people("ann", "bob").values()
    policy = add("chg_policy_approval", name="Peers", state=-4)
    assert version_of(policy) == 1
    rule = add("chg_approval_def", policy=policy, name="Peer", **of_users(ann))
    assert version_of(policy) == 2
    edit("chg_approval_def", rule, users=bob)
    assert version_of(policy) == 3
    edit("chg_policy_approval", policy, active=True)
    assert version_of(policy) == 4
    edit("chg_policy_approval", policy, active=True)
    assert version_of(policy) == 4
    add("chg_approval_def", policy=policy, name="Other", **of_users(ann))
    remove("chg_approval_def", rule)
    assert version_of(policy) == 6


def test_a_version_cannot_be_written() -> None:
    policy = add("chg_policy_approval", name="Peers", state=-4, version=7, sys_policy="read")
    edit("chg_policy_approval", policy, version=9, sys_policy="read")
    assert (version_of(policy), row_of("chg_policy_approval", policy)["sys_policy"]) == (1, None)


def test_a_policy_in_use_cannot_be_deleted() -> None:
    policy = add_policy(of_users(add_account("ann")))
    change = add("change_request", type="normal")
    enter(change)
    edit("chg_policy_approval", policy, active=False)

    with pytest.raises(OperationFailed) as refusal:
        remove("chg_policy_approval", policy)
    assert "is in use, for example by CHG" in detail_of(refusal.value)


def test_a_policy_that_was_never_used_is_deleted_with_its_rules() -> None:
    policy = add_policy(of_users(add_account("ann")))
    with pytest.raises(OperationFailed) as refusal:
        remove("chg_policy_approval", policy)
    assert "is active. Deactivate it before you delete it" in detail_of(refusal.value)
    edit("chg_policy_approval", policy, active=False)
    remove("chg_policy_approval", policy)
    assert rules_of(policy) == []


def test_a_group_of_a_rule_cannot_be_deleted() -> None:
    group = add_group("Board", add_account("ann"))
    add_policy(of_group(group))
    with pytest.raises(OperationFailed):
        remove("sys_user_group", group)


def test_a_rule_stays_with_its_policy() -> None:
    ann = add_account("ann")
    policy, other = add_policy(of_users(ann)), add_policy(of_users(ann))
    with pytest.raises(InputInvalid, match="A rule stays with its policy"):
        edit("chg_approval_def", rules_of(policy)[0]["sys_id"], policy=other)


@pytest.mark.parametrize("roles", [("change_manager",), ("itil",), ()])
def test_only_administrators_write_policies(roles: tuple[str, ...]) -> None:
    caller = caller_for(add_account("tom"), *roles)
    with pytest.raises(AccessRefused):
        create_record(get_table("chg_policy_approval"), caller, {"name": "Mine", "state": -4})


def test_no_token_writes_policies() -> None:
    for table in ("chg_policy_approval", "chg_approval_def"):
        with pytest.raises(AccessRefused, match="Operation Failed"):
            create_record(get_table(table), token(), {"name": "Mine", "state": -4})


# First start


@pytest.fixture
def shipped() -> list[Any]:
    source = get_table("chg_policy_approval").source
    return list(connection().execute(select(source).order_by(source.c["order"])).mappings())


def test_the_first_start_creates_the_group_and_the_default_policy(shipped: list[Any]) -> None:
    groups = get_table("sys_user_group").source
    assert connection().scalar(select(groups.c["sys_id"]).where(groups.c["name"] == CAB_APPROVAL))
    assert [(policy["name"], policy["active"]) for policy in shipped] == [(name, True) for name, *_ in POLICIES]
    assert all(len(rules_of(policy["sys_id"])) == 1 for policy in shipped)


def test_preparing_again_keeps_the_group_and_the_policies(shipped: list[Any]) -> None:
    seed_approvals()
    source = get_table("chg_policy_approval").source
    assert connection().execute(select(source).order_by(source.c["order"])).mappings().all() == shipped


def test_shipped_policies_and_their_rules_are_read_only(shipped: list[Any]) -> None:
    policy, rule = shipped[0]["sys_id"], rules_of(shipped[0]["sys_id"])[0]["sys_id"]
    attempts = (
        lambda: edit("chg_policy_approval", policy, active=False),
        lambda: remove("chg_policy_approval", policy),
        lambda: edit("chg_approval_def", rule, wait_for="all"),
        lambda: remove("chg_approval_def", rule),
        lambda: add("chg_approval_def", policy=policy, name="More", **of_users(ROOT.sys_id)),
    )
    for attempt in attempts:
        with pytest.raises(OperationFailed) as refusal:
            attempt()
        assert "is shipped and read-only" in detail_of(refusal.value)


# Changes that wait because there was nobody to ask


@pytest.mark.parametrize("how", ["a policy", "a rule", "a member", "a user"])
def test_approvals_are_requested_as_soon_as_a_user_can_approve(either_app: Flask, how: str) -> None:
    ann, gone = add_account("ann"), add_account("gone", active=False)
    group = add_group("Board")
    policy = add_policy(of_users(gone) if how in {"a rule", "a user"} else of_group(group), condition="risk=2")
    change = add("change_request", type="normal", risk="2", assignment_group=add_group("Network"))
    edit("change_request", change, state=-4)
    commit()
    run_due_jobs(either_app, "approvals.deadlines")
    assert change_of(change)["approval"] == "not requested"
    if how == "a policy":
        add_policy(of_users(ann), order=1)
    elif how == "a rule":
        edit("chg_approval_def", rules_of(policy)[0]["sys_id"], users=ann)
    elif how == "a member":
        add("sys_user_grmember", user=ann, group=group)
    else:
        edit("sys_user", gone, active=True)
    commit()
    run_due_jobs(either_app, "approvals.deadlines")

    asked = gone if how == "a user" else ann
    assert states_of(change) == {asked: "requested"}
    assert change_of(change)["approval"] == "requested"


# What tokens must not change


def token() -> Caller:
    grant = TokenGrant("e" * 32, "useraccount", ScopePolicy(has_everything=True))
    return Caller(ROOT.sys_id, "admin", Permissions(frozenset({"admin"}), grant))


def test_no_token_changes_the_members_or_the_manager_of_a_group_that_an_active_rule_names() -> None:
    ann, bob = add_people("ann", "bob").values()
    board, other = add_group("Board", ann), add_group("Other", ann)
    policy, members = add_policy(of_group(board)), get_table("sys_user_grmember")
    rows = connection().execute(select(members.source.c["group"], members.source.c["sys_id"])).all()
    member = {row.group: row.sys_id for row in rows}
    caller = token()
    attempts = (
        lambda: create_record(members, caller, {"group": board, "user": bob}),
        lambda: update_record(members, caller, member[board], {"user": bob}),
        lambda: update_record(members, caller, member[board], {"group": other}),
        lambda: update_record(members, caller, member[other], {"group": board}),
        lambda: delete_record(members, caller, member[board]),
        lambda: edit("sys_user_group", board, caller, manager=bob),
    )
    for attempt in attempts:
        with pytest.raises(AccessRefused) as refusal:
            attempt()
        assert detail_of(refusal.value) == f"{GROUP_REFUSED}; use a user's name and password"

    edit("sys_user_group", board, caller, description="The board")
    edit("sys_user_group", other, caller, manager=bob)
    update_record(members, caller, member[other], {"user": bob})
    add("sys_user_grmember", group=board, user=bob)
    edit("chg_policy_approval", policy, active=False)
    delete_record(members, caller, member[board])
    edit("sys_user_group", board, caller, manager=bob)


@pytest.mark.parametrize("state", [ASSESS, NEW])
def test_no_token_changes_who_is_in_the_group_of_a_change_that_a_rule_asks(state: int) -> None:
    """The default policy asks the assignment group."""
    members, (bob, eve) = get_table("sys_user_grmember"), add_people("bob", "eve").values()
    group, caller = add_group("Network", bob), token()
    other = add_group("Unused")
    change = add("change_request", type="normal", assignment_group=group, state=state)
    attempts = (
        lambda: create_record(members, caller, {"group": group, "user": eve}),
        lambda: edit("sys_user_group", group, caller, manager=eve),
    )
    for attempt in attempts:
        with pytest.raises(AccessRefused) as refusal:
            attempt()
        assert detail_of(refusal.value) == f"{GROUP_REFUSED}; use a user's name and password"

    create_record(members, caller, {"group": other, "user": eve})
    edit("change_request", change, state=CANCELED)
    for attempt in attempts:
        attempt()


@pytest.mark.parametrize(
    ("path", "is_refused"),
    [("requested_by.manager", True), ("assignment_group.manager", False), ("requested_by", False)],
)
def test_no_token_changes_a_manager_whom_an_active_rule_asks(path: str, is_refused: bool) -> None:
    ann, bob = add_people("ann", "bob").values()
    policy = add_policy({"approver_source": "field", "approver_field": path})
    if is_refused:
        with pytest.raises(AccessRefused) as refusal:
            edit("sys_user", ann, token(), manager=bob)
        assert detail_of(refusal.value) == f"{MANAGER_REFUSED}; use a user's name and password"
        edit("sys_user", ann, token(), title="Engineer")
        edit("sys_user", ann, manager=bob)
        edit("chg_policy_approval", policy, active=False)
        bob = ""
    edit("sys_user", ann, token(), manager=bob)
