"""Single sign-on in a real browser, without scripts: an administrator sets it up, and people sign in and out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import TIMEOUT_MS, sign_in
from tests.support.layout import assert_accessible
from tests.support.live_desk import administer
from tests.support.live_users import add_person
from tests.support.servers import Running, running_demo_idp

PROVIDERS = "/api/now/table/oidc_provider_configuration"


@pytest.fixture(scope="module")
def provider(desk: Running) -> Iterator[str]:
    """Serve an identity provider that sends people back to the server."""
    with running_demo_idp("--changegate", desk.url) as url:
        yield url


@pytest.fixture
def scriptless(browser: Browser, desk: Running) -> Iterator[Page]:
    """Open a page that runs no script."""
    with browser.new_context(base_url=desk.url, java_script_enabled=False) as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        yield page


def choose(page: Page, name: str) -> None:
    """Press the button on the login page, and choose a person on the provider's page."""
    page.goto("/login")
    page.get_by_role("button", name="Log in with Example IdP").click()
    # The page in between leads on by itself.
    page.get_by_role("button", name=name).click()


def test_an_administrator_sets_it_up_and_people_sign_in_and_out(
    scriptless: Page, desk: Running, provider: str, browser: Browser
) -> None:
    page = scriptless
    sign_in(page)
    page.get_by_role("link", name="Identity providers").click()
    page.get_by_role("link", name="New").click()
    for label, value in (
        ("Name", "Example IdP"),
        ("Alias", "example"),
        ("Issuer", provider),
        ("Client ID", "changegate"),
        ("Client secret", "a secret"),
    ):
        page.get_by_label(re.compile(rf"^{label}( \*)?$")).fill(value)
    page.get_by_label("Create users").check()
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#redirect-uri")).to_have_text(f"{desk.url}/single-sign-on/example/callback")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text(f"People sign in at {provider}/authorize")).to_be_visible()
    page.get_by_role("link", name="New claim mapping").click()
    page.get_by_label(re.compile(r"^Claim( \*)?$")).fill("groups")
    page.get_by_label("Value").fill("engineers")
    page.get_by_label("Role").fill("itil")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Claim mapping created")).to_be_visible()

    with browser.new_context(base_url=desk.url, java_script_enabled=False) as context:
        person = context.new_page()
        person.set_default_timeout(TIMEOUT_MS)
        choose(person, "Nadia Berg")
        person.wait_for_url(f"{desk.url}/")
        person.goto("/change-requests/new")
        expect(person.get_by_label("Short description")).to_be_visible()
        person.locator("summary", has_text="Nadia Berg").click()
        person.get_by_role("button", name="Log out").click()
        # By way of the provider.
        person.wait_for_url(f"{desk.url}/login")

        choose(person, "Cancel")
        expect(person.get_by_text("The provider did not sign you in.")).to_be_visible()
        person.goto("/login")
        person.get_by_role("button", name="Log in with Example IdP").click()
        person.get_by_label("ID token").select_option("wrong-nonce")
        person.get_by_role("button", name="Nadia Berg").click()
        expect(person.get_by_text("The ID token of the provider failed a check.")).to_be_visible()


def test_a_user_links_their_account(browser: Browser, desk: Running, provider: str) -> None:
    given = {"name": "Example IdP", "alias": "example", "issuer": provider, "client_id": "changegate"}
    if not administer(desk, "GET", f"{PROVIDERS}?sysparm_query=alias=example"):
        administer(desk, "POST", PROVIDERS, **given)
    tom = add_person(desk)
    with browser.new_context(base_url=desk.url) as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto("/login")
        assert_accessible(page)
        page.get_by_label("User name").fill(tom.user_name)
        page.get_by_label("Password").fill(tom.password)
        page.get_by_role("button", name="Log in", exact=True).click()
        page.goto("/preferences/single-sign-on")
        assert_accessible(page)
        page.get_by_label("Current password").fill(tom.password)
        page.get_by_role("button", name="Link the account").click()
        page.get_by_role("button", name="Omar Haddad").wait_for()
        assert_accessible(page)
        page.get_by_role("button", name="Omar Haddad").click()
        expect(page.get_by_text("Your account at Example IdP is linked.")).to_be_visible()
        assert_accessible(page)
        page.goto("/single-sign-on/example/callback?state=x&code=x")
        expect(page.get_by_text("This sign-in has expired")).to_be_visible()
        assert_accessible(page)
