"""A change of Tom's, whose approval Mia is asked for."""

import re
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import ChangeRequest, SysUser
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.console.conftest import ROOT, SignIn
from tests.console.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Desk:
    """Two colleagues in one group, and the sys_id of a change that one of them has requested."""

    app: Flask
    tom: Visitor
    mia: Visitor
    change: str

    @property
    def url(self) -> str:
        return f"/change-requests/{self.change}"

    def field(self, name: str) -> object:
        """Return a stored value of the change."""
        with self.app.app_context():
            return db.session.execute(
                select(getattr(ChangeRequest, name)).where(ChangeRequest.sys_id == self.change)
            ).scalar_one()


@pytest.fixture
def desk(app: Flask, sign_in: SignIn) -> Desk:
    tom, mia = sign_in("tom", "itil"), sign_in("mia", "itil")
    with app.app_context():
        users = {
            name: db.session.execute(select(SysUser.sys_id).filter_by(user_name=name)).scalar_one()
            for name in ("tom", "mia")
        }
        group = create_record(get_table("sys_user_group"), ROOT, {"name": "Network", "manager": users["mia"]})["sys_id"]
        for user in users.values():
            create_record(get_table("sys_user_grmember"), ROOT, {"user": user, "group": group})
        fields = {
            "short_description": "Move a router",
            "assignment_group": group,
            "requested_by": users["tom"],
            "risk": "4",
        }
        change = create_record(get_table("change_request"), ROOT, fields)["sys_id"]
        db.session.commit()
    return Desk(app, tom, mia, str(change))


def move(visitor: Visitor, desk: Desk, state: int, **fields: str) -> int:
    """Move the change as its page does; return the status."""
    page = visitor.open(desk.url)
    found = re.findall(r'name="version" value="([^"]+)"', page.text)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    sent = {"csrf_token": token[0], "version": found[0], "state": str(state), **fields}
    return visitor.client.post(f"{desk.url}/move", data=sent).status_code


def answer(visitor: Visitor, desk: Desk, state: str, comments: str = "") -> int:
    """Answer on the page of the change; return the status."""
    page = visitor.open(desk.url)
    [form] = forms_to_answer(page.text)
    return visitor.send(page, form, {"state": state, "comments": comments}).status_code


def forms_to_answer(text: str) -> list[str]:
    """Return the actions of the forms of a page that answer approvals."""
    return re.findall(r'action="(/approvals/[0-9a-f]{32}/answer)"', text)
