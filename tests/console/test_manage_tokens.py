"""Manage Tokens: live tokens are listed and revoked, and a token is never shown."""

import re

import pytest
from flask import Flask

from tests.console.integrations.test_views import ATTACK
from tests.console.visitor import Visitor, forms_of
from tests.support.id_token_desk import read, register_id_token
from tests.support.statements import counted_statements
from tests.support.token_desk import ROBOT, Integration, TokenDesk

TOKENS = "/tokens"


@pytest.fixture
def pipeline(desk: TokenDesk) -> Integration:
    """Return an integration whose tokens may create changes."""
    return desk.register()


def ids_in(text: str) -> list[str]:
    """Return the correlation IDs that a list shows, in its order."""
    return re.findall(r'class="row-link" href="/inbound-integrations/events/([0-9a-f]{32})"', text)


def test_shows_that_there_are_no_tokens(admin: Visitor) -> None:
    assert "No integration has a token that works now." in admin.open(TOKENS).text


def test_lists_live_tokens_without_the_token(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    token = desk.token(pipeline, assertion=desk.assertion(sub=ATTACK))
    text = admin.open(TOKENS).text
    for shown in ("Pipeline", ROBOT, "change_request.create", '<span class="muted total">1</span>'):
        assert shown in text
    assert "https://ci.example.com" in admin.open(f"{TOKENS}?fields=sys_id,issuer").text
    assert token not in text and token[5:20] not in text
    assert "<script>alert" not in text
    assert ids_in(text) == [desk.events()[-1].correlation_id]


def test_an_id_token_is_listed_as_not_issued_here(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    desk.token(pipeline)
    assert "First use of an ID token" not in admin.open(TOKENS).text
    register_id_token(desk, scopes=["change_request.read"])
    assert read(desk, desk.assertion()).status_code == 200
    text = admin.open(TOKENS).text
    assert ('total">2<' in text, text.count("First use of an ID token")) == (True, 1)
    for path in ("/inbound-integrations/events", f"/inbound-integrations/events/{ids_in(text)[0]}"):
        shown = admin.open(path).text
        assert "Accepted" in shown and "Issued" not in shown, path


def test_filters(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    other = desk.register("Other", scopes=["change_request.read"])
    desk.token(pipeline)
    desk.token(other)
    second, first = ids_in(admin.open(TOKENS).text)
    for query, expected in (
        (f"sysparm_query=entity.client_id={pipeline.client_id}", [first]),
        ("sysparm_query=entity=nobody", []),
        ("sysparm_query=scope=change_request.read", [second]),
        ("sysparm_query=scope=nothing", []),
        (f"sysparm_query=user={ROBOT}", [second, first]),
        ("sysparm_query=user=admin", []),
        ("search=BUILD-42", [second, first]),
        ("search=%25", []),
        ("sysparm_query=ORDERBYsys_created_on^ORDERBYsys_id", [first, second]),
    ):
        page = admin.open(f"{TOKENS}?{query}")
        assert (page.status_code, ids_in(page.text)) == (200, expected), query


def test_has_pages(admin: Visitor, app: Flask, desk: TokenDesk) -> None:
    pipeline = desk.register(replay_policy="reusable-until-exp", enable_jti_verification=False)
    assertion = desk.assertion()
    for _ in range(22):
        desk.token(pipeline, assertion=assertion)
    page = admin.open(f"{TOKENS}?sysparm_query=user={ROBOT}").text
    assert 'total">22<' in page
    [older] = re.findall(r'rel="next" href="([^"]+)"', page)
    rest = admin.open(older.replace("&amp;", "&")).text
    assert (len(ids_in(page)), len(ids_in(rest))) == (20, 2)
    assert 'rel="next"' not in rest and f"user%3D{ROBOT}" in older
    with app.app_context(), counted_statements() as many:
        admin.open(TOKENS)
    with app.app_context(), counted_statements() as few:
        admin.open(f"{TOKENS}?sysparm_query=sys_id={ids_in(rest)[0]}")
    # A filtered list has no refresh tokens.
    assert len(many) - len(few) <= 1


def test_revokes_one_token(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    first, second = desk.token(pipeline), desk.token(pipeline)
    place = f"{TOKENS}?sysparm_query=user%3D{ROBOT}"
    page = admin.open(place)
    newest, oldest = ids_in(page.text)
    answer = admin.send(page, f"{TOKENS}/{oldest}/revoke")
    assert answer.location == place
    assert desk.call(first).status_code == 401
    assert desk.call(second).status_code == 201
    after = admin.open(place)
    assert "is revoked: it has stopped working" in after.text
    assert ids_in(after.text) == [newest]
    admin.send(page, f"{TOKENS}/{oldest}/revoke")
    assert "was already revoked" in admin.open(place).text


def test_revokes_all_tokens_of_one_integration(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    other = desk.register("Other")
    tokens = [desk.token(pipeline) for _ in range(2)]
    kept = desk.token(other)
    assert "Revoke all tokens of this integration" not in admin.open(TOKENS).text
    place = f"{TOKENS}?sysparm_query=entity%3D{pipeline.sys_id}"
    answer = admin.send(admin.open(place), f"{TOKENS}/integrations/{pipeline.client_id}/revoke")
    assert answer.location == place
    assert [desk.call(token).status_code for token in (*tokens, kept)] == [401, 401, 201]
    after = admin.open(place).text
    assert "All tokens of Pipeline are revoked" in after
    assert "Revoke all tokens of this integration" not in after
    assert desk.call(desk.token(pipeline)).status_code == 201, "it can get new ones"


def test_an_unknown_token_cannot_be_revoked(admin: Visitor, desk: TokenDesk, pipeline: Integration) -> None:
    desk.token(pipeline)
    desk.exchange(pipeline, assertion="nonsense")
    refused = desk.last_event()
    assert refused is not None
    csrf = forms_of(admin.open(TOKENS)).forms["/logout"]["csrf_token"]
    for path in (f"{refused.correlation_id}/revoke", "0/revoke", f"integrations/{'0' * 32}/revoke"):
        assert admin.client.post(f"{TOKENS}/{path}", data={"csrf_token": csrf}).status_code == 404, path


@pytest.mark.parametrize("wanted", ["https://evil.example.com", "//evil.example.com", "\\\\evil", ""])
def test_returns_only_to_the_list(admin: Visitor, desk: TokenDesk, pipeline: Integration, wanted: str) -> None:
    desk.token(pipeline)
    page = admin.open(TOKENS)
    [token] = ids_in(page.text)
    assert admin.send(page, f"{TOKENS}/{token}/revoke", {"next": wanted}).location == TOKENS


def test_the_record_of_an_integration_leads_to_its_tokens(admin: Visitor, pipeline: Integration) -> None:
    text = admin.open(f"/inbound-integrations/{pipeline.client_id}").text
    assert f'href="{TOKENS}?sysparm_query=entity%3D{pipeline.sys_id}"' in text
    assert f'href="/machine-identity/findings?sysparm_query=subject%3D{pipeline.client_id}"' in text
