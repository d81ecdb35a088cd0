"""What people do to changes, and what others are told of it."""

from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.extensions import db
from changegate.models import SysapprovalApprover, SysUser
from changegate.services.access.caller import Caller
from changegate.services.notifications.inbox import InboxEntry, list_notifications
from changegate.services.notifications.settings import choose_channels
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users.accounts import caller_of
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT
from tests.support.smtp_server import MailServer

REPEATING = ("approvals.deadlines", "notifications.freezes", "notifications.expiries", "mail.send")


@dataclass(frozen=True, slots=True)
class NotifiedDesk:
    """An application with a mail server, and the sys_ids of its users by name."""

    app: Flask
    server: MailServer
    users: dict[str, str]

    def caller(self, name: str) -> Caller:
        """Return a user as a caller; call it within a context."""
        return ROOT if name == "admin" else caller_of(db.session.get_one(SysUser, self.users[name]))

    def create(self, table: str, by: str = "admin", **sent: Any) -> str:
        """Create a record in a transaction of its own; names of users stand for their sys_ids."""
        with self.app.app_context():
            record = create_record(get_table(table), self.caller(by), self._named(sent))
            commit()
            return str(record["sys_id"])

    def update(self, table: str, sys_id: str, by: str = "admin", **sent: Any) -> None:
        with self.app.app_context():
            update_record(get_table(table), self.caller(by), sys_id, self._named(sent))
            commit()

    def group(self, name: str, *members: str, **sent: Any) -> str:
        group = self.create("sys_user_group", name=name, **sent)
        for member in members:
            self.create("sys_user_grmember", user=member, group=group)
        return group

    def change(self, by: str = "admin", **sent: Any) -> str:
        return self.create("change_request", by, **{"short_description": "Move a router", **sent})

    def run(self) -> None:
        run_due_jobs(self.app, *REPEATING)

    def told(self, name: str) -> list[str]:
        """Run the jobs, and return what a user was told, oldest first, such as "Moved: From New to Assess"."""
        self.run()
        return [": ".join(filter(None, (entry.sentence, entry.detail))) for entry in reversed(self.inbox(name))]

    def inbox(self, name: str) -> list[InboxEntry]:
        with self.app.app_context():
            return list(list_notifications(self.caller(name), limit=100))

    def mails(self, name: str) -> list[str]:
        """Run the jobs, and return the subjects of the mail that a user got."""
        self.run()
        return [mail["Subject"] for mail in self.server.mails if mail["To"] == f"{name}@example.com"]

    def choose(self, name: str, **channels: str) -> None:
        """Choose channels by kind, as texts such as "console mail"."""
        with self.app.app_context():
            choose_channels(self.caller(name), {kind: text.split() for kind, text in channels.items()})
            commit()

    def number(self, change: str) -> str:
        with self.app.app_context():
            table = get_table("change_request").source.c
            return str(connection().execute(select(table["number"]).where(table["sys_id"] == change)).scalar_one())

    def approvals(self, change: str) -> list[Any]:
        columns = SysapprovalApprover.__table__.c
        of_change = select(*columns).where(columns["sysapproval"] == change).order_by(columns["sys_id"])
        with self.app.app_context():
            return list(connection().execute(of_change))

    def _named(self, sent: dict[str, Any]) -> dict[str, Any]:
        return {
            name: ",".join(self.users.get(each, each) for each in str(text).split(",")) for name, text in sent.items()
        }
