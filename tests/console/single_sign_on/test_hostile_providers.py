"""Providers that answer wrongly, or not at all: a page says so, and nobody is signed in."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from sqlalchemy import text

from changegate.extensions import db
from demo_idp import create_app, sign_on
from demo_idp.exchange import Changegate
from demo_idp.provider import Fault
from tests.conftest import BASE_URL
from tests.console.single_sign_on.conftest import ALIAS, NADIA, SignOnDesk, Window
from tests.demo_idp.servers import served

TOKEN, METADATA = "/token", "/.well-known/openid-configuration"
Hostile = dict[str, Callable[[], Any]]


@pytest.fixture
def hostile(desk: SignOnDesk) -> Iterator[Hostile]:
    """Let the provider of the application be one whose answers a test replaces, by path."""
    answers: Hostile = {}

    def make_idp(url: str) -> Flask:
        app = create_app(base_url=url, changegate=Changegate(BASE_URL), now=desk.app.config["CLOCK"])

        @app.before_request
        def answered() -> Any:
            return answers[request.path]() if request.path in answers else None

        answers["app"] = lambda: app
        return app

    with served(make_idp) as url:
        desk.update("oidc_provider_configuration", desk.provider, issuer=url, create_users="true")
        yield answers


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda: jsonify(access_token="x", token_type="Bearer"), 403),
        (lambda: jsonify(access_token="x", token_type="Bearer", id_token=7), 403),
        (lambda: jsonify(access_token="x", token_type="Bearer", id_token="not a token"), 403),
        (lambda: jsonify(access_token="x", token_type="Bearer", id_token="a.b.c"), 403),
        (lambda: jsonify([]), 403),
        (lambda: jsonify({}), 403),
        (lambda: jsonify(error={"a": 1}), 403),
        (lambda: (jsonify(error="invalid_client", error_description="wrong\x00\x1b secret"), 401), 403),
        (lambda: Response("{", content_type="application/json"), 403),
        (lambda: Response("<html>", content_type="text/html"), 503),
        (lambda: Response("x" * 300_000, content_type="application/json"), 503),
        (lambda: Response(status=302, headers={"Location": "http://169.254.169.254/"}), 503),
        (lambda: (jsonify(error="server_error"), 500), 503),
        (lambda: Response(b"\xff", content_type="application/json"), 403),
    ],
)
def test_a_wrong_answer_of_the_token_endpoint_is_refused(
    hostile: Hostile, window: Window, answer: Callable[[], Any], status: int
) -> None:
    hostile[TOKEN] = answer
    page = window.sign_on(NADIA)
    assert page.status_code == status, page.text
    assert "Correlation ID" in page.text
    assert window.name is None


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.EMPTY, Fault.MALFORMED, Fault.OVERSIZED, Fault.REDIRECT])
def test_a_key_set_with_a_fault_is_refused(hostile: Hostile, desk: SignOnDesk, window: Window, fault: Fault) -> None:
    hostile["app"]().extensions["workbench"].provider.switch(fault)
    assert window.sign_on(NADIA).status_code == 503
    assert desk.last_event().reason == "sign_on_unavailable"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"sub": "x" * 256}, 403),
        ({"preferred_username": "x" * 41}, 403),
        ({"preferred_username": "a:b"}, 403),
        ({"preferred_username": "a\nb"}, 403),
        ({"preferred_username": {"a": 1}}, 403),
        ({"preferred_username": "Admin "}, 403),
        ({"name": ["x"], "email": {"a": "b"}, "groups": {"engineers": True}}, 302),
        ({"name": "x" * 200, "email": "x" * 200, "groups": "engineers"}, 302),
        ({"email_verified": "true", "groups": [["engineers"], 7, None]}, 302),
    ],
)
def test_claims_of_any_kind_make_no_wrong_user(
    hostile: Hostile,
    desk: SignOnDesk,
    window: Window,
    monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, Any],
    status: int,
) -> None:
    assert hostile
    desk.map("engineers", role="itil")
    person = {"sub": NADIA, "preferred_username": "nadia", "name": "Nadia", "email": "n@example.com", **claims}
    monkeypatch.setattr(sign_on, "PEOPLE", (person,))
    answer = window.sign_on(person["sub"])
    assert answer.status_code == status, answer.text
    if status == 302:
        made = desk.user("nadia")
        assert not made.email_verified
        assert desk.roles(made.sys_id) == ({"itil"} if claims["groups"] == "engineers" else set())
    else:
        assert desk.last_event().reason in ("sign_on_token_refused", "sign_on_name_missing", "sign_on_name_taken")
        assert window.name is None and desk.user("nadia") is None


@pytest.mark.parametrize("planted", [{"end_session_endpoint": None}, None], ids=["without a logout", "away"])
def test_logging_out_works_without_the_provider(
    hostile: Hostile, desk: SignOnDesk, window: Window, planted: dict[str, Any] | None
) -> None:
    window.sign_on(NADIA)
    desk.app.extensions["sign_on_metadata"].clear()
    app = hostile["app"]()

    def changed() -> Any:
        issuer = app.extensions["workbench"].provider.issuer
        endpoints = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        return {"issuer": issuer, **dict.fromkeys(endpoints, f"{issuer}/x"), **planted} if planted else ("", 500)

    hostile[METADATA] = changed
    assert window.send(window.open("/"), "/logout").location == "/login"
    assert window.name is None


def test_a_secret_of_another_instance_is_reported(desk: SignOnDesk, window: Window) -> None:
    with desk.app.app_context():
        db.session.execute(text("UPDATE oidc_provider_configuration SET client_secret = 's1.AAAA'"))
        db.session.commit()
    page = window.send(window.open("/login"), f"/single-sign-on/{ALIAS}")
    assert (page.status_code, desk.last_event().reason) == (503, "sign_on_unavailable")
    assert "another secret key" in desk.last_event().detail
