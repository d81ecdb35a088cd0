"""Links for a password: they work once, in time, for one account, and show their secret nowhere else."""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.cli.instance import working_on
from changegate.database import connection
from changegate.extensions import db
from changegate.models import AccountLink, SysAudit, SysUser
from changegate.services.users.account_links import FORGOTTEN, INVITATION, LIFETIMES, RESET, create_link
from tests.conftest import BASE_URL, Clock
from tests.console.conftest import PASSWORD
from tests.console.people.conftest import (
    NEW_PASSWORD,
    ReadMail,
    add_user,
    can_sign_in,
    link_in,
    make_link,
    page_of,
    set_password,
    sys_id_of,
    user_of,
)
from tests.console.visitor import Changes, Visitor
from tests.support.jobs import run_due_jobs

INVITED: Changes = {"first_name": "Nora", "last_name": "Berg", "user_name": "nora", "email": "nora@example.com"}


def invite(admin: Visitor, **changes: str | list[str]) -> str:
    """Invite Nora, and return the text of the page that follows."""
    answer = admin.send(admin.open("/people/invite"), "invitation", {**INVITED, **changes})
    assert answer.status_code in {200, 302}, answer.text
    return answer.text


@pytest.fixture
def nora(app: Flask) -> str:
    return add_user(app, "nora", "itil", email="nora@example.com")


def test_an_invited_person_chooses_a_password_and_logs_in(app: Flask, admin: Visitor, visitor: Visitor) -> None:
    path = link_in(invite(admin, role=["itil", "sn_change_read"], group="CAB Approval"))
    page = visitor.open(path)
    assert "Choose a password for the account" in page.text
    assert "Nora Berg" in page.text
    answer = set_password(visitor, path)
    assert answer.location == "/login"
    assert "Your password is set." in visitor.open("/login").text
    assert can_sign_in(app, "nora", NEW_PASSWORD)
    record = admin.open(page_of("sys_user", sys_id_of(app, "nora"))).text
    assert all(text in record for text in (">itil</a>", ">sn_change_read</a>", ">CAB Approval</a>"))


def test_a_link_works_once(app: Flask, admin: Visitor, visitor: Visitor, nora: str) -> None:
    path = make_link(admin, nora)
    # Opening it does nothing, as a mail program may do before its reader.
    assert [visitor.open(path).status_code for _ in range(2)] == [200, 200]
    assert set_password(visitor, path).status_code == 302
    assert set_password(Visitor(app.test_client()), path).status_code == 410
    page = visitor.open(path)
    assert "The link was used or replaced, or it has expired. Ask for a new one." in page.text
    assert not can_sign_in(app, "nora", PASSWORD)


