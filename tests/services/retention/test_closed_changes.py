"""Audit records and attachments of changes that were closed long ago."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from changegate.database import commit, connection, holds_write_lock, rollback
from changegate.extensions import now
from changegate.models import ChgHistory, SysAttachment, SysAttachmentDoc, SysAudit, Task
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment
from changegate.services.evidence.verification import verify
from changegate.services.jobs.cleanups import CLEANUPS
from changegate.services.process.changes import lock_change
from changegate.services.retention import closed_changes
from changegate.services.retention.closed_changes import FILES_DELETED, delete_audit, delete_files
from changegate.services.tables.registry import get_table
from tests.services.approvals.asked_changes import add, edit
from tests.support.people import ROOT
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("either_app_context")
DAYS = 90
CLOSED = "3"


@pytest.fixture
def retention(either_app: Flask) -> None:
    limited = {"audit_retention_days": DAYS, "attachment_retention_days": DAYS}
    either_app.config["SETTINGS"] = replace(either_app.config["SETTINGS"], **limited)


def attach(table: str, record: str, name: str, *, days_ago: float = 2 * DAYS) -> None:
    file = create_attachment(ROOT, Target(get_table(table), record, name), measure(BytesIO(name.encode())))
    at = {"sys_created_on": now() - timedelta(days=days_ago)}
    connection().execute(update(SysAttachment).where(SysAttachment.sys_id == file.sys_id).values(at))


def change_closed(days_ago: float, *, has_task: bool = False) -> str:
    """Add a change with edits and a file that was closed some days ago."""
    change = add("change_request", short_description="a", state=CLOSED, close_code="successful", close_notes="Done")
    edit("change_request", change, ROOT, short_description="b")
    attach("change_request", change, "plan.txt")
    if has_task:
        task = add("change_task", change_request=change)
        edit("change_task", task, ROOT, short_description="c")
        attach("change_task", task, "log.txt")
    closed = {"closed_at": now() - timedelta(days=days_ago), "active": False}
    connection().execute(update(Task).where(Task.sys_id == change).values(closed))
    commit()
    return change


def files_of(*records: str) -> list[str]:
    rows = select(SysAttachment.file_name).where(SysAttachment.table_sys_id.in_(records))
    return sorted(connection().execute(rows).scalars())


def audited(record: str) -> int:
    rows = select(func.count()).select_from(SysAudit).where(SysAudit.documentkey == record)
    return connection().execute(rows).scalar_one()


def deletions(change: str) -> list[dict[str, Any]]:
    """Return the entries of deleted files in the history of a change."""
    rows = select(ChgHistory.facts).where(ChgHistory.subject_id == change, ChgHistory.kind == FILES_DELETED)
    return [json.loads(facts) for facts in connection().execute(rows).scalars()]


def test_by_default_they_are_kept_for_ever() -> None:
    change = change_closed(10_000)
    assert not delete_audit(now())
    assert not delete_files(now())
    assert (audited(change) > 0, files_of(change)) == (True, ["plan.txt"])
    assert [CLEANUPS[kind].count(now()) for kind in ("retention.audit", "retention.attachments")] == [0, 0]


@pytest.mark.usefixtures("retention")
def test_they_are_deleted_some_time_after_the_change_was_closed() -> None:
    old, recent = change_closed(DAYS + 1, has_task=True), change_closed(DAYS - 1)
    task = connection().execute(select(Task.sys_id).where(Task.__table__.c["change_request"] == old)).scalar_one()
    counts = CLEANUPS["retention.audit"].count(now()), CLEANUPS["retention.attachments"].count(now())
    assert counts == (audited(old) + audited(task), 2)

    assert not delete_audit(now())
    assert not delete_files(now())
    commit()
    assert (audited(old), audited(task), files_of(old, task)) == (0, 0, [])
    assert (audited(recent) > 0, files_of(recent)) == (True, ["plan.txt"])
    pieces = select(func.count()).select_from(SysAttachmentDoc)
    assert connection().execute(pieces).scalar_one() == 1


@pytest.mark.usefixtures("retention")
def test_the_history_keeps_what_was_deleted_and_still_verifies() -> None:
    change = change_closed(DAYS + 1, has_task=True)
    before = connection().execute(select(func.count()).select_from(ChgHistory)).scalar_one()
    delete_files(now())
    delete_audit(now())
    commit()

    [facts] = deletions(change)
    assert [(file["file_name"], file["size_bytes"]) for file in facts["files"]] == [("log.txt", 7), ("plan.txt", 8)]
    assert ["change_task" in file for file in facts["files"]] == [True, False]
    assert connection().execute(select(func.count()).select_from(ChgHistory)).scalar_one() == before + 1
    assert verify().is_clean


@pytest.mark.usefixtures("retention")
def test_an_open_change_keeps_them_however_old_it_is() -> None:
    change = change_closed(DAYS + 1)
    connection().execute(update(Task).where(Task.sys_id == change).values(active=True))
    commit()
    delete_audit(now())
    delete_files(now())
    assert (audited(change) > 0, files_of(change)) == (True, ["plan.txt"])


@pytest.mark.usefixtures("retention")
def test_a_file_that_was_added_lately_is_kept() -> None:
    change = change_closed(DAYS + 1)
    attach("change_request", change, "review.txt", days_ago=1)
    commit()
    delete_files(now())
    assert files_of(change) == ["review.txt"]


@pytest.mark.usefixtures("retention")
def test_they_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [change_closed(DAYS + 1) for _ in range(3)]
    monkeypatch.setattr(closed_changes, "FILES_READ_AT_ONCE", 2)
    monkeypatch.setattr(closed_changes, "AUDIT_READ_AT_ONCE", 2)
    assert [delete_files(now()) for _ in range(2)] == [True, False]
    assert [len(deletions(change)) for change in changes] == [1, 1, 1]
    total = sum(map(audited, changes))
    assert delete_audit(now())
    assert sum(map(audited, changes)) == total - 2


@pytest.mark.usefixtures("retention")
def test_a_change_that_is_opened_again_meanwhile_keeps_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(change: str) -> Any:
        connection().execute(update(Task).where(Task.sys_id == change).values(active=True))
        return lock_change(change)

    change = change_closed(DAYS + 1)
    monkeypatch.setattr(closed_changes, "lock_change", locked)
    delete_files(now())
    assert files_of(change) == ["plan.txt"]


@pytest.mark.usefixtures("retention")
def test_no_statement_searches_more_than_some_of_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_changes, "TASKS_AT_ONCE", 2)
    changes = [change_closed(DAYS + 1, has_task=True) for _ in range(3)]
    open_change = change_closed(DAYS - 1)
    with counted_statements() as statements:
        assert CLEANUPS["retention.attachments"].count(now()) == 6
    assert sum("count(" in each for each in statements) == 4
    assert not delete_files(now())
    assert not delete_audit(now())
    assert [(audited(change), files_of(change)) for change in changes] == [(0, [])] * 3
    assert files_of(open_change) == ["plan.txt"]


@pytest.mark.usefixtures("retention")
def test_one_search_finds_many_batches_and_each_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(change: str) -> Any:
        if change == last:
            raise TimeoutError
        return lock_change(change)

    first, last = sorted(change_closed(DAYS + 1) for _ in range(2))
    total, rests = audited(first) + audited(last), []
    quick = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: rests.append(holds_write_lock()))
    monkeypatch.setattr(closed_changes, "time", quick)
    monkeypatch.setattr(closed_changes, "ROWS_AT_ONCE", 1)
    assert not delete_audit(now())
    assert rests == [False] * total
    monkeypatch.setattr(closed_changes, "lock_change", locked)
    with pytest.raises(TimeoutError):
        delete_files(now())
    rollback()
    assert (audited(first), audited(last), files_of(first), files_of(last)) == (0, 0, [], ["plan.txt"])
    assert rests == [False] * (total + 1)


@pytest.mark.usefixtures("retention")
def test_a_run_that_takes_long_ends_after_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other jobs of the process would wait, and another worker would repeat the job."""
    change, other = (change_closed(DAYS + 1) for _ in range(2))
    total = audited(change) + audited(other)
    monkeypatch.setattr(closed_changes, "LONGEST_RUN_SECONDS", 0.0)
    monkeypatch.setattr(closed_changes, "ROWS_AT_ONCE", 1)
    assert delete_audit(now())
    assert delete_files(now())
    assert (audited(change) + audited(other), len(files_of(change, other))) == (total - 1, 1)
    monkeypatch.undo()
    assert not delete_audit(now())
    assert not delete_files(now())
    assert (audited(change), audited(other), files_of(change, other)) == (0, 0, [])
