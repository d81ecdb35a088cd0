"""Approval by provenance: exact comparison of verified claims, missing ones, and the record of a pipeline."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from changegate.database import connection
from changegate.errors import InputInvalid
from changegate.models import OAuthEntity, Task
from changegate.models.base import utc_now
from changegate.services.approvals import requests
from changegate.services.approvals.claims import CLAIMS, RECORD, claims_of, lower_bound, parse_claims_condition
from changegate.services.history.chain import append
from tests.services.approvals.asked_changes import (
    add,
    add_policy,
    change_of,
    decisions_of,
    edit,
    enter,
    facts,
    of_users,
    outcomes_of,
    round_of,
    states_of,
    waiting_for,
)
from tests.support.people import ROOT, add_account, caller_for

ENTITY = "e" * 32
PIPELINE = {
    "oauth_entity": ENTITY,
    "oauth_client_id": "c" * 32,
    "oauth_issuer": "https://token.example.com",
    "oauth_subject": "repo:acme/shop:environment:production",
    "source_repository": "acme/shop",
    "source_ref": "refs/heads/main",
    "source_workflow": "deploy.yml",
    "source_environment": "production",
}
FROM_MAIN = "source_repository=acme/shop^source_ref=refs/heads/main^source_environment=production"


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        add_integration()
        yield


def add_integration() -> None:
    """Add the integration of the pipeline."""
    values = {"sys_id": ENTITY, "type": "oidc", "name": "Forge", "client_id": "c" * 32}
    values |= {"audiences": [], "algorithms": []}
    connection().execute(insert(OAuthEntity.__table__).values({**values, **_defaults(OAuthEntity, values)}))


def _defaults(model: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return values for the columns that must have one and have no default."""
    zero = {"INTEGER": 0, "BOOLEAN": False}
    return {
        column.key: zero.get(str(column.type), "")
        for column in model.__table__.columns
        if not column.nullable and column.default is None and column.key not in values
    }


def add_change(claims: dict[str, Any] | None = None, **sent: Any) -> str:
    """Add a change that a pipeline has created."""
    change = add("change_request", **{"type": "normal", **sent})
    table = Task.__table__
    connection().execute(update(table).where(table.c["sys_id"] == change).values({**PIPELINE, **(claims or {})}))
    return change


def by_claims(condition: str = FROM_MAIN, outcome: str = "approve") -> dict[str, Any]:
    return {"approver_source": "claims", "condition": condition, "outcome": outcome}


@pytest.mark.usefixtures("at_work")
def test_verified_claims_approve_without_people() -> None:
    policy = add_policy(by_claims())
    change = add_change()

    assert enter(change).approval == change_of(change)["approval"] == "approved"
    assert states_of(change) == {}
    [decision] = decisions_of(change)
    assert (decision["outcome"], decision["policy"]) == ("approved", policy)
    assert json.loads(decision["facts"])["source_ref"] == "refs/heads/main"
    assert json.loads(decision["explanation"])["claims"][0]["passed"] is True
    assert waiting_for(change) == []


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    "claims",
    [
        {"source_ref": "refs/heads/Main"},
        {"source_ref": "refs/heads/main2"},
        {"source_repository": "acme/Shop"},
        {"source_environment": "staging"},
    ],
)
def test_claims_are_compared_exactly(claims: dict[str, str]) -> None:
    ann = add_account("ann")
    add_policy(by_claims())
    add_policy(of_users(ann), order=20)
    change = add_change(claims)

    assert enter(change).approval == "requested"
    assert states_of(change) == {ann: "requested"}
    passed_over = json.loads(decisions_of(change)[0]["explanation"])["passed_over"]
    assert [each["reason"] for each in passed_over] == ["Rule 0: failed"]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("claim", ["source_repository", "source_ref", "source_environment"])
def test_a_missing_claim_forces_people(claim: str) -> None:
    ann = add_account("ann")
    add_policy(by_claims(FROM_MAIN + "^source_environment!=sandbox"))
    add_policy(of_users(ann), order=20)
    change = add_change({claim: None})

    assert enter(change).approval == "requested"
    passed_over = json.loads(decisions_of(change)[0]["explanation"])["passed_over"]
    assert passed_over[0]["reason"] == f"Rule 0: verified claims are missing: {claim}"


@pytest.mark.usefixtures("at_work")
def test_a_missing_claim_without_people_leaves_the_change_waiting() -> None:
    add_policy(by_claims(), condition="type=normal")
    change = add_change({"source_ref": None})

    assert enter(change).approval == "not requested"


