"""A calendar of changes: each is planned by hours of one day, on items that are made as they are named."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.models import Conflict, Task
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.conflicts.overlaps import TYPES
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import INSTANT_FORMAT
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT

WRITER = Caller(ROOT.sys_id, "admin", Permissions(frozenset({"itil"})))
DAY = utc_now().replace(hour=0, minute=0, second=0) + timedelta(days=30)
SAME, PARENT, CHILD, PERSON = (TYPES[kind] for kind in range(4))


def at(hour: float) -> str:
    return (DAY + timedelta(hours=hour)).strftime(INSTANT_FORMAT)


def hours(start: float, end: float) -> dict[str, str]:
    return {"start_date": at(start), "end_date": at(end)}


class Calendar:
    """What a caller does in the context of an application, committed at once."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._items: dict[str, str] = {}

    def create(self, table: str, caller: Caller = ROOT, /, **sent: Any) -> str:
        record = create_record(get_table(table), caller, sent)
        commit()
        return str(record["sys_id"])

    def item(self, name: str, ci_class: str = "cmdb_ci_server") -> str:
        if name not in self._items:
            self._items[name] = self.create("cmdb_ci", name=name, sys_class_name=ci_class)
        return self._items[name]

    def relate(self, parent: str, child: str) -> str:
        return self.create("cmdb_rel_ci", parent=self.item(parent), child=self.item(child))

    def change(self, item: str | None = None, start: float = 8, end: float = 10, **sent: Any) -> str:
        named = {"cmdb_ci": self.item(item)} if item else {}
        return self.create("change_request", WRITER, **hours(start, end), **named, **sent)

    def write(self, change: str, caller: Caller = WRITER, /, **sent: Any) -> None:
        update_record(get_table("change_request"), caller, change, sent)
        commit()

    def affect(self, change: str, item: str) -> str:
        return self.create("task_ci", WRITER, task=change, ci_item=self.item(item))

    def delete(self, table: str, sys_id: str) -> None:
        delete_record(get_table(table), ROOT, sys_id)
        commit()

    def settle(self) -> None:
        """Run the jobs that the writes have promised."""
        commit()
        run_due_jobs(self.app)

    def conflicts(self, change: str) -> list[tuple[str, str | None]]:
        """Return the type of each stored conflict of a change, and the other change."""
        columns = (Conflict.type, Conflict.conflicting_change)
        rows = connection().execute(select(*columns).where(Conflict.change == change).order_by(*columns))
        return [(row.type, row.conflicting_change) for row in rows]

    def stored(self, change: str) -> Mapping[str, Any]:
        row = connection().execute(select(Task.__table__).where(Task.sys_id == change)).one()
        return row._asdict()

    def status(self, change: str) -> str:
        return str(self.stored(change)["conflict_status"])


def instant(hour: float) -> datetime:
    return (DAY + timedelta(hours=hour)).astimezone(UTC)
