"""The review of changes that were made before people could think about them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import OperationFailed
from changegate.models import ChangeTask
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.process.blockers import list_blockers
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
    add,
    add_group,
    add_policy,
    answer,
    change_of,
    edit,
    enter,
    of_users,
    remove,
)
from tests.support.people import add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
SCHEDULED, IMPLEMENT, REVIEW, CLOSED = -2, -1, 0, 3


@pytest.fixture
def ann() -> Caller:
    return caller_for(add_account("ann"), "approver_user")


@pytest.fixture
def tom() -> Caller:
    return caller_for(add_account("tom"), "itil")


def authorized(change_type: str, by: Caller, **sent: Any) -> str:
    """Return a change that waits in Authorize for one person."""
    add_policy(of_users(by.sys_id), state=AUTHORIZE)
    change = add("change_request", type=change_type, assignment_group=add_group("Team"), **sent)
    enter(change, AUTHORIZE)
    return change


def reviews_of(change: str) -> list[Any]:
    table = ChangeTask.__table__.c
    is_review = (table["change_request"] == change, table["change_task_type"] == "review")
    return list(connection().execute(select(ChangeTask.__table__).where(*is_review)).all())


def close(task: Any, by: Caller) -> None:
    edit("change_task", task.sys_id, by, state="3", close_code="successful", close_notes="done")


def test_an_emergency_change_is_reviewed_by_a_deadline(ann: Caller, tom: Caller) -> None:
    change = authorized("emergency", ann)
    answer(change, ann)
    assert change_of(change)["state"] == SCHEDULED
    assert reviews_of(change) == []
    edit("change_request", change, tom, state=str(IMPLEMENT))

    [task] = reviews_of(change)
    assert task.short_description == "Review the emergency change"
    assert timedelta(days=4) < task.due_date - utc_now() <= timedelta(days=5)
    assert task.assignment_group == change_of(change)["assignment_group"]


def test_the_review_stays_open_until_the_change_may_be_closed(ann: Caller, tom: Caller) -> None:
    change = authorized("emergency", ann)
    answer(change, ann)
    for state in (IMPLEMENT, REVIEW):
        edit("change_request", change, tom, state=str(state))
    [task] = reviews_of(change)
    assert task.active
    with pytest.raises(OperationFailed):
        edit("change_request", change, tom, state=str(CLOSED), close_code="successful", close_notes="x")

    close(task, tom)
    edit("change_request", change, tom, state=str(CLOSED), close_code="successful", close_notes="x")
    assert change_of(change)["state"] == CLOSED


@pytest.mark.parametrize("ending", [{"state": "4"}, {"state": "4", "change_task_type": "planning"}, None])
def test_a_change_without_its_review_is_not_closed(ann: Caller, tom: Caller, ending: dict[str, str] | None) -> None:
    change = authorized("emergency", ann, unauthorized="true")
    answer(change, ann)
    [task] = reviews_of(change)
    if ending:
        edit("change_task", task.sys_id, tom, **ending)
    else:
        remove("change_task", task.sys_id)
    with pytest.raises(OperationFailed) as refusal:
        edit("change_request", change, tom, state=str(CLOSED), close_code="successful", close_notes="x")
    assert "Create a change task of the type review, and close it." in (refusal.value.detail or "")
    [blocker] = [each for each in list_blockers(change_of(change)) if each.code == "task"]
    assert blocker.how is not None
    add("change_task", **{**blocker.how.body, "short_description": "Review"})

    close(next(each for each in reviews_of(change) if each.active), tom)
    edit("change_request", change, tom, state=str(CLOSED), close_code="successful", close_notes="x")
    assert change_of(change)["state"] == CLOSED


def test_the_review_does_not_keep_the_change_in_implement(ann: Caller, tom: Caller) -> None:
    change = authorized("emergency", ann)
    answer(change, ann)
    edit("change_request", change, tom, state=str(IMPLEMENT))
    table = ChangeTask.__table__.c
    is_work = (table["change_request"] == change, table["change_task_type"] != "review")
    for task in connection().execute(select(ChangeTask.__table__).where(*is_work)).all():
        close(task, tom)

    assert change_of(change)["state"] == REVIEW
    assert len(reviews_of(change)) == 1


def test_an_unauthorized_change_is_reviewed_as_soon_as_it_is_approved(ann: Caller) -> None:
    change = authorized("emergency", ann, unauthorized="true")
    assert reviews_of(change) == []
    answer(change, ann)

    assert change_of(change)["state"] == REVIEW
    assert [task.short_description for task in reviews_of(change)] == ["Review the unauthorized change"]


def test_a_normal_change_needs_no_review_task(ann: Caller, tom: Caller) -> None:
    change = authorized("normal", ann)
    answer(change, ann)
    edit("change_request", change, tom, state=str(IMPLEMENT))

    assert reviews_of(change) == []
