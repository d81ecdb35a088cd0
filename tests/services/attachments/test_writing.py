"""A file is stored and deleted together with its record, even with concurrent writes of both."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import func, select

from changegate.database import connection
from changegate.errors import RecordNotFound
from changegate.extensions import db
from changegate.models import SysAttachment, SysAttachmentDoc
from changegate.services.attachments.reading import get_written
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import (
    CHUNK_BYTES,
    Target,
    create_attachment,
    delete_attachment,
    remove_attachments,
    rename_attachment,
)
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import AttachedFile
from changegate.services.tables.writing.records import create_record, delete_record
from tests.support.people import ROOT

SHARED = "c" * 32

CHANGES = get_table("change_request")
CONTENT = b"x" * (CHUNK_BYTES + 1)
WAIT_SECONDS = 0.5
TIMEOUT_SECONDS = 30


@pytest.fixture
def change(either_app: Flask) -> str:
    with either_app.app_context():
        sys_id: str = create_record(CHANGES, ROOT, {})["sys_id"]
        db.session.commit()
    return sys_id


@pytest.fixture
def meanwhile(either_app: Flask) -> Iterator[Callable[[Callable[[], None]], "Future[None]"]]:
    """Return a function that has something done, and committed, by another thread on a connection of its own."""

    def work(task: Callable[[], None]) -> None:
        with either_app.app_context():
            task()
            db.session.commit()

    with ThreadPoolExecutor() as pool:
        yield lambda task: pool.submit(work, task)


def attach(change: str) -> None:
    create_attachment(ROOT, Target(CHANGES, change, "a.txt"), measure(BytesIO(CONTENT)))


def counts() -> list[int]:
    """Return how many files there are, and how many pieces of files."""
    models = (SysAttachment, SysAttachmentDoc)
    return [connection().execute(select(func.count()).select_from(model)).scalar_one() for model in models]


def test_a_record_waits_with_going_until_its_file_is_there(
    either_app: Flask, change: str, meanwhile: Callable[[Callable[[], None]], "Future[None]"]
) -> None:
    with either_app.app_context():
        attach(change)
        deletion = meanwhile(lambda: delete_record(CHANGES, ROOT, change))
        with pytest.raises(TimeoutError):
            deletion.result(WAIT_SECONDS)
        db.session.commit()
        deletion.result(TIMEOUT_SECONDS)
        assert counts() == [0, 0]


def test_a_file_does_not_come_after_its_record_has_gone(
    either_app: Flask, change: str, meanwhile: Callable[[Callable[[], None]], "Future[None]"]
) -> None:
    with either_app.app_context():
        delete_record(CHANGES, ROOT, change)
        arrival = meanwhile(lambda: attach(change))
        with pytest.raises(TimeoutError):
            arrival.result(WAIT_SECONDS)
        db.session.commit()
        with pytest.raises(RecordNotFound):
            arrival.result(TIMEOUT_SECONDS)
        assert counts() == [0, 0]


def test_a_rolled_back_file_leaves_no_pieces(either_app: Flask, change: str) -> None:
    with either_app.app_context():
        attach(change)
        assert counts() == [1, 2]
        db.session.rollback()
        assert counts() == [0, 0]


def attach_to(table_name: str) -> None:
    """Attach a file to the record of one sys_id that two tables have."""
    create_attachment(ROOT, Target(get_table(table_name), SHARED, f"{table_name}.txt"), measure(BytesIO(b"log")))


def test_only_the_files_of_the_named_records_of_the_named_table_go(either_app: Flask) -> None:
    with either_app.app_context():
        for name in ("change_request", "cmdb_ci"):
            create_record(get_table(name), ROOT, {"sys_id": SHARED, "name": "web-01"})
            attach_to(name)
        remove_attachments("change_request", ["d" * 32])
        remove_attachments("task_ci", [SHARED])
        assert _file_names() == ["change_request.txt", "cmdb_ci.txt"]
        remove_attachments("change_request", [SHARED, "d" * 32])
        assert _file_names() == ["cmdb_ci.txt"]
        assert connection().execute(select(func.count()).select_from(SysAttachmentDoc)).scalar_one() == 1
        remove_attachments("cmdb_ci", [])
        assert _file_names() == ["cmdb_ci.txt"]
        db.session.rollback()


def _file_names() -> list[str]:
    statement = select(SysAttachment.file_name).order_by(SysAttachment.file_name)
    return list(connection().execute(statement).scalars())


def test_the_rules_of_the_record_learn_of_each_file(either_app: Flask, change: str) -> None:
    """Addressed as a task, the file still belongs to a change."""
    with either_app.app_context(), mock.patch.object(type(CHANGES.rules), "after_attachment") as hook:
        target = Target(get_table("task"), change, "a.txt")
        attachment = create_attachment(ROOT, target, measure(BytesIO(b"log")))
        rename_attachment(ROOT, attachment, "b.txt")
        delete_attachment(ROOT, get_written(attachment.sys_id))

    a, b = (AttachedFile(name, attachment.hash) for name in ("a.txt", "b.txt"))
    assert [call.args for call in hook.call_args_list] == [
        (change, removed, added, ROOT) for removed, added in ((None, a), (a, b), (b, None))
    ]
