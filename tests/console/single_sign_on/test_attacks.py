"""Attacks on signing in with an identity provider."""

from urllib.parse import urlencode

import pytest
import requests
from flask import Flask, Response
from sqlalchemy import text

from changegate.extensions import db
from changegate.failure_limit import FAILURES_PER_MINUTE
from changegate.services.single_sign_on.attempts import ATTEMPT_LIFETIME
from demo_idp import create_app
from demo_idp.exchange import Changegate
from demo_idp.sign_on import ATTACKS
from tests.conftest import BASE_URL
from tests.console.conftest import PASSWORD
from tests.console.single_sign_on.conftest import ALIAS, CALLBACK, MARIA, TOM, SignOnDesk, Window, query_of, way_of
from tests.console.visitor import forms_of
from tests.demo_idp.servers import served

COOKIE = "changegate_sign_on"
REASONS = {
    "wrong-nonce": "nonce_mismatch",
    "other-party": "azp_mismatch",
    "forged-key": "signature_invalid",
    "tampered": "signature_invalid",
    "embedded-key": "kid_unknown",
    "unsigned": "assertion_not_compact_jws",
    "confused-algorithm": "alg_not_allowed",
    "wrong-issuer": "iss_mismatch",
    "wrong-audience": "aud_mismatch",
    "no-expiry": "exp_missing",
    "foreign-key": "kid_unknown",
    "clock-ahead": "iat_invalid",
    "clock-behind": "expired",
    "long-lifetime": "lifetime_too_long",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_wrong_id_token_is_refused(desk: SignOnDesk, window: Window, attack: str) -> None:
    page = window.sign_on(MARIA, attack)
    event = desk.last_event()
    assert (page.status_code, event.reason) == (403, "sign_on_token_refused")
    assert f"({REASONS[attack]})" in event.detail
    assert REASONS[attack] not in page.text
    assert window.name is None


def test_an_answer_counts_only_in_the_browser_that_began(
    desk: SignOnDesk, window: Window, other_window: Window
) -> None:
    """Login CSRF: the attacker's answer in the victim's browser."""
    answer = window.answer_of(window.begin())
    assert other_window.come_back(answer).status_code == 400
    other_window.begin()
    assert other_window.come_back(answer).status_code == 400
    assert desk.last_event().reason == "sign_on_outdated"
    assert other_window.name is None


@pytest.mark.parametrize("state", ["", "x", "é", "\ud800"])
def test_an_answer_with_another_state_is_refused(window: Window, state: str) -> None:
    answer = query_of(window.answer_of(window.begin()))
    query = urlencode({**answer, "state": state}, errors="surrogatepass")
    assert window.open(f"{CALLBACK}?{query}").status_code == 400
    assert window.name is None


def test_an_answer_is_used_once(desk: SignOnDesk, window: Window) -> None:
    address = window.begin()
    cookie = window.client.get_cookie(COOKIE, path="/single-sign-on")
    answer = window.answer_of(address)
    assert window.come_back(answer).status_code == 302
    assert window.client.get_cookie(COOKIE, path="/single-sign-on") is None

    thief = Window(desk.app.test_client())
    thief.client.set_cookie(COOKIE, cookie.value, path="/single-sign-on", domain="localhost")
    assert thief.come_back(answer).status_code == 403
    assert desk.last_event().reason == "sign_on_code_refused"
    assert thief.name is None


def test_a_second_code_for_the_same_sign_in_is_refused(desk: SignOnDesk, window: Window) -> None:
    address = window.begin()
    cookie = window.client.get_cookie(COOKIE, path="/single-sign-on")
    assert window.come_back(window.answer_of(address)).status_code == 302
    thief = Window(desk.app.test_client())
    thief.client.set_cookie(COOKIE, cookie.value, path="/single-sign-on", domain="localhost")
    assert thief.come_back(thief.answer_of(address)).status_code == 400
    assert desk.last_event().reason == "sign_on_used"
    assert thief.name is None


def test_a_sign_in_expires(desk: SignOnDesk, window: Window) -> None:
    address = window.begin()
    desk.app.config["CLOCK"].advance(seconds=ATTEMPT_LIFETIME.total_seconds() + 1)
    assert window.come_back(window.answer_of(address)).status_code == 400


@pytest.mark.parametrize("cookie", ["", "x", "s1.", "s1.AAAA", "é"])
def test_a_made_up_cookie_is_refused(window: Window, cookie: str) -> None:
    answer = window.answer_of(window.begin())
    window.client.set_cookie(COOKIE, cookie, path="/single-sign-on")
    assert window.come_back(answer).status_code == 400


def test_the_cookie_shows_nothing_and_is_out_of_reach(window: Window) -> None:
    page = window.send(window.open("/login"), f"/single-sign-on/{ALIAS}")
    header = page.headers["Set-Cookie"]
    for part in (f"{COOKIE}=s1.", "HttpOnly", "SameSite=Lax", "Secure", "Path=/single-sign-on", "Max-Age=600"):
        assert part in header
    assert "verifier" not in header and "nonce" not in header


def test_an_answer_of_another_issuer_is_refused(desk: SignOnDesk, window: Window) -> None:
    """Mix-up (RFC 9207): another provider's code would be sent to this one's token endpoint."""
    answer = query_of(window.answer_of(window.begin()))
    for changed in ({"iss": "https://another.example.com"}, {"iss": f"{desk.idp}/"}):
        assert window.open(f"{CALLBACK}?{urlencode({**answer, **changed})}").status_code == 400
        assert desk.last_event().reason == "sign_on_mixed_up"
        answer = query_of(window.answer_of(window.begin()))
    del answer["iss"]
    assert window.open(f"{CALLBACK}?{urlencode(answer)}").status_code == 400
    assert desk.last_event().reason == "sign_on_mixed_up"


def test_each_provider_has_an_address_of_its_own(app: Flask, desk: SignOnDesk, window: Window) -> None:
    with served(lambda url: create_app(base_url=url, changegate=Changegate(BASE_URL))) as evil:
        desk.create("oidc_provider_configuration", name="Evil", alias="evil", issuer=evil, client_id="change-desk")
        answer = window.answer_of(window.begin())
        mixed = answer.replace(CALLBACK, "/single-sign-on/evil/callback")
        assert window.come_back(mixed).status_code == 400
        assert desk.last_event().reason == "sign_on_mixed_up"
        # The other provider cannot speak for maria's account, although it names the same subject.
        page = window.send(window.open("/login"), "/single-sign-on/evil")
        way = way_of(page)
        assert window.come_back(window.answer_of(way, MARIA)).status_code == 403
        assert desk.last_event().reason == "sign_on_unlinked"


@pytest.mark.parametrize(
    "target", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "javascript:alert(1)"]
)
def test_nobody_is_sent_to_another_site(window: Window, target: str) -> None:
    page = window.send(window.open("/login?next=/calendar"), f"/single-sign-on/{ALIAS}", {"next": target})
    way = way_of(page)
    assert window.come_back(window.answer_of(way)).location == "/"


