"""The profile: a person's own name and email, of which only a confirmed one counts."""

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysAudit, SysUser, SysUserIdentity
from changegate.models.sys_user import FORMER_EMAIL
from tests.console.conftest import PASSWORD, ROOT
from tests.console.people.conftest import ReadMail, add_user, link_in, sys_id_of, user_of
from tests.console.visitor import Visitor, forms_of

NEW = "tom.okafor@example.com"


@pytest.fixture
def tom(app: Flask) -> Visitor:
    add_user(app, "tom", email="tom@example.com")
    visitor = Visitor(app.test_client())
    visitor.sign_in("tom", PASSWORD)
    return visitor


def save(visitor: Visitor, **fields: str) -> TestResponse:
    return visitor.send(visitor.open("/preferences"), "preferences", dict(fields))


def change_email(visitor: Visitor, email: str = NEW, password: str = PASSWORD) -> TestResponse:
    return visitor.send(visitor.open("/preferences"), "email-form", {"email": email, "email_password": password})


def test_people_change_their_own_name_with_an_audit_trail(app: Flask, tom: Visitor) -> None:
    assert save(tom, name="Tom Okafor", first_name="Tom", last_name="Okafor").status_code == 302
    user = user_of(app, "tom")
    assert (user.name, user.first_name, user.last_name) == ("Tom Okafor", "Tom", "Okafor")
    with app.app_context():
        rows = db.session.execute(select(SysAudit).filter_by(documentkey=user.sys_id, fieldname="name")).scalars()
        assert [(row.user, row.newvalue) for row in rows] == [("tom", "Tom Okafor")]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "Enter the name by which others find you."),
        ({"name": "system administrator"}, "Another user has this name."),
        ({"name": "ADMIN"}, "Another user has this name."),
        ({"name": ROOT.sys_id}, "Another user has this name."),
        ({"name": "System  Administrator"}, "Another user has this name."),
        ({"name": "System\u00a0\uff21dministrator"}, "Another user has this name."),
        ({"name": "System Admini\u200bstrator"}, "characters that are not seen"),
        ({"name": "x" * 152}, "151"),
        ({"first_name": "a\x00b"}, "first_name"),
    ],
    ids=["empty", "taken", "user ID", "sys_id", "blanks", "full-width", "invisible", "long", "null"],
)
def test_a_bad_name_is_refused(app: Flask, tom: Visitor, fields: dict[str, str], problem: str) -> None:
    answer = save(tom, **fields)
    assert (answer.status_code, problem in answer.text) == (400, True), answer.text
    assert user_of(app, "tom").name == "tom"


def test_a_profile_writes_its_own_fields_only(app: Flask, tom: Visitor) -> None:
    page = tom.open("/preferences")
    sent = {**forms_of(page).forms["preferences"], "email": NEW, "email_verified": "true", "locked_out": "false"}
    sent |= {"employee_number": "1", "user_name": "root", "manager": sys_id_of(app, "admin"), "sys_id": "0" * 32}
    assert tom.client.post("/preferences", data=sent).status_code == 302
    user = user_of(app, "tom")
    assert (user.email, user.employee_number, user.manager) == ("tom@example.com", None, None)


def test_a_stale_profile_is_saved_on_the_second_press_only(app: Flask, tom: Visitor) -> None:
    page = tom.open("/preferences")
    save(tom, name="Tom Okafor")
    refused = tom.send(page, "preferences", {"name": "Thomas"})
    assert (refused.status_code, "has been changed since you opened the page" in refused.text) == (400, True)
    assert user_of(app, "tom").name == "Tom Okafor"
    assert tom.send(refused, "preferences").status_code == 302
    assert user_of(app, "tom").name == "Thomas"


def test_an_email_counts_when_the_person_has_confirmed_it(app: Flask, tom: Visitor, read_mail: ReadMail) -> None:
    assert change_email(tom).status_code == 302
    [(address, text)] = read_mail()
    assert address == NEW
    assert user_of(app, "tom").email == "tom@example.com"
    page = tom.open(link_in(text))
    assert NEW in page.text
    assert user_of(app, "tom").email == "tom@example.com"
    assert tom.send(page, "link").location == "/preferences"
    user = user_of(app, "tom")
    assert (user.email, user.email_verified) == (NEW, True)
    assert f"Your email is {NEW}." in tom.open("/preferences").text
    assert tom.open(link_in(text)).status_code == 410


def test_a_replaced_email_still_shows_who_its_user_is(app: Flask, tom: Visitor, read_mail: ReadMail) -> None:
    """Otherwise, Tom could approve changes of pipelines whose tokens name the email that Tom has replaced."""
    change_email(tom)
    [(_, text)] = read_mail()
    tom.send(tom.open(link_in(text)), "link")
    with app.app_context():
        rows = db.session.execute(select(SysUserIdentity).filter_by(user=sys_id_of(app, "tom"))).scalars()
        assert [(row.issuer, row.subject) for row in rows] == [(FORMER_EMAIL, "tom@example.com")]
    assert tom.client.get("/preferences").status_code == 200


