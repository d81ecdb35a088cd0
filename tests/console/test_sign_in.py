"""Login and logout."""

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.failure_limit import FAILURES_PER_MINUTE
from changegate.models import SysUser
from changegate.services.users.accounts import get_user, set_password
from tests.conftest import Clock
from tests.console.conftest import PASSWORD, SignIn
from tests.console.visitor import Visitor, forms_of

COOKIE = "changegate_session"


def test_signs_in_and_goes_home(visitor: Visitor) -> None:
    answer = visitor.sign_in("admin", PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")
    assert "System Administrator" in visitor.open("/").text


def test_user_names_are_compared_without_case(visitor: Visitor) -> None:
    visitor.sign_in(" Admin ", PASSWORD)
    assert visitor.open("/").status_code == 200


@pytest.mark.parametrize(
    ("user_name", "password"),
    [("admin", "wrong"), ("nobody", PASSWORD), ("", ""), ("x" * 5000, PASSWORD), ("ad\0min", PASSWORD)],
)
def test_every_refused_login_has_the_same_message(visitor: Visitor, user_name: str, password: str) -> None:
    answer = visitor.sign_in(user_name, password)
    assert answer.status_code == 403
    assert "The user name or password is wrong" in answer.text
    assert visitor.open("/").location == "/login?next=/"


def test_keeps_the_user_name_of_a_refused_login_and_never_the_password(visitor: Visitor) -> None:
    page = visitor.sign_in("admin", "not the password")
    assert forms_of(page).forms["/login"]["user_name"] == "admin"
    assert "not the password" not in page.text


def test_a_login_returns_to_the_requested_page(visitor: Visitor) -> None:
    asked = visitor.open("/change-requests?state=-5")
    assert visitor.sign_in("admin", PASSWORD, asked.location).location == "/change-requests?state=-5"


def test_signed_in_users_do_not_see_the_login_form(admin: Visitor) -> None:
    assert admin.open("/login?next=/change-requests").location == "/change-requests"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.sign_in("admin", PASSWORD).headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" in cookie


def test_nothing_planted_before_the_login_survives_it(app: Flask, visitor: Visitor) -> None:
    token_before = forms_of(visitor.open("/login")).forms["/login"]["csrf_token"]
    with visitor.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    visitor.sign_in("admin", PASSWORD)
    with visitor.client.session_transaction() as session:
        assert "planted" not in session
    visitor.client.post("/logout", data={"csrf_token": token_before})
    assert "Nothing was done" in visitor.open("/").text


def test_logs_out(admin: Visitor) -> None:
    answer = admin.send(admin.open("/"), "/logout")
    assert answer.location == "/login"
    assert admin.open("/").location == "/login?next=/"


def test_a_link_cannot_log_a_user_out(admin: Visitor) -> None:
    assert admin.open("/logout").status_code == 405
    assert admin.open("/").status_code == 200


def test_too_many_wrong_passwords_have_to_wait(visitor: Visitor) -> None:
    for _ in range(FAILURES_PER_MINUTE.amount):
        visitor.sign_in("admin", "wrong")
    answer = visitor.sign_in("admin", PASSWORD)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Too many failed attempts" in answer.text


def test_failed_logins_of_one_user_do_not_lock_out_others(visitor: Visitor, sign_in: SignIn) -> None:
    for _ in range(FAILURES_PER_MINUTE.amount):
        visitor.sign_in("admin", "wrong")
    assert sign_in("tom.okafor").open("/").status_code == 200


def test_a_locked_user_is_out_at_the_next_page(app: Flask, sign_in: SignIn) -> None:
    tom = sign_in("tom.okafor", "itil")
    with app.app_context():
        get_user("tom.okafor").locked_out = True
        db.session.commit()
    assert tom.open("/").location == "/login?next=/"


def test_a_new_password_ends_the_sessions_of_the_old_one(app: Flask, sign_in: SignIn) -> None:
    tom = sign_in("tom.okafor", "itil")
    with app.app_context():
        set_password(get_user("tom.okafor"), "another long password")
        db.session.commit()
    assert tom.open("/").location == "/login?next=/"


def test_a_deleted_user_is_out_at_the_next_page(app: Flask, sign_in: SignIn) -> None:
    tom = sign_in("tom.okafor")
    with app.app_context():
        db.session.delete(get_user("tom.okafor"))
        db.session.commit()
    assert tom.open("/").location == "/login?next=/"


def test_a_session_ends_after_half_a_day(clock: Clock, admin: Visitor) -> None:
    clock.advance(hours=12, seconds=1)
    assert admin.open("/").location == "/login?next=/"


def test_machine_accounts_do_not_sign_in_here(app: Flask, visitor: Visitor, sign_in: SignIn) -> None:
    sign_in("release.bot")
    with app.app_context():
        user: SysUser = get_user("release.bot")
        user.web_service_access_only = True
        db.session.commit()
    assert visitor.sign_in("release.bot", PASSWORD).status_code == 403


def test_a_form_of_an_unknown_caller_has_a_size(visitor: Visitor, admin: Visitor) -> None:
    large = {"user_name": "a" * 65536}
    for path in ("/login", "/logout", "/inbound-integrations/new"):
        assert "Rejected large REST payload" in visitor.client.post(path, data=large).text
    # Administrators may paste a long key set.
    assert "CSRF token is missing" in admin.client.post("/logout", data=large).text