def test_a_sign_in_begins_a_new_session(desk: SignOnDesk, window: Window) -> None:
    """Session fixation: nothing that was in the session before survives, and its token is another one."""
    with window.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    window.sign_on()
    with window.client.session_transaction() as session:
        assert "planted" not in session
        former = session["session_token"]
    window.come_back(window.answer_of(_begin_again(desk, window)))
    with window.client.session_transaction() as session:
        assert session["session_token"] != former


def _begin_again(desk: SignOnDesk, window: Window) -> str:
    token = forms_of(window.open("/")).forms["/logout"]["csrf_token"]
    page = window.client.post(f"/single-sign-on/{ALIAS}", data={"csrf_token": token})
    return way_of(page)


def test_another_site_cannot_begin_a_sign_in(window: Window) -> None:
    assert window.client.post(f"/single-sign-on/{ALIAS}").status_code == 400
    assert window.open(f"/single-sign-on/{ALIAS}").status_code == 405


def test_a_code_is_exchanged_only_with_the_verifier_of_the_browser(desk: SignOnDesk, window: Window) -> None:
    """A stolen code is of no use in the attacker's own sign-in (PKCE)."""
    stolen = query_of(window.answer_of(window.begin()))["code"]
    attacker = Window(desk.app.test_client())
    own = query_of(attacker.begin())
    query = urlencode({"state": own["state"], "iss": desk.idp, "code": stolen})
    assert attacker.open(f"{CALLBACK}?{query}").status_code == 403
    assert "PKCE" in desk.last_event().detail
    assert attacker.name is None