def test_a_user_cannot_fill_the_mailbox_of_another_person(app: Flask, tom: Visitor, read_mail: ReadMail) -> None:
    assert change_email(tom).status_code == 302
    refused = change_email(tom, "other@example.com")
    assert (refused.status_code, "less than five minutes ago" in refused.text) == (400, True)
    app.config["CLOCK"].advance(minutes=5)
    assert change_email(tom).status_code == 302
    assert [address for address, _ in read_mail()] == [NEW, NEW]


def test_a_name_begins_no_text_of_its_own_in_a_mail(app: Flask, read_mail: ReadMail) -> None:
    add_user(app, "eve")
    with app.app_context():
        db.session.execute(update(SysUser).filter_by(user_name="eve").values(name="Eve,\n\nvisit evil.example"))
        db.session.commit()
    eve = Visitor(app.test_client())
    eve.sign_in("eve", PASSWORD)
    change_email(eve)
    [(_, text)] = read_mail()
    assert text.startswith("Hello Eve,\N{REPLACEMENT CHARACTER}")


def test_nobody_confirms_the_email_for_the_account_of_another_person(
    app: Flask, tom: Visitor, admin: Visitor, visitor: Visitor, read_mail: ReadMail
) -> None:
    """Who reads a mail that Tom had sent to them gives Tom's account their address neither by a click nor a login."""
    change_email(tom, "admin@example.com")
    [(_, text)] = read_mail()
    path = link_in(text)
    assert admin.send(admin.open(path), "link").status_code == 410
    asked = visitor.open(path)
    assert asked.status_code == 302
    assert asked.location.startswith("/login")
    token = forms_of(visitor.open("/login")).forms["/login"]["csrf_token"]
    assert visitor.client.post(path, data={"csrf_token": token}).status_code == 302
    assert user_of(app, "tom").email == "tom@example.com"


def test_the_link_of_an_email_sets_no_password(app: Flask, tom: Visitor, read_mail: ReadMail) -> None:
    change_email(tom)
    [(_, text)] = read_mail()
    page = tom.open(link_in(text))
    tom.send(page, "link", {"new_password": "another long one", "repeated_password": "another long one"})
    assert Visitor(app.test_client()).sign_in("tom", PASSWORD).status_code == 302


@pytest.mark.parametrize(
    ("email", "password", "problem"),
    [
        (NEW, "wrong", "This is not your current password."),
        ("", PASSWORD, "Enter an email address"),
        ("no address", PASSWORD, "Enter an email address"),
        ("a@b\r\nBcc: c@d", PASSWORD, "Enter an email address"),
        ("x" * 64 + "@" + "y" * 60, PASSWORD, "Enter an email address"),
    ],
)
def test_a_refused_email_sends_nothing(
    tom: Visitor, read_mail: ReadMail, email: str, password: str, problem: str
) -> None:
    answer = change_email(tom, email, password)
    assert (answer.status_code, problem in answer.text) == (400, True), answer.text
    assert read_mail() == []


@pytest.mark.usefixtures("read_mail")
def test_guesses_of_the_password_are_limited(tom: Visitor) -> None:
    answers = [change_email(tom, password=f"wrong {at}").status_code for at in range(21)]
    assert (answers[0], answers[-1]) == (400, 429)


def test_an_email_that_two_accounts_share_stays(app: Flask, tom: Visitor, read_mail: ReadMail) -> None:
    """It shows that the accounts belong to one person, who must not approve their own change by the second one."""
    change_email(tom)
    [(_, text)] = read_mail()
    add_user(app, "tom.second", email="TOM@example.com", is_verified=False)
    answer = change_email(tom)
    assert (answer.status_code, "Another account has the same email." in answer.text) == (400, True)
    # Nor by a link from before.
    page = tom.open(link_in(text))
    assert tom.send(page, "link").status_code == 302
    assert "Another account has the same email." in tom.open("/preferences").text
    with app.app_context():
        assert db.session.execute(select(SysUser.email).filter_by(user_name="tom")).scalar_one() == "tom@example.com"


def test_without_a_mail_server_an_administrator_changes_the_email(tom: Visitor) -> None:
    page = tom.open("/preferences")
    assert "An administrator changes it." in page.text
    sent = {"csrf_token": forms_of(page).forms["preferences"]["csrf_token"], "email": NEW, "email_password": PASSWORD}
    assert tom.client.post("/preferences/email", data=sent).status_code == 404
