"""What an administrator does about trust, in a real browser: bind, try, explain, constrain, block."""

from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.test_onboarding import JWT_BEARER, TIMEOUT_SECONDS
from tests.support.layout import width_of
from tests.support.servers import Running

NEW = "/inbound-integrations/new/jwt-bearer/form"
AUDIENCE = "https://desk.example.com"


def sign(idp: str, **claims: Any) -> str:
    order = {"sub": "pipeline/checkout", "aud": AUDIENCE, "claims": claims}
    return str(requests.post(f"{idp}/sign", json=order, timeout=TIMEOUT_SECONDS).json()["assertion"])


def exchange(desk: Running, client_id: str, assertion: str) -> int:
    fields = {"grant_type": JWT_BEARER, "client_id": client_id, "assertion": assertion}
    return requests.post(f"{desk.url}/oauth/token", data=fields, timeout=TIMEOUT_SECONDS).status_code


def fill_in(page: Page, idp: str, name: str) -> None:
    """Fill in what every integration with the demo provider needs; it is a public one."""
    page.goto(NEW)
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    page.get_by_label("Provider name").fill("Example CI")
    page.get_by_label("This is a public client").check()
    page.get_by_role("textbox", name="Issuer", exact=True).fill(idp)
    page.get_by_role("button", name="Look up issuer").click()
    expect(page.get_by_text("Its ID tokens are signed with")).to_be_visible()
    page.get_by_label("Accepted audiences").fill(AUDIENCE)
    page.get_by_label("Run-as user").fill("admin")


def save(page: Page) -> str:
    """Save a public integration and return its client id."""
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("is registered")).to_be_visible()
    return page.locator("#client-id").inner_text()


def test_keys_that_are_elsewhere_are_used_by_one_click(admin: Page, idp: str) -> None:
    admin.goto(NEW)
    url = admin.get_by_role("textbox", name="JWKS URL")
    url.fill(f"{idp}/.well-known/openid-configuration")
    admin.get_by_role("button", name="Test connection").click()
    admin.get_by_role("button", name="Use it").click()
    expect(admin.get_by_text("The keys of this URL can be used.")).to_be_visible()
    expect(url).to_have_value(f"{idp}/.well-known/jwks.json")
    expect(url).to_be_focused()
    expect(admin.get_by_role("textbox", name="Issuer", exact=True)).to_have_value(idp)


def test_a_preset_fills_in_the_form_and_demands_a_pin(admin: Page) -> None:
    admin.goto(NEW)
    admin.get_by_role("textbox", name="Name", exact=True).fill("Shop, production")
    admin.get_by_label("Identity provider").select_option("GitHub Actions")
    expect(admin.get_by_role("textbox", name="Issuer", exact=True)).to_have_value(
        "https://token.actions.githubusercontent.com"
    )
    expect(admin.get_by_role("textbox", name="Name", exact=True)).to_have_value("Shop, production")
    admin.get_by_label("Run-as user").fill("admin")
    admin.get_by_role("button", name="Save").first.click()
    expect(admin.locator("#claim_conditions-0-value-error-1")).to_be_visible()
    row = admin.get_by_role("group", name="Condition 1")
    expect(row.get_by_label("Claim")).to_have_value("repository_id")
    row.get_by_label("Value").fill("613905472")
    admin.get_by_role("button", name="Add a condition on ref_protected").click()
    added = admin.get_by_role("group", name="Condition 2")
    expect(added.get_by_label("Value")).to_be_focused()
    added.get_by_label("Value").fill("true")
    admin.get_by_role("button", name="Check conditions").click()
    expect(admin.get_by_text("These conditions have no problems.")).to_be_visible()
    admin.get_by_role("button", name="Save").first.click()
    expect(admin.get_by_text("is registered")).to_be_visible()


@pytest.mark.usefixtures("complaints")
def test_the_key_source_decides_which_fields_are_shown(admin: Page) -> None:
    admin.goto(NEW)
    expect(admin.get_by_role("textbox", name="JWKS URL")).to_be_visible()
    admin.get_by_label("Shared key", exact=True).check()
    admin.get_by_role("group", name="For the key source Certificates").get_by_role(
        "button", name="Add another row"
    ).click()
    row = admin.get_by_role("group", name="JWT verifier map 1")
    expect(row.get_by_label("Shared key")).to_be_visible()
    expect(row.get_by_label("Certificate (PEM)")).to_be_hidden()
    expect(admin.locator("#jwks_url")).to_be_hidden()
    admin.get_by_text("Advanced options").click()
    expect(admin.get_by_label("HS256")).to_be_visible()
    expect(admin.get_by_label("RS256")).to_be_hidden()
    row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


