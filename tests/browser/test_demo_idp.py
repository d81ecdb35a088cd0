"""The page of the demo identity provider in a real browser, mostly without scripts."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.support.layout import assert_accessible
from tests.support.live_desk import INTEGRATIONS, administer
from tests.support.servers import Running, running_demo_idp

KEY_SET = "/.well-known/jwks.json"


@pytest.fixture(scope="module")
def provider(desk: Running) -> Iterator[str]:
    """Serve a provider that sends to the server, with a fresh key ring for this module."""
    with running_demo_idp("--changegate", desk.url) as url:
        yield url


@pytest.fixture(scope="module")
def credentials(desk: Running, provider: str) -> dict[str, str]:
    """Register an integration for the provider."""
    made = administer(
        desk,
        "POST",
        INTEGRATIONS,
        name="Page of the demo identity provider",
        provider_name="Demo",
        issuer=provider,
        audiences=[desk.url],
        run_as="admin",
        jwks_url=provider + KEY_SET,
        public_client=False,
    )
    return {name: made[name] for name in ("client_id", "client_secret")}


@pytest.fixture
def scriptless(browser: Browser) -> Iterator[Page]:
    """Open a page that runs no script."""
    with browser.new_context(java_script_enabled=False) as context:
        yield context.new_page()


def sign_and_send(page: Page, url: str, credentials: dict[str, str]) -> None:
    page.goto(url)
    page.get_by_label("Layout").select_option(label="GitHub Actions")
    page.get_by_label("Client ID").fill(credentials["client_id"])
    page.get_by_label("Client secret").fill(credentials["client_secret"])
    page.get_by_role("button", name="Sign and send to Changegate").click()


def test_signs_sends_and_attacks_without_scripts(
    scriptless: Page, desk: Running, provider: str, credentials: dict[str, str]
) -> None:
    sign_and_send(scriptless, provider, credentials)
    outcome = scriptless.get_by_role("status")
    expect(outcome).to_have_text("Accepted (HTTP 200), as expected.")
    expect(scriptless.get_by_role("region", name="Result")).to_contain_text('"repository": "acme/shop"')
    scriptless.get_by_role("button", name="Replay a stolen token").click()
    expect(outcome).to_have_text("Refused (HTTP 400), as expected: rule “replay”, reason jti_replayed.")
    expect(scriptless.locator("#stolen-token")).to_contain_text("reason jti_replayed.")
    events = scriptless.get_by_role("link", name="Open the event in Changegate")
    expect(events).to_have_count(2)
    expect(events.last).to_have_attribute("href", re.compile(f"^{re.escape(desk.url)}/inbound-integrations/events/"))


def test_the_page_is_accessible_and_not_wider_than_the_window(
    browser: Browser, provider: str, credentials: dict[str, str]
) -> None:
    # The page's own policy would keep axe out.
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        sign_and_send(page, provider, credentials)
        expect(page.get_by_role("status")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Forge a token").click()
        expect(page.locator("#forged-key").get_by_role("link", name="Details")).to_be_visible()
        assert_accessible(page)
        page.get_by_label("Further claims").fill("{")
        page.get_by_role("button", name="Sign only").click()
        expect(page.get_by_role("alert")).to_contain_text("claims: Is not valid JSON.")
        assert_accessible(page)


def test_the_page_runs_under_its_own_policy(page: Page, provider: str, complaints: list[str]) -> None:
    page.goto(provider)
    page.get_by_role("button", name="Sign only").click()
    expect(page.get_by_role("status")).to_have_text("Signed, and not sent.")
    page.keyboard.press("Tab")


@pytest.mark.parametrize("path", ["/page/behaviors/rotate", "/page/token", "/behaviors/rotate"])
def test_a_page_of_another_origin_cannot_make_it_act(page: Page, desk: Running, provider: str, path: str) -> None:
    before = requests.get(provider + KEY_SET, timeout=60).json()
    page.goto(f"{desk.url}/healthz")
    with page.expect_response(provider + path) as response:
        page.evaluate(
            """url => {
              const form = document.createElement("form");
              form.method = "post";
              form.action = url;
              document.body.append(form);
              form.submit();
            }""",
            provider + path,
        )
    assert response.value.status == 403
    assert requests.get(provider + KEY_SET, timeout=60).json() == before
