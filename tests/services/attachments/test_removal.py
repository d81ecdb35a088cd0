"""Attachments go with their record, and only with theirs."""

from io import BytesIO

from flask import Flask
from sqlalchemy import func, select

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysAttachment, SysAttachmentDoc
from changegate.services.access.caller import Caller
from changegate.services.attachments.removal import remove_attachments
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record

ADMIN = Caller("6816f79cc0a8016401c5a33be04be441", "admin", frozenset({"admin"}))
SHARED = "c" * 32


def attach(table_name: str) -> None:
    """Attach a file to the record of one sys_id that two tables have."""
    create_attachment(ADMIN, Target(get_table(table_name), SHARED, f"{table_name}.txt"), measure(BytesIO(b"log")))


def test_only_the_files_of_the_named_records_of_the_named_table_go(either_app: Flask) -> None:
    with either_app.app_context():
        for name in ("change_request", "cmdb_ci"):
            create_record(get_table(name), ADMIN, {"sys_id": SHARED, "name": "web-01"})
            attach(name)
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