def test_codes_are_not_guessed_without_end(desk: SignOnDesk, window: Window) -> None:
    for _ in range(FAILURES_PER_MINUTE.amount):
        state = query_of(window.begin())["state"]
        assert (
            window.open(f"{CALLBACK}?{urlencode({'state': state, 'iss': desk.idp, 'code': 'guess'})}").status_code
            == 403
        )
    page = window.send(window.open("/login"), f"/single-sign-on/{ALIAS}")
    assert page.status_code == 429
    assert window.sign_in("maria", PASSWORD).location == "/"


def test_endpoints_are_fetched_under_the_rules_for_fetches(desk: SignOnDesk, window: Window) -> None:
    """A provider cannot make this server fetch from elsewhere, nor send browsers to a script."""

    def make_idp(url: str) -> Flask:
        app = create_app(base_url=url, changegate=Changegate(BASE_URL))

        @app.after_request
        def changed(response: Response) -> Response:
            response.data = app.json.dumps(response.get_json() | planted)
            return response

        return app

    for planted in (
        {"token_endpoint": "http://169.254.169.254/latest"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"end_session_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"token_endpoint": 7},
    ):
        with served(make_idp) as url:
            desk.update("oidc_provider_configuration", desk.provider, issuer=url)
            page = window.send(window.open("/login"), f"/single-sign-on/{ALIAS}")
            assert page.status_code == 503, planted
            assert desk.last_event().reason == "sign_on_unavailable"


def test_no_secret_code_or_token_is_logged_or_shown(
    desk: SignOnDesk, window: Window, caplog: pytest.LogCaptureFixture
) -> None:
    desk.update("oidc_provider_configuration", desk.provider, client_secret="very secret indeed")
    answers = [window.answer_of(window.begin(), MARIA, attack) for attack in ("forged-key",)]
    pages = [window.come_back(answer).text for answer in answers]
    event = desk.last_event()
    texts = [*pages, caplog.text, str(event.detail), str(event.request)]
    for secret in ("very secret indeed", query_of(answers[0])["code"], "eyJ"):
        assert not [text for text in texts if secret in text]


def test_the_stored_secret_is_encrypted_and_sent_to_the_provider_only(desk: SignOnDesk, window: Window) -> None:
    desk.update("oidc_provider_configuration", desk.provider, client_secret="very secret indeed")
    with desk.app.app_context():
        stored = db.session.execute(text("SELECT client_secret FROM oidc_provider_configuration")).scalar_one()
    assert stored.startswith("s1.") and "secret" not in stored
    assert window.sign_on().status_code == 302
    admin = Window(desk.app.test_client())
    admin.sign_in("admin", PASSWORD)
    assert "very secret indeed" not in admin.open(f"/records/oidc_provider_configuration/{desk.provider}").text


def test_the_provider_refuses_other_redirect_uris(desk: SignOnDesk, window: Window) -> None:
    asked = {**query_of(window.begin()), "redirect_uri": "https://evil.example.com/callback"}
    assert requests.get(f"{desk.idp}/authorize", params=asked, timeout=60).status_code == 400


def test_an_account_is_linked_only_after_the_password(desk: SignOnDesk, window: Window) -> None:
    desk.add_user("tom", "itil")
    window.sign_in("tom", PASSWORD)
    fields = {"provider": ALIAS, "current_password": "wrong"}
    page = window.send(window.open("/preferences/single-sign-on"), "link", fields)
    assert (page.status_code, "not your current password" in page.text) == (400, True)


def test_an_account_is_linked_only_to_the_user_who_began(desk: SignOnDesk, window: Window) -> None:
    """A link that the attacker has begun does not give them the victim's user."""
    for name in ("tom", "eve"):
        desk.add_user(name, "itil")
    window.sign_in("tom", PASSWORD)
    fields = {"provider": ALIAS, "current_password": PASSWORD}
    page = window.send(window.open("/preferences/single-sign-on"), "link", fields)
    way = way_of(page)
    window.send(window.open("/"), "/logout")
    window.sign_in("eve", PASSWORD)
    assert window.come_back(window.answer_of(way, TOM)).status_code == 400
    assert desk.last_event().reason == "sign_on_outdated"


def test_an_account_of_another_user_cannot_be_linked(desk: SignOnDesk, window: Window) -> None:
    desk.add_user("tom", "itil")
    window.sign_in("tom", PASSWORD)
    fields = {"provider": ALIAS, "current_password": PASSWORD}
    page = window.send(window.open("/preferences/single-sign-on"), "link", fields)
    way = way_of(page)
    assert window.come_back(window.answer_of(way, MARIA)).status_code == 409
    assert desk.last_event().reason == "sign_on_linked_elsewhere"