@pytest.mark.usefixtures("at_work")
def test_claims_reject() -> None:
    add_policy(by_claims("source_ref!=refs/heads/main", "reject"), of_users(add_account("ann")))
    change = add_change({"source_ref": "refs/heads/topic"})

    assert enter(change).approval == change_of(change)["approval"] == "rejected"
    assert outcomes_of(change) == ["rejected"]


@pytest.mark.usefixtures("at_work")
def test_a_rejecting_rule_that_does_not_match_leaves_the_decision_to_people() -> None:
    ann = add_account("ann")
    add_policy(by_claims("source_ref!=refs/heads/main", "reject"), of_users(ann))
    change = add_change()

    assert enter(change).approval == "requested"
    assert states_of(change) == {ann: "requested"}


@pytest.mark.usefixtures("at_work")
def test_a_rule_that_does_not_reject_approves_nothing() -> None:
    add_policy(by_claims("source_ref!=refs/heads/main", "reject"))

    assert enter(add_change()).approval == "not requested"


@pytest.mark.usefixtures("at_work")
def test_the_record_of_a_pipeline_may_select_who_is_asked() -> None:
    ann, bob = add_account("ann"), add_account("bob")
    add_policy(of_users(ann), condition="pipeline.changes>=1")
    add_policy(of_users(bob), order=20)
    first = add_change()
    enter(first)
    add_closed(1)
    second = add_change()
    enter(second)

    assert (states_of(first), states_of(second)) == ({bob: "requested"}, {ann: "requested"})


@pytest.mark.usefixtures("at_work")
def test_claims_do_not_approve_if_a_rejecting_rule_cannot_be_evaluated() -> None:
    ann = add_account("ann")
    add_policy(by_claims("source_environment=sandbox", "reject"), by_claims("source_ref=refs/heads/main"))
    add_policy(by_claims("source_repository=acme/shop"), order=20)
    add_policy(of_users(ann), order=30)
    change = add_change({"source_environment": None})

    assert enter(change).approval == "requested"
    assert states_of(change) == {ann: "requested"}


@pytest.mark.usefixtures("at_work")
def test_claims_and_people_are_joined_by_and() -> None:
    ann = add_account("ann")
    add_policy(by_claims(), of_users(ann))
    change = add_change()

    assert enter(change).approval == "requested"
    assert states_of(change) == {ann: "requested"}


@pytest.mark.usefixtures("at_work")
def test_no_caller_writes_claims() -> None:
    add_policy(by_claims())
    change = add("change_request", type="normal", **PIPELINE)
    edit("change_request", change, **PIPELINE)

    assert not any(change_of(change)[name] for name in CLAIMS)
    assert enter(change).approval == "not requested"


@pytest.mark.usefixtures("at_work")
def test_claims_are_not_used_after_another_user_has_edited_the_change() -> None:
    ann = add_account("ann")
    add_policy(by_claims())
    add_policy(of_users(ann), order=20)
    change = add_change()
    edit("change_request", change, caller_for(add_account("tom"), "itil"), implementation_plan="something else")

    assert enter(change).approval == "requested"
    passed_over = json.loads(decisions_of(change)[0]["explanation"])["passed_over"]
    assert "tom has edited the change" in passed_over[0]["reason"]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("claim", [None, "integration", "oauth_subject", "source_ref", "source_repository"])
def test_only_the_same_workload_may_have_edited_the_change(claim: str | None) -> None:
    add_policy(by_claims())
    change = add_change()
    workload = {name: PIPELINE[name] for name in PIPELINE if name != "oauth_entity"} | {"integration": ENTITY}
    actor = {"user": ROOT.sys_id, "user_name": "admin", **workload} | ({claim: "another"} if claim else {})
    append("change_request", change, "edited", {"changes": {"risk": ["4", "2"]}}, actor)
    append("change_request", change, "moved", {"changes": {"state": ["-5", "-4"]}}, {"user": None, "user_name": "tom"})

    assert enter(change).approval == ("not requested" if claim else "approved")


@pytest.mark.usefixtures("at_work")
def test_an_approval_by_claims_that_still_hold_is_not_decided_again() -> None:
    add_policy(by_claims())
    change = add_change()
    enter(change)

    assert requests.request_again(round_of(change), "nothing", facts) == "approved"
    assert outcomes_of(change) == ["approved"]


@pytest.mark.usefixtures("at_work")
def test_an_approval_by_claims_ends_with_an_edit_by_another_user() -> None:
    ann = add_account("ann")
    add_policy(by_claims())
    add_policy(of_users(ann), order=20)
    change = add_change()
    enter(change)
    edit("change_request", change, caller_for(add_account("tom"), "itil"), backout_plan="something else")

    approval = requests.request_again(round_of(change), "backout_plan has changed", facts)
    assert approval == "requested"
    assert states_of(change) == {ann: "requested"}


# The record of a pipeline


