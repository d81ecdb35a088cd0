"""Forgotten passwords: a link by mail for those who have confirmed their email, and one answer for everybody."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from changegate.cli.instance import working_on
from changegate.extensions import db
from changegate.models import SysUser, SysUserIdentity
from changegate.services.users.credentials import PAUSE, SEND
from tests.conftest import Clock
from tests.console.conftest import PASSWORD
from tests.console.people.conftest import (
    NEW_PASSWORD,
    ReadMail,
    add_user,
    can_sign_in,
    link_in,
    set_password,
)
from tests.console.visitor import Visitor, forms_of
from tests.support.jobs import stored_jobs
from tests.support.statements import counted_statements

PATH = "/forgotten-password"


def ask(visitor: Visitor, name: str) -> TestResponse:
    answer = visitor.send(visitor.open(PATH), "forgotten", {"user_name": name})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def nora(app: Flask) -> str:
    return add_user(app, "nora", email="nora@example.com")


@pytest.mark.parametrize("name", ["nora", "NORA", " nora ", "nora@example.com", "Nora@Example.com"])
def test_a_link_sets_a_new_password(app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str, name: str) -> None:
    elsewhere = Visitor(app.test_client())
    elsewhere.sign_in("nora", PASSWORD)
    assert 'href="/forgotten-password"' in visitor.open("/login").text
    ask(visitor, name)
    [(address, text)] = read_mail()
    assert address == "nora@example.com"
    assert set_password(visitor, link_in(text)).status_code == 302
    assert can_sign_in(app, "nora", NEW_PASSWORD)
    assert elsewhere.open("/").status_code == 302


def test_the_old_password_works_until_the_link_is_used(
    app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str
) -> None:
    ask(visitor, "nora")
    assert read_mail()
    assert can_sign_in(app, "nora", PASSWORD)


def test_users_of_an_identity_provider_get_no_password_by_mail(
    app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str
) -> None:
    with working_on(app):
        db.session.add(SysUserIdentity(user=nora, issuer="https://idp.example.com", subject="nora"))
        db.session.commit()
    ask(visitor, "nora")
    assert len(read_mail()) == 1
    with working_on(app):
        db.session.get_one(SysUser, nora).user_password = None
        db.session.commit()
    app.config["CLOCK"].advance(seconds=PAUSE.total_seconds() + 1)
    ask(visitor, "nora")
    # Still the one of before.
    assert len(read_mail()) == 1


@pytest.mark.usefixtures("nora", "read_mail")
def test_the_answer_does_not_show_whether_there_is_an_account(app: Flask, visitor: Visitor) -> None:
    add_user(app, "silent")
    pages, work = [], []
    for name in ("nora", "silent", "nobody", "nora@example.com", "nobody@example.com", "x" * 3000, "a\x00b"):
        page = visitor.open(PATH)
        with app.app_context(), counted_statements() as statements:
            answer = visitor.send(page, "forgotten", {"user_name": name})
        pages.append((answer.status_code, answer.text.replace(name, "")))
        work.append([each.partition("VALUES")[0] for each in statements])
    assert len(set(pages)) == 1
    assert pages[0][0] == 200
    # The same statements take the same time; what differs is left to the job.
    assert work[0]
    assert all(each == work[0] for each in work)
    assert len(stored_jobs(app, SEND)) == len(pages)


@pytest.mark.parametrize(
    "fields",
    [
        {"email": None},
        {"email_verified": False},
        {"active": False},
        {"locked_out": True},
        {"web_service_access_only": True},
    ],
    ids=str,
)
def test_no_mail_goes_to_an_account_that_cannot_use_it(
    app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str, fields: dict[str, object]
) -> None:
    with working_on(app):
        user = db.session.get_one(SysUser, nora)
        for name, value in fields.items():
            setattr(user, name, value)
        db.session.commit()
    ask(visitor, "nora")
    ask(visitor, "nora@example.com")
    assert read_mail() == []


def test_an_account_gets_one_mail_in_five_minutes(app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str) -> None:
    clock: Clock = app.config["CLOCK"]
    for _ in range(3):
        ask(visitor, "nora")
    [(_, first)] = read_mail()
    ask(visitor, "nora@example.com")
    assert len(read_mail()) == 1
    assert visitor.open(link_in(first)).status_code == 200
    clock.offset += PAUSE
    ask(visitor, "nora")
    [_, (_, second)] = read_mail()
    assert [visitor.open(link_in(text)).status_code for text in (first, second)] == [410, 200]


def test_the_link_works_for_half_an_hour(app: Flask, visitor: Visitor, read_mail: ReadMail, nora: str) -> None:
    ask(visitor, "nora")
    [(_, text)] = read_mail()
    app.config["CLOCK"].advance(minutes=29)
    assert visitor.open(link_in(text)).status_code == 200
    app.config["CLOCK"].advance(minutes=1)
    assert visitor.open(link_in(text)).status_code == 410


@pytest.mark.usefixtures("nora")
def test_the_link_leads_to_this_site_whatever_the_request_names(visitor: Visitor, read_mail: ReadMail) -> None:
    page = visitor.open(PATH)
    token = forms_of(page).forms["forgotten"]["csrf_token"]
    headers = {"X-Forwarded-Host": "evil.example.net", "Origin": "http://localhost"}
    visitor.client.post(PATH, data={"csrf_token": token, "user_name": "nora"}, headers=headers)
    [(_, text)] = read_mail()
    assert link_in(text)
    assert "evil" not in text


@pytest.mark.usefixtures("read_mail")
def test_requests_are_limited_by_address(visitor: Visitor) -> None:
    page = visitor.open(PATH)
    answers = [visitor.send(page, "forgotten", {"user_name": f"name {at}"}).status_code for at in range(21)]
    assert (answers[:20], answers[20]) == ([200] * 20, 429)


def test_without_a_mail_server_there_is_no_such_page(visitor: Visitor) -> None:
    assert PATH not in visitor.open("/login").text
    assert visitor.open(PATH).status_code == 404
    token = forms_of(visitor.open("/login")).forms["/login"]["csrf_token"]
    assert visitor.client.post(PATH, data={"csrf_token": token, "user_name": "admin"}).status_code == 404


@pytest.mark.usefixtures("read_mail")
def test_another_site_cannot_ask(visitor: Visitor) -> None:
    assert visitor.client.post(PATH, data={"user_name": "admin"}).status_code == 400
