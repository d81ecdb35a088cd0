"""Signing in with an identity provider."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from changegate.console.single_sign_on import COOKIE
from changegate.extensions import db
from changegate.models import SysUser, SysUserIdentity
from changegate.services.single_sign_on import people, sign_in
from changegate.services.single_sign_on.exchange import exchange_code
from changegate.services.single_sign_on.providers import PATH
from tests.conftest import BASE_URL, Clock
from tests.console.conftest import PASSWORD
from tests.console.single_sign_on.conftest import (
    CALLBACK,
    MARIA,
    NADIA,
    OMAR,
    TOM,
    SignOnDesk,
    Window,
    opened,
    query_of,
    way_of,
)
from tests.console.visitor import forms_of


def test_signs_in_the_user_whose_account_is_linked(desk: SignOnDesk, window: Window) -> None:
    answer = window.sign_on()
    assert (answer.status_code, answer.location) == (302, "/")
    assert window.name == "maria"
    assert desk.user("maria").user_password  # the password still works, too


def test_asks_by_authorization_code_with_pkce_state_and_nonce(window: Window) -> None:
    asked = query_of(window.begin())
    assert asked["response_type"] == "code"
    assert (asked["client_id"], asked["redirect_uri"]) == ("change-desk", f"{BASE_URL}{CALLBACK}")
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["code_challenge"], asked["state"], asked["nonce"]}) == 3
    assert asked.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }


def test_returns_to_the_requested_page(window: Window) -> None:
    asked = window.open("/change-requests?state=-5").location
    assert window.sign_on(path=asked).location == "/change-requests?state=-5"


def test_a_password_works_beside_it(window: Window) -> None:
    assert window.sign_in("maria", PASSWORD).location == "/"


def test_an_account_that_is_not_linked_is_refused_with_what_to_do(desk: SignOnDesk, window: Window) -> None:
    desk.add_user("tom.okafor", "itil")
    page = window.sign_on(TOM)
    assert page.status_code == 403
    assert "not linked to a user" in page.text and "log in with it and link the account" in page.text
    assert window.name is None
    event = desk.last_event()
    assert (event.reason, event.detail) == ("sign_on_unlinked", f"subject {TOM}")
    assert event.correlation_id in page.text


def test_creates_a_user_where_the_provider_may(desk: SignOnDesk, window: Window, other_window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    assert window.sign_on(NADIA).location == "/"
    assert window.name == "nadia.berg"
    made = desk.user("nadia.berg")
    assert (made.name, made.email, made.email_verified) == ("Nadia Berg", "nadia.berg@example.com", True)
    assert made.user_password is None and desk.roles(made.sys_id) == set()
    other_window.sign_on(NADIA)
    assert desk.user("nadia.berg").sys_id == made.sys_id


def test_an_email_is_verified_only_if_the_provider_says_so(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    window.sign_on(OMAR)
    assert (desk.user("omar.haddad").email, desk.user("omar.haddad").email_verified) == (
        "omar.haddad@example.com",
        False,
    )


def test_a_new_user_never_gets_an_existing_name(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    desk.add_user("Nadia.Berg", "admin")
    page = window.sign_on(NADIA)
    assert (page.status_code, desk.last_event().reason) == (403, "sign_on_name_taken")
    assert window.name is None


def test_a_new_user_never_gets_a_former_user_id(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    for user_name in ("Nadia.Berg", "maria"):
        desk.update("sys_user", desk.records["maria"], user_name=user_name)
    assert (window.sign_on(NADIA).status_code, desk.last_event().reason) == (403, "sign_on_name_taken")


@pytest.mark.parametrize("field", ["name", "user_name"])
@pytest.mark.parametrize("text", ["nadia.berg", "Nadia Berg"])
def test_a_new_user_is_not_taken_for_another_in_references(
    desk: SignOnDesk, window: Window, field: str, text: str
) -> None:
    """References take names and user IDs."""
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    desk.update("sys_user", desk.records["maria"], **{field: text})
    page = window.sign_on(NADIA)
    if text == "nadia.berg":
        assert (page.status_code, desk.last_event().reason) == (403, "sign_on_name_taken")
    else:
        assert desk.user("nadia.berg").name == "Nadia Berg (nadia.berg)"


def test_a_new_user_is_told_apart_from_another_of_the_same_full_name(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    desk.update("sys_user", desk.records["maria"], name="NADIA berg")
    window.sign_on(NADIA)
    assert desk.user("nadia.berg").name == "Nadia Berg (nadia.berg)"


def test_no_user_is_made_without_a_usable_name(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, create_users="true", user_name_claim="groups")
    assert window.sign_on(NADIA).status_code == 403
    assert desk.last_event().reason == "sign_on_name_missing"


def test_nobody_is_found_by_email_or_name(desk: SignOnDesk, window: Window) -> None:
    tom = desk.add_user("tom.okafor", "itil")
    desk.update("sys_user", tom, email="tom.okafor@example.com", email_verified="true")
    assert window.sign_on(TOM).status_code == 403


def test_an_identity_of_another_issuer_does_not_count(desk: SignOnDesk, window: Window) -> None:
    desk.link(desk.add_user("tom", "itil"), TOM, issuer="https://another.example.com")
    assert window.sign_on(TOM).status_code == 403


def test_an_account_that_is_linked_to_two_users_is_refused(desk: SignOnDesk, window: Window) -> None:
    desk.link(desk.add_user("tom", "itil"), MARIA)
    assert window.sign_on(MARIA).status_code == 403
    assert desk.last_event().reason == "sign_on_ambiguous"


def test_users_who_may_not_sign_in_are_refused(desk: SignOnDesk, window: Window) -> None:
    for field, reason in (
        ("locked_out", "user_locked"),
        ("web_service_access_only", "user_web_service_only"),
    ):
        desk.update("sys_user", desk.records["maria"], **{field: "true"})
        assert window.sign_on().status_code == 403
        assert desk.last_event().reason == reason
        desk.update("sys_user", desk.records["maria"], **{field: "false"})
    desk.update("sys_user", desk.records["maria"], active="false")
    assert window.sign_on().status_code == 403
    assert (desk.last_event().reason, desk.last_event().subject) == ("user_inactive", "maria")


def test_a_canceled_sign_in_says_so(desk: SignOnDesk, window: Window) -> None:
    page = window.sign_on("")
    assert (page.status_code, desk.last_event().reason) == (403, "sign_on_declined")
    assert "access_denied" in desk.last_event().detail


def test_logging_out_goes_on_to_the_provider(desk: SignOnDesk, window: Window) -> None:
    window.sign_on()
    page = window.send(window.open("/"), "/logout")
    address = way_of(page)
    assert address.startswith(f"{desk.idp}/end-session?")
    assert query_of(address) == {"client_id": "change-desk", "post_logout_redirect_uri": f"{BASE_URL}/login"}
    assert window.name is None


def test_logging_out_of_a_session_by_password_stays_here(window: Window) -> None:
    window.sign_in("maria", PASSWORD)
    assert window.send(window.open("/"), "/logout").location == "/login"


def test_sessions_end_with_the_provider_and_with_the_link(desk: SignOnDesk, window: Window) -> None:
    window.sign_on()
    desk.update("oidc_provider_configuration", desk.provider, active="false")
    assert window.name is None
    assert "Demo IdP" not in window.open("/login").text
    desk.update("oidc_provider_configuration", desk.provider, active="true")
    desk.link(desk.add_user("nadia", "itil"), NADIA)
    window.sign_on(NADIA)
    assert window.name == "nadia"
    (identity,) = _identities(desk, NADIA)
    desk.delete("sys_user_identity", identity)
    assert window.name is None


def test_people_sign_in_on_both_databases(either_sign_on_desk: SignOnDesk) -> None:
    desk = either_sign_on_desk
    desk.update("oidc_provider_configuration", desk.provider, create_users="true")
    desk.map("engineers", role="itil")
    window, thief = (Window(desk.app.test_client()) for _ in range(2))
    address = window.begin()
    cookie = window.client.get_cookie(COOKIE, path=PATH)
    assert window.come_back(window.answer_of(address, NADIA)).status_code == 302
    assert (window.name, desk.roles(desk.user("nadia.berg").sys_id)) == ("nadia.berg", {"itil"})
    thief.client.set_cookie(COOKIE, cookie.value, path=PATH)
    assert thief.come_back(thief.answer_of(address, NADIA)).status_code == 400
    assert desk.last_event().reason == "sign_on_used"
    desk.delete("oidc_provider_configuration", desk.provider)
    assert (window.name, desk.roles(desk.user("nadia.berg").sys_id)) == (None, set())


def test_a_provider_that_is_away_leaves_the_password(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, issuer="http://127.0.0.1:9")
    page = window.send(window.open("/login"), "/single-sign-on/demo")
    assert page.status_code == 503
    assert "log in with a password" in page.text
    assert window.sign_in("maria", PASSWORD).location == "/"


def test_an_unknown_or_inactive_provider_is_not_found(desk: SignOnDesk, window: Window) -> None:
    token = forms_of(window.open("/login")).forms["/login"]["csrf_token"]
    assert window.client.post("/single-sign-on/nothing", data={"csrf_token": token}).status_code == 404
    address = window.begin()
    desk.update("oidc_provider_configuration", desk.provider, active="false")
    assert window.come_back(window.answer_of(address)).status_code == 404


@pytest.mark.parametrize("changed", [{"active": "false"}, {"issuer": "http://127.0.0.1:9"}, {}])
def test_no_session_begins_with_a_provider_that_ends_during_the_sign_in(
    either_sign_on_desk: SignOnDesk, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    desk = either_sign_on_desk
    window = Window(desk.app.test_client())

    def end_meanwhile(*exchange: Any) -> Any:
        verified = exchange_code(*exchange)
        if changed:
            desk.update("oidc_provider_configuration", desk.provider, **changed)
        else:
            desk.delete("oidc_provider_configuration", desk.provider)
        return verified

    monkeypatch.setattr(sign_in, "exchange_code", end_meanwhile)
    answer = window.sign_on()
    assert (answer.status_code, window.name) == (404, None)


def test_the_user_is_held_until_the_session_has_begun(
    allowed_loopback: None, postgres_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def lock_out_meanwhile(*_: object) -> None:
        one = select(SysUser.sys_id).filter_by(user_name="maria")
        try:
            with db.engine.connect() as other:
                other.execute(one.with_for_update(key_share=True, nowait=True))
        except OperationalError as problem:
            refused.append(type(problem.orig).__name__)

    monkeypatch.setattr(people, "apply_mappings", lock_out_meanwhile)
    postgres_app.config["CLOCK"] = Clock()
    with opened(postgres_app) as desk:
        window = Window(desk.app.test_client())
        assert window.sign_on().status_code == 302
    assert refused == ["LockNotAvailable"]


def test_a_user_who_is_deleted_during_the_sign_in_is_refused(
    desk: SignOnDesk, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_users_of", lambda _: ["0" * 32])
    assert (window.sign_on().status_code, window.name) == (403, None)
    assert desk.last_event().reason == "sign_on_unlinked"


def _identities(desk: SignOnDesk, subject: str) -> list[str]:
    with desk.app.app_context():
        return list(db.session.execute(select(SysUserIdentity.sys_id).filter_by(subject=subject)).scalars())
