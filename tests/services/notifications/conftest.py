"""People who may be told: Tom and Mia work on changes, Rita requests one, Sue watches, Max manages changes."""

from collections.abc import Iterator

import pytest
from flask import Flask

from changegate.database import commit
from changegate.extensions import db
from changegate.models import SysUserHasRole, SysUserRole
from tests.conftest import Clock
from tests.services.notifications.notified_desk import NotifiedDesk
from tests.support.people import add_account
from tests.support.smtp_server import MailServer, mail_server, use_mail_server

PEOPLE = {"tom": "itil", "mia": "itil", "rita": "", "sue": "sn_change_read", "max": "change_manager", "eve": ""}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def desk(app: Flask, server: MailServer) -> NotifiedDesk:
    return _desk(app, server)


@pytest.fixture
def either_desk(either_app: Flask, server: MailServer) -> NotifiedDesk:
    return _desk(either_app, server)


def _desk(app: Flask, server: MailServer) -> NotifiedDesk:
    app.config["CLOCK"] = app.config["DATABASE_CLOCK"] = Clock()
    use_mail_server(app, f"smtp://127.0.0.1:{server.port}")
    users: dict[str, str] = {}
    with app.app_context():
        roles = {role.name: role.sys_id for role in db.session.query(SysUserRole)}
        for name, role in PEOPLE.items():
            users[name] = add_account(name, email=f"{name}@example.com")
            if role:
                db.session.add(SysUserHasRole(user=users[name], role=roles[role]))
        commit()
    return NotifiedDesk(app, server, users)