@pytest.mark.parametrize("purpose", [INVITATION, RESET, FORGOTTEN])
def test_a_link_expires(app: Flask, visitor: Visitor, nora: str, purpose: str) -> None:
    clock: Clock = app.config["CLOCK"]
    with app.app_context():
        path = create_link(nora, purpose).removeprefix(BASE_URL)
        db.session.commit()
    page = visitor.open(path)
    clock.offset = LIFETIMES[purpose]
    fields = {"new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD}
    assert visitor.send(page, "link", fields).status_code == 410
    assert visitor.open(path).status_code == 410
    run_due_jobs(app, "users.purge_links")
    with app.app_context():
        assert db.session.execute(select(AccountLink)).all() == []


def test_a_link_sets_the_password_of_its_own_account(app: Flask, admin: Visitor, nora: str) -> None:
    other = add_user(app, "other")
    path = make_link(admin, nora)
    make_link(admin, other)
    signed_in = Visitor(app.test_client())
    signed_in.sign_in("other", PASSWORD)
    page = signed_in.open(path)
    sent = {"user": other, "user_name": "other", "username": "other", "sys_id": other}
    fields = {"new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD, **sent}
    assert signed_in.send(page, "link", fields).status_code == 302
    assert can_sign_in(app, "other", PASSWORD)
    assert can_sign_in(app, "nora", NEW_PASSWORD)
    assert signed_in.open("/").status_code == 200


@pytest.mark.parametrize(
    ("new", "repeated", "problem"),
    [
        ("short", "short", "Enter at least 8 characters."),
        (NEW_PASSWORD, "else", "The passwords differ."),
        ("x" * 256, "x" * 256, "Enter at most 255 characters"),
        # What the API shows in place of a password, and does not take as one.
        ("********", "********", "not only asterisks"),
        ("with a \x00 null", "with a \x00 null", "without control characters"),
    ],
)
def test_a_bad_password_is_refused_and_the_link_stays(
    app: Flask, admin: Visitor, visitor: Visitor, nora: str, new: str, repeated: str, problem: str
) -> None:
    path = make_link(admin, nora)
    answer = set_password(visitor, path, new, repeated)
    assert (answer.status_code, problem in answer.text) == (400, True)
    assert can_sign_in(app, "nora", PASSWORD)
    assert set_password(visitor, path).status_code == 302


def test_a_new_password_ends_the_sessions_and_other_links_of_the_account(
    app: Flask, admin: Visitor, visitor: Visitor, nora: str
) -> None:
    elsewhere = Visitor(app.test_client())
    elsewhere.sign_in("nora", PASSWORD)
    with app.app_context():
        other = create_link(nora, FORGOTTEN).removeprefix(BASE_URL)
        db.session.commit()
    set_password(visitor, make_link(admin, nora))
    assert elsewhere.open("/").status_code == 302
    assert visitor.open(other).status_code == 410


def test_a_password_by_a_link_is_in_the_audit_trail_without_its_text(
    app: Flask, admin: Visitor, visitor: Visitor, nora: str
) -> None:
    set_password(visitor, make_link(admin, nora))
    with app.app_context():
        [row] = db.session.execute(select(SysAudit).filter_by(documentkey=nora, fieldname="user_password")).scalars()
        assert (row.user, row.oldvalue, row.newvalue) == ("nora", None, None)


@pytest.mark.parametrize("password", ["  with spaces around  ", "ünï¢ødé 密码 long", "x" * 255])
def test_a_password_is_taken_as_it_is(app: Flask, admin: Visitor, visitor: Visitor, nora: str, password: str) -> None:
    set_password(visitor, make_link(admin, nora), password)
    assert can_sign_in(app, "nora", password)


def test_a_newer_link_ends_the_older_one(admin: Visitor, visitor: Visitor, nora: str) -> None:
    older, newer = make_link(admin, nora), make_link(admin, nora)
    assert [visitor.open(path).status_code for path in (older, newer)] == [410, 200]


@pytest.mark.parametrize(
    "changes",
    [{"active": None}, {"locked_out": "true"}, {"email": "else@example.com"}, {"user_password": "set by an admin"}],
    ids=str,
)
def test_what_changes_an_account_ends_its_links(admin: Visitor, visitor: Visitor, nora: str, changes: Changes) -> None:
    path = make_link(admin, nora)
    assert admin.send(admin.open(page_of("sys_user", nora)), "record", changes).status_code == 302
    undone: Changes = {"active": "true", "locked_out": None}
    admin.send(admin.open(page_of("sys_user", nora)), "record", undone)
    assert visitor.open(path).status_code == 410


def test_other_changes_end_no_link(admin: Visitor, visitor: Visitor, nora: str) -> None:
    path = make_link(admin, nora)
    admin.send(admin.open(page_of("sys_user", nora)), "record", {"title": "Engineer"})
    assert visitor.open(path).status_code == 200


def test_guesses_of_secrets_are_limited(visitor: Visitor) -> None:
    answers = [visitor.open(f"/account-links/{'x' * 40}{at:03}").status_code for at in range(21)]
    assert (answers[0], answers[-1]) == (410, 429)


@pytest.mark.parametrize("secret", ["%00", "%F0%9F%98%80", "x" * 3000, "%ED%A0%80"])
def test_a_strange_secret_is_a_link_that_has_ended(visitor: Visitor, secret: str) -> None:
    assert visitor.open(f"/account-links/{secret}").status_code == 410


def test_no_request_of_the_page_names_its_path(admin: Visitor, visitor: Visitor, nora: str) -> None:
    headers = visitor.open(make_link(admin, nora)).headers
    assert headers["Referrer-Policy"] == "strict-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'self'" in headers["Content-Security-Policy"]


def test_a_password_is_set_over_tls_with_the_origin_as_the_referrer(
    admin: Visitor, visitor: Visitor, nora: str
) -> None:
    path = make_link(admin, nora)
    visitor.client.environ_base |= {"wsgi.url_scheme": "https", "HTTP_REFERER": "https://localhost/"}
    assert set_password(visitor, path).status_code == 302


def test_the_secret_is_in_no_log_table_or_event(
    app: Flask, admin: Visitor, visitor: Visitor, nora: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = make_link(admin, nora)
    secret = path.rpartition("/")[2]
    set_password(visitor, path, "short")
    set_password(visitor, path)
    visitor.open(path)
    assert secret not in caplog.text
    with working_on(app):
        stored = [row for table in db.metadata.sorted_tables for row in connection().execute(select(table)).all()]
    assert secret not in repr(stored)


def test_of_two_that_use_a_link_at_once_one_succeeds(either_app: Flask) -> None:
    user = add_user(either_app, "nora")
    with working_on(either_app):
        path = create_link(user, RESET).removeprefix(BASE_URL)
        db.session.commit()
    visitors = [Visitor(either_app.test_client()) for _ in range(2)]
    pages = [visitor.open(path) for visitor in visitors]
    barrier = Barrier(2)

    def use(at: int) -> int:
        barrier.wait()
        password = f"the password of {at}"
        return (
            visitors[at].send(pages[at], "link", {"new_password": password, "repeated_password": password}).status_code
        )

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(use, range(2)))
    assert sorted(answers) == [302, 410]
    [winner] = [at for at in range(2) if answers[at] == 302]
    assert can_sign_in(either_app, "nora", f"the password of {winner}")
    assert not can_sign_in(either_app, "nora", f"the password of {1 - winner}")


def test_an_invitation_by_mail_confirms_the_email(
    app: Flask, admin: Visitor, visitor: Visitor, read_mail: ReadMail
) -> None:
    invite(admin, send="on")
    [(address, text)] = read_mail()
    assert address == "nora@example.com"
    assert "Hello Nora Berg," in text
    assert not user_of(app, "nora").email_verified
    set_password(visitor, link_in(text))
    assert user_of(app, "nora").email_verified


def test_a_link_that_was_handed_over_confirms_no_email(app: Flask, admin: Visitor, visitor: Visitor) -> None:
    set_password(visitor, link_in(invite(admin)))
    assert not user_of(app, "nora").email_verified


def test_without_an_email_the_link_is_shown(admin: Visitor, read_mail: ReadMail) -> None:
    assert link_in(invite(admin, send="on", email=""))
    assert read_mail() == []


def test_a_link_is_shown_once(admin: Visitor, nora: str) -> None:
    path = make_link(admin, nora)
    page = admin.open(page_of("sys_user", nora)).text
    assert "a link works until" in page
    assert path not in page


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user_name": ""}, "Enter a user ID, such as maria.keller."),
        ({"user_name": "ADMIN"}, "There is a user with this user ID already."),
        ({"group": "Nobody"}, "There is no group “Nobody”."),
        ({"role": ["kings"]}, "no record of sys_user_role"),
        ({"time_zone": "Mars/Olympus"}, "There is no time zone"),
    ],
    ids=str,
)
def test_a_refused_invitation_creates_nobody(
    app: Flask, admin: Visitor, changes: dict[str, str | list[str]], problem: str
) -> None:
    answer = admin.send(admin.open("/people/invite"), "invitation", {**INVITED, "role": ["itil"], **changes})
    assert (answer.status_code, problem in answer.text) == (400, True), answer.text
    assert 'value="Nora"' in answer.text
    assert 'value="itil" checked' in answer.text or "role" in changes
    with app.app_context():
        assert db.session.execute(select(SysUser).filter_by(first_name="Nora")).first() is None


def test_an_account_without_a_password_is_invited_again(admin: Visitor, visitor: Visitor, app: Flask) -> None:
    invite(admin)
    page = admin.open(page_of("sys_user", sys_id_of(app, "nora")))
    assert "Show an invitation link" in page.text
    assert "Welcome to Changegate" in visitor.open(link_in(admin.send(page, "link").text)).text


def test_an_inactive_account_gets_no_link(admin: Visitor, nora: str) -> None:
    page = admin.open(page_of("sys_user", nora))
    admin.send(page, "deactivate", {"step": "deactivate"})
    assert admin.send(page, "link").status_code == 302
    answer = admin.open(page_of("sys_user", nora)).text
    assert "is inactive or locked out. Activate and unlock the account first." in answer
    assert 'id="link"' in answer
    assert "link for a new password" not in answer