def add_closed(count: int, close_code: str = "successful", **values: Any) -> None:
    now = utc_now()
    for _ in range(count):
        change = add_change(values.get("claims"))
        closed = {"state": 3, "close_code": close_code, "opened_at": now - timedelta(days=3)}
        fields = {**closed, **{name: value for name, value in values.items() if name != "claims"}}
        connection().execute(update(Task.__table__).where(Task.__table__.c["sys_id"] == change).values(fields))


def record_of(change: str) -> tuple[Any, ...]:
    found = claims_of(change_of(change))
    return tuple(found[name] for name in RECORD)


@pytest.mark.usefixtures("at_work")
def test_the_record_counts_the_closed_changes_of_the_same_pipeline() -> None:
    add_closed(3)
    add_closed(1, "unsuccessful")
    for name in ("source_repository", "source_workflow", "source_environment"):
        add_closed(1, claims={name: "another"})
    assert record_of(add_change()) == (4, 75, 30)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    "values",
    [
        {"close_code": "successful_issues"},
        {"close_code": None},
        {"state": -1, "end_date": utc_now() - timedelta(hours=1)},
        {"state": 0, "end_date": None},
        {"state": 4, "work_start": utc_now() - timedelta(days=2)},
    ],
)
def test_what_a_pipeline_leaves_open_or_aborts_counts_against_it(values: dict[str, Any]) -> None:
    add_closed(1, **values)
    assert record_of(add_change()) == (1, 0, 0)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    "values",
    [
        {"state": -1, "end_date": utc_now() + timedelta(days=300)},
        {"state": 0, "end_date": None, "opened_at": utc_now() + timedelta(days=300)},
        {"state": 4, "work_start": None},
        {"state": -5},
    ],
)
def test_changes_that_were_not_implemented_or_still_are_do_not_count(values: dict[str, Any]) -> None:
    add_closed(1, **values)
    assert record_of(add_change()) == (0, 0, 0)


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("claim", ["source_repository", "source_workflow", "source_environment"])
def test_a_pipeline_without_one_of_its_claims_has_no_record(claim: str) -> None:
    add_closed(2)
    assert record_of(add_change({claim: None})) == (None, None, None)


@pytest.mark.usefixtures("at_work")
def test_a_good_record_approves_and_a_short_one_does_not() -> None:
    add_policy(by_claims("pipeline.changes>=20^pipeline.lower_bound>=80"))
    add_closed(19)
    assert enter(add_change()).approval == "not requested"
    add_closed(1)
    assert enter(add_change()).approval == "approved"
    add_closed(1, "unsuccessful")
    assert enter(add_change()).approval == "not requested"


@given(st.integers(1, 400).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_lower_bound_is_below_the_rate_and_grows_with_the_number(counts: tuple[int, int]) -> None:
    successes, count = counts
    bound = lower_bound(successes, count)
    assert 0 <= bound <= successes / count
    assert lower_bound(2 * successes, 2 * count) >= bound


@pytest.mark.parametrize(
    ("successes", "count", "bound"), [(20, 20, 0.8389), (95, 100, 0.8882), (1, 1, 0.2065), (0, 5, 0)]
)
def test_the_lower_bound_is_that_of_wilson(successes: int, count: int, bound: float) -> None:
    assert lower_bound(successes, count) == pytest.approx(bound, abs=5e-5)


# Conditions


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("source_ref=main", True),
        ("source_ref=Main", False),
        ("source_ref!=main", False),
        ("source_refINtopic,main", True),
        ("source_refNOT INtopic,main", False),
        ("source_refSTARTSWITHma", True),
        ("source_environment=production", None),
        ("source_environment!=production", None),
        ("source_ref=main^source_environment=production", None),
        ("source_ref=topic^source_environment=production", False),
        ("source_ref=main^ORsource_environment=production", True),
        ("source_ref=topic^ORsource_environment=production", None),
        ("source_ref=topic^NQsource_ref=main", True),
        ("pipeline.changes>=7", True),
        ("pipeline.changes>7", False),
        ("pipeline.changes<=7", True),
        ("pipeline.changes<7", False),
        ("pipeline.changes=7", True),
        ("pipeline.lower_bound>=1", None),
    ],
)
def test_conditions_on_claims_have_three_results(text: str, result: bool | None) -> None:
    known = {"source_ref": "main", "pipeline.changes": 7}
    assert parse_claims_condition(text).evaluate(known) is result


@pytest.mark.parametrize("text", ["", "^EQ", "source_ref", "source_refISEMPTY", "source_actor=ann", "source_ref<b"])
def test_conditions_that_could_not_protect_are_refused(text: str) -> None:
    with pytest.raises(InputInvalid):
        parse_claims_condition(text)
