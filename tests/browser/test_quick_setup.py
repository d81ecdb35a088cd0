"""The quick setup from one pasted text to the first exchange, with scripts and without."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.support.forge import forge, jwk, key_set_document, rsa_key
from tests.support.layout import WIDTHS, assert_accessible, width_of
from tests.support.servers import Running

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NEW = "/inbound-integrations/new/jwt-bearer"
TIMEOUT_SECONDS = 60
SUBJECT = "pipeline/checkout"


@pytest.fixture(params=["with scripts", "without scripts"])
def person(request: pytest.FixtureRequest, browser: Browser, desk: Running, session: StorageState) -> Iterator[Page]:
    """Return a page on which the administrator has signed in."""
    has_scripts = request.param == "with scripts"
    with browser.new_context(base_url=desk.url, java_script_enabled=has_scripts, storage_state=session) as context:
        yield context.new_page()


def paste(page: Page, text: str) -> None:
    page.goto(NEW)
    page.get_by_label("Paste a JWKS URL").fill(text)
    page.get_by_role("button", name="Continue").click()


def sign(idp: str, audience: str) -> str:
    order = {"sub": SUBJECT, "aud": audience}
    answer = requests.post(f"{idp}/sign", json=order, timeout=TIMEOUT_SECONDS)
    return str(answer.json()["assertion"])


def exchange(desk: Running, client_id: str, assertion: str) -> requests.Response:
    fields = {"grant_type": JWT_BEARER, "client_id": client_id, "assertion": assertion}
    return requests.post(f"{desk.url}/oauth_token.do", data=fields, timeout=TIMEOUT_SECONDS)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_jwks_url_leads_to_the_first_exchange(person: Page, desk: Running, idp: str) -> None:
    paste(person, f"{idp}/.well-known/jwks.json")
    expect(person.get_by_text(f"This is the JWKS URL of the issuer {idp}")).to_be_visible()
    expect(person.get_by_text("2 usable keys: ES256, RS256.")).to_be_visible()
    save(person)
    summary = person.get_by_role("alert")
    expect(summary).to_contain_text("Not saved. Correct 1 field:")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Who may use it").click()
    person.get_by_role("group", name="sub").get_by_role("textbox").fill(SUBJECT)
    save(person)
    person.wait_for_url("**/run")
    status = person.get_by_role("status").filter(has_text="first exchange")
    expect(status).to_contain_text("Waiting for the first exchange")
    client_id = person.url.split("/")[-2]
    assertion = sign(idp, desk.url)
    assert exchange(desk, client_id, assertion).status_code == 200
    person.get_by_role("link", name="Check now").click()
    expect(person.get_by_text("It works.")).to_be_visible()


def test_a_draft_is_left_and_resumed(person: Page, desk: Running, idp: str) -> None:
    paste(person, f"Bearer {sign(idp, desk.url)}")
    expect(person.get_by_text("The token was signed by one of these keys.")).to_be_visible()
    expect(person.get_by_text("The pasted token is for this server.")).to_be_visible()
    person.get_by_text("Name and everything else").click()
    person.get_by_role("textbox", name="Name", exact=True).fill("Left for later")
    person.get_by_role("button", name="Keep for later").click()
    person.get_by_role("link", name="Continue: Left for later").click()
    expect(person.get_by_role("checkbox", name="sub")).to_be_checked()
    person.get_by_role("button", name="Discard").click()
    expect(person.get_by_text("The draft is discarded.")).to_be_visible()
    expect(person.get_by_role("link", name="Continue: Left for later")).to_have_count(0)


def test_keys_are_pasted_where_they_cannot_be_fetched(person: Page, idp: str) -> None:
    issuer = f"{idp}/no-discovery"
    paste(person, forge(None, {"iss": issuer, "sub": SUBJECT}))
    person.get_by_role("button", name="Test keys").click()
    expect(person.get_by_label("Paste the key set")).to_be_focused()
    expect(person.get_by_text("Not saved.")).to_have_count(0)
    person.get_by_label("Paste the key set").fill(f"{idp}/.well-known/jwks.json")
    person.get_by_role("button", name="Test keys").click()
    expect(person.get_by_text("2 usable keys: ES256, RS256.")).to_be_visible()
    expect(person.get_by_text(f"The issuer is {issuer}.")).to_be_visible()


def test_an_entered_issuer_shows_the_claims_of_its_tokens(person: Page) -> None:
    paste(person, key_set_document(jwk(rsa_key())).decode())
    person.get_by_role("textbox", name="Issuer").fill("https://kubernetes.default.svc")
    person.get_by_role("button", name="Recognize issuer").click()
    expect(person.get_by_text("Kubernetes", exact=True)).to_be_visible()
    expect(person.get_by_role("group", name="/kubernetes.io/serviceaccount/uid")).to_be_visible()


def test_typing_an_answer_chooses_its_option(admin: Page, idp: str) -> None:
    paste(admin, idp)
    admin.wait_for_url("**/drafts/*")
    admin.get_by_label("User ID", exact=True).fill("admin")
    expect(admin.get_by_label("An existing account")).to_be_checked()
    admin.get_by_label("Another audience").fill("api://changegate")
    expect(admin.get_by_label("Another one")).to_be_checked()
    # The Enter key saves, and does not keep the entries for later.
    admin.get_by_label("Another audience").press("Enter")
    expect(admin.get_by_role("alert")).to_contain_text("Not saved. ")


def test_the_pages_are_accessible_and_not_wider_than_the_window(
    browser: Browser, desk: Running, idp: str, session: StorageState
) -> None:
    # The page's own policy would keep axe out.
    with browser.new_context(base_url=desk.url, bypass_csp=True, storage_state=session) as context:
        page = context.new_page()
        paste(page, "hello")
        expect(page.get_by_role("alert")).to_be_focused()
        assert_accessible(page)
        paste(page, forge(None, {"iss": f"{idp}/no-discovery", "sub": SUBJECT}))
        page.get_by_role("button", name="Test keys").click()
        expect(page.get_by_label("Paste the key set")).to_be_focused()
        assert_accessible(page)
        paste(page, sign(idp, "https://other.example.com"))
        page.get_by_text("Name and everything else").click()
        assert_accessible(page)
        page.get_by_label("Another one").check()
        save(page)
        expect(page.get_by_role("alert")).to_be_focused()
        assert_accessible(page)
        page.get_by_role("link", name="Inbound Integrations").last.click()
        expect(page.get_by_role("heading", name="Not saved yet")).to_be_visible()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert width_of(page) <= width
