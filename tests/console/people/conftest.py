"""Accounts that are administered, the links that they get, and a mail server."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.cli.instance import working_on
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.users.accounts import create_user
from tests.console.conftest import PASSWORD
from tests.console.visitor import Visitor
from tests.support.jobs import run_due_jobs
from tests.support.smtp_server import MailServer, mail_server, use_mail_server

NEW_PASSWORD = "another long one"
LINK = re.compile(r"https://change\.example\.com(/account-links/[\w-]{43})")
ReadMail = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def read_mail(app: Flask, server: MailServer) -> ReadMail:
    """Let the application send mail, and return a function that returns (address, text) of what has arrived."""
    use_mail_server(app, f"smtp://127.0.0.1:{server.port}")

    def arrived() -> list[tuple[str, str]]:
        run_due_jobs(app, "mail.send")
        return [(str(mail["To"]), mail.get_content()) for mail in server.mails]

    return arrived


def add_user(app: Flask, user_name: str, *roles: str, email: str | None = None, is_verified: bool = True) -> str:
    """Add a user with a password, and return the sys_id."""
    with working_on(app):
        user = create_user(user_name=user_name, password=PASSWORD, email=email, name=None, roles=list(roles))
        user.email_verified = is_verified and email is not None
        db.session.commit()
        return user.sys_id


def sys_id_of(app: Flask, user_name: str) -> str:
    with working_on(app):
        return db.session.execute(select(SysUser.sys_id).filter_by(user_name=user_name)).scalar_one()


def user_of(app: Flask, user_name: str) -> SysUser:
    """Return a user as stored."""
    with working_on(app):
        user = db.session.execute(select(SysUser).filter_by(user_name=user_name)).scalar_one()
        db.session.refresh(user)
        db.session.expunge(user)
        return user


def page_of(table: str, sys_id: str) -> str:
    return f"/records/{table}/{sys_id}"


def link_in(text: str) -> str:
    """Return the path of the only link in a mail or on a page."""
    [path] = set(LINK.findall(text))
    return str(path)


def make_link(admin: Visitor, sys_id: str) -> str:
    """Return the path of a link that an administrator lets the page show."""
    return link_in(admin.send(admin.open(page_of("sys_user", sys_id)), "link").text)


def set_password(
    visitor: Visitor, path: str, password: str = NEW_PASSWORD, repeated: str | None = None
) -> TestResponse:
    """Set a password on the page of a link."""
    fields = {"new_password": password, "repeated_password": password if repeated is None else repeated}
    page = visitor.open(path)
    return page if page.status_code == 410 else visitor.send(page, "link", fields)


def can_sign_in(app: Flask, user_name: str, password: str) -> bool:
    return Visitor(app.test_client()).sign_in(user_name, password).status_code == 302
