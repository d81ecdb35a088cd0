"""An answer beside an edit: the answer covers what is stored then, or it is void."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask

from changegate.database import commit, rollback
from changegate.errors import ChangegateError
from changegate.services.approvals.content import find_content, read_content
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
    add,
    add_policy,
    answer,
    approvals_of,
    change_of,
    edit,
    enter,
    of_users,
)
from tests.support.people import ROOT, add_account, caller_for

ROUNDS = 5
TIMEOUT_SECONDS = 60


def together(app: Flask, *works: Callable[[], None]) -> list[ChangegateError | None]:
    """Do several works at the same time, each in a transaction of its own; return their refusals."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], None]) -> ChangegateError | None:
        with app.app_context():
            barrier.wait(TIMEOUT_SECONDS)
            try:
                work()
                commit()
            except ChangegateError as refusal:
                rollback()
                return refusal
        return None

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(TIMEOUT_SECONDS) for future in [pool.submit(run, work) for work in works]]


@pytest.mark.parametrize("at", range(ROUNDS))
def test_an_answer_beside_an_edit_covers_the_stored_content_or_is_void(either_app: Flask, at: int) -> None:
    with either_app.app_context():
        ann = caller_for(add_account("ann"))
        add_policy(of_users(ann.sys_id), of_users(add_account("bob")), state=AUTHORIZE)
        change = add("change_request", type="normal", implementation_plan="Deploy")
        enter(change, AUTHORIZE)
        commit()
    works = [
        lambda: answer(change, ann),
        lambda: edit("change_request", change, ROOT, implementation_plan="Drop tables"),
    ]
    together(either_app, *(works if at % 2 else reversed(works)))

    with either_app.app_context():
        stored = change_of(change)
        assert stored["implementation_plan"] == "Drop tables"
        assert stored["approval"] == "requested"
        for row in approvals_of(change, voided_at=None):
            covered = find_content(row["content_hash"])
            assert covered is not None
            assert covered == read_content(stored, covered)
        assert len(approvals_of(change, approver=ann.sys_id, voided_at=None)) == 1
