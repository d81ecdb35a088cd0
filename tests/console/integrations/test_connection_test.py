"""Test connection, against a real server on loopback."""

import html
import re

import pytest
from flask import Flask

from changegate.services.integrations.saving import Registered
from tests.console.visitor import Visitor, forms_of
from tests.support.forge import jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply
from tests.support.postponing import served
from tests.support.provider_site import JWKS, OPENID, ProviderSite

NEW = "/inbound-integrations/new/jwt-bearer"
FORM = f"{NEW}/form"
TEST = f"{NEW}/test-connection"


def run(visitor: Visitor, url: str, path: str = TEST) -> str:
    """Run the test as the page's script does, and return what it inserts."""
    token = forms_of(visitor.open(FORM)).forms["integration"]["csrf_token"]
    headers = {"X-CSRFToken": token, "X-Fragment": "key-set"}
    answer = visitor.client.post(path, data={"jwks_url": url}, headers=headers)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    return answer.text


def test_lists_the_keys_and_why_others_are_ignored(admin: Visitor, provider: MisbehavingJwks) -> None:
    text = run(admin, f" {provider.url()} ")
    assert "2 usable keys, 1 ignored." in text
    for shown in ("rsa-1", "RSA", "2048 bits", "ec-1", "EC P-256", "ES256", "enc-1", "its use is"):
        assert shown in text
    assert provider.hits == 1


def test_can_be_started_from_a_record(admin: Visitor, integration: Registered, provider: MisbehavingJwks) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}/test-connection"
    assert "2 usable keys" in run(admin, provider.url(), path)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "Fill in the JWKS URL first."),
        ("ftp://ci.example.com/", "https"),
        ("https://10.1.2.3/jwks", "10.1.2.3"),
        ("nonsense", "The connection failed."),
        ("<script>alert(1)</script>", "The connection failed."),
    ],
)
def test_shows_why_nothing_was_fetched(admin: Visitor, url: str, sentence: str) -> None:
    text = run(admin, url)
    assert "The connection failed." in text
    assert sentence in text
    assert "<script>" not in text


def test_shows_the_response_of_the_server(admin: Visitor) -> None:
    with misbehaving_jwks(reply(b"<html>Not here</html>", status=404, content_type="text/html")) as server:
        assert "404" in run(admin, server.url())


def test_escapes_the_text_of_the_provider(admin: Visitor) -> None:
    document = key_set_document(jwk(rsa_key(), "<script>alert(1)</script>"), {"kty": "<img src=x>", "kid": "x"})
    with misbehaving_jwks(reply(document)) as server:
        text = run(admin, server.url())
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "<img" not in text


def test_shows_the_whole_page_to_a_browser_without_scripts(admin: Visitor, provider: MisbehavingJwks) -> None:
    fields = forms_of(admin.open(FORM)).forms["integration"]
    fields["name"], fields["jwks_url"] = "Typed already", provider.url()
    page = admin.client.post(TEST, data=fields)
    assert "2 usable keys" in page.text
    assert forms_of(page).forms["integration"]["name"] == "Typed already"


def test_keeps_a_record_in_view_without_scripts(
    admin: Visitor, integration: Registered, provider: MisbehavingJwks
) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    fields = forms_of(admin.open(path)).forms["integration"]
    fields["jwks_url"] = provider.url()
    page = admin.client.post(f"{path}/test-connection", data=fields)
    assert "2 usable keys" in page.text
    assert 'aria-current="page">Details</a>' in page.text


def test_requires_the_csrf_token(admin: Visitor, provider: MisbehavingJwks) -> None:
    assert admin.client.post(TEST, data={"jwks_url": provider.url()}).status_code == 400
    assert provider.hits == 0


def test_fetches_nothing_without_a_session(visitor: Visitor, provider: MisbehavingJwks) -> None:
    token = forms_of(visitor.open("/login")).forms["/login"]["csrf_token"]
    answer = visitor.client.post(TEST, data={"jwks_url": provider.url(), "csrf_token": token})
    assert answer.status_code == 403
    assert "/login" in forms_of(answer).forms
    assert provider.hits == 0


def test_waits_without_a_thread_and_fetches_once_for_each_press(
    app: Flask, admin: Visitor, provider: MisbehavingJwks
) -> None:
    server = served(app)
    for times in (1, 2):
        assert "2 usable keys" in run(admin, provider.url())
        assert (provider.hits, server.postponed) == (times, times)
    provider.answer = reply(status=500)
    assert "500" in run(admin, provider.url())
    assert (provider.hits, server.postponed) == (3, 3)


def use(visitor: Visitor, text: str, path: str = f"{NEW}/edit", **typed: str):
    """Press *Use it*, and return the form that the page then has."""
    [step] = re.findall(r'name="step" value="(use [^"]*)"', text)
    fields = forms_of(visitor.open(FORM)).forms["integration"].to_dict() | typed
    page = visitor.client.post(path, data=fields | {"step": html.unescape(step)})
    assert "The keys of this URL can be used." in page.text
    return forms_of(page).forms["integration"]


@pytest.mark.parametrize("entered", [OPENID, ""], ids=["discovery URL", "issuer"])
def test_keys_found_elsewhere_are_taken_over_by_one_click(admin: Visitor, site: ProviderSite, entered: str) -> None:
    issuer = site.publish()
    text = run(admin, issuer + entered)
    assert "The connection failed." in text
    assert f'Usable keys were found at <code class="breakable">{site.url}{JWKS}</code>.' in text
    form = use(admin, text, name="Typed already")
    assert (form["jwks_url"], form["issuer"], form["name"]) == (site.url + JWKS, issuer, "Typed already")
    assert use(admin, text, issuer="https://ci.example.com")["issuer"] == "https://ci.example.com"


def test_no_keys_are_offered_that_cannot_be_used(admin: Visitor, site: ProviderSite) -> None:
    issuer = site.publish()
    site.documents[JWKS] = b'{"keys": []}'
    assert "Use it" not in run(admin, issuer + OPENID)
    assert "Use it" not in run(admin, f"{site.url}/elsewhere")


@pytest.mark.parametrize("sent", ["{", "[]", "{}", '{"jwks_url": 1, "issuer": ""}', '{"jwks_url": "", "issuer": 1}'])
def test_a_malformed_step_changes_nothing(admin: Visitor, sent: str) -> None:
    fields = forms_of(admin.open(FORM)).forms["integration"].to_dict() | {"jwks_url": "https://a.example"}
    page = admin.client.post(f"{NEW}/edit", data=fields | {"step": f"use {sent}"})
    assert page.status_code == 200
    assert forms_of(page).forms["integration"]["jwks_url"] == "https://a.example"
