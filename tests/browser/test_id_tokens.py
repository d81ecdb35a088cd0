"""A provider's own tokens at the APIs: from the form to a change, and to the end of the token."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_least_privilege import create, open_module
from tests.browser.test_onboarding import open_events, sign
from tests.support.servers import Running

AUDIENCE = "https://desk.example.com/portal"


@pytest.mark.usefixtures("complaints")
def test_a_providers_token_creates_changes_until_it_is_revoked(admin: Page, desk: Running, idp: str) -> None:
    register(admin, idp)
    token = sign(idp, AUDIENCE)
    assert create(desk, token, short_description="First") == 201
    assert create(desk, token, short_description="Second") == 201
    see_one_event(admin)
    revoke_it(admin, token)
    assert create(desk, token, short_description="Third") == 401


def register(page: Page, idp: str) -> None:
    page.goto("/inbound-integrations/new")
    page.get_by_role("link", name="Third party ID token issued by OIDC supporting identity provider").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Portal")
    page.get_by_label("Provider name").fill("Example CI")
    page.get_by_label("Issuer").fill(idp)
    page.get_by_label("Accepted audiences").fill(AUDIENCE)
    page.get_by_label("Run-as user").fill("admin")
    page.get_by_role("textbox", name="JWKS URL").fill(f"{idp}/.well-known/jwks.json")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("heading", name="Portal")).to_contain_text("Active")
    open_events(page)
    expect(page.get_by_text("No token has been used yet.")).to_be_visible()


def see_one_event(page: Page) -> None:
    open_module(page, "Token Events")
    rows = page.get_by_role("row").filter(has_text="Portal")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Accepted")


def revoke_it(page: Page, token: str) -> None:
    open_module(page, "Manage Tokens")
    row = page.get_by_role("row").filter(has_text="Portal")
    expect(row).to_contain_text("First use of an ID token")
    expect(page.get_by_text(token)).to_have_count(0)
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button", name="Revoke this token").click()
    expect(page.get_by_text("The token of Portal from")).to_contain_text("is revoked: it has stopped working")
    expect(row).to_have_count(0)