@pytest.mark.usefixtures("complaints")
def test_a_pasted_token_is_verified_and_its_claims_are_pinned(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Dry run")
    token = sign(idp, team="shop")
    admin.get_by_role("textbox", name="Token", exact=True).fill(token)
    admin.get_by_role("button", name="Try a token").click()
    expect(admin.get_by_text("It would be accepted")).to_be_visible()
    admin.get_by_role("button", name="Pin team").click()
    row = admin.get_by_role("group", name="Condition 1")
    expect(row.get_by_label("Value")).to_have_value("shop")
    row.get_by_label("Value").fill("basket")
    admin.get_by_role("button", name="Try a token").click()
    expect(admin.get_by_text("Refused with the reason")).to_be_visible()
    failed = admin.locator("#trial").get_by_role("row").filter(has_text="claim team")
    expect(failed).to_contain_text("Failed")
    expect(failed).to_contain_text("basket")
    expect(admin.get_by_role("textbox", name="Token", exact=True)).to_have_value(token)


@pytest.mark.usefixtures("complaints")
def test_an_event_becomes_a_condition(admin: Page, desk: Running, idp: str) -> None:
    fill_in(admin, idp, "Constrained")
    admin.get_by_label("Identity provider").select_option("Keycloak")
    admin.get_by_role("textbox", name="Issuer", exact=True).fill(idp)
    client_id = save(admin)
    assert exchange(desk, client_id, sign(idp, azp="release-bot")) == 200
    admin.goto(f"/inbound-integrations/events?sysparm_query=entity.client_id={client_id}")
    admin.locator("tbody a").first.click()
    row = admin.get_by_role("row").filter(has_text="release-bot")
    row.get_by_text("Constrain to this value").click()
    row.get_by_role("button", name="Refuse other values").click()
    expect(admin.get_by_text("refuses every token with another azp")).to_be_visible()
    expect(admin.get_by_role("group", name="Condition 1").get_by_label("Claim")).to_have_value("azp")
    assert exchange(desk, client_id, sign(idp, azp="release-bot")) == 200
    assert exchange(desk, client_id, sign(idp, azp="somebody-else")) == 400


@pytest.mark.usefixtures("complaints")
def test_a_key_is_blocked_and_trusted_again(admin: Page, desk: Running, idp: str) -> None:
    fill_in(admin, idp, "Blocked")
    client_id = save(admin)
    admin.get_by_role("link", name="Signing keys").click()
    admin.get_by_role("button", name="Refresh keys now").click()
    keys = admin.locator("#keys").get_by_role("row")
    rsa = keys.filter(has_text="RS256")
    expect(rsa).to_contain_text("In use")
    assert exchange(desk, client_id, sign(idp)) == 200
    rsa.get_by_text("Block this key").click()
    rsa.get_by_role("button", name="Block").click()
    expect(rsa).to_contain_text("Blocked")
    assert exchange(desk, client_id, sign(idp)) == 400
    rsa.get_by_text("Unblock", exact=True).click()
    rsa.get_by_role("button", name="Unblock").click()
    expect(rsa).to_contain_text("In use")
    assert exchange(desk, client_id, sign(idp)) == 200


@pytest.mark.usefixtures("complaints")
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_of_an_integration_is_wider_than_the_screen(admin: Page, desk: Running, idp: str, width: int) -> None:
    admin.set_viewport_size({"width": width, "height": 800})
    fill_in(admin, idp, f"Measured at {width}")
    client_id = save(admin)
    exchange(desk, client_id, sign(idp, long="x" * 400))
    assert width_of(admin) <= width
    admin.get_by_role("link", name="Signing keys").click()
    admin.get_by_role("button", name="Refresh keys now").click()
    expect(admin.get_by_text("The keys were fetched")).to_be_visible()
    assert width_of(admin) <= width
    for tab in ("Events", "Run this", "History", "Delete"):
        admin.get_by_role("link", name=tab, exact=True).click()
        assert width_of(admin) <= width
    admin.goto("/inbound-integrations/events")
    assert width_of(admin) <= width
    admin.locator("tbody a").first.click()
    expect(admin.get_by_role("heading", name="Rules")).to_be_visible()
    assert width_of(admin) <= width
