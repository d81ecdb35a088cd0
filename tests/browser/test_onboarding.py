"""The administrator's four steps, and what they are for: automation that creates a change."""

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.servers import Running

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TIMEOUT_SECONDS = 60


@pytest.mark.usefixtures("complaints")
def test_an_administrator_connects_a_provider_and_its_automation_creates_a_change(
    admin: Page, desk: Running, idp: str
) -> None:
    find_inbound_integrations(admin)
    choose_jwt_bearer_grant(admin)
    fill_in_and_test_the_connection(admin, idp)
    client_id, secret = save_and_copy_the_secret(admin)
    token = exchange(desk, client_id, secret, sign(idp, client_id))
    number = create_change(desk, token, "Deploy the new basket of checkout")
    see_the_change(admin, number)
    see_the_event(admin, client_id)


def find_inbound_integrations(page: Page) -> None:
    navigator = page.get_by_role("navigation", name="Navigator")
    navigator.get_by_label("Filter navigator").press_sequentially("inbound")
    expect(navigator.get_by_role("link")).to_have_text(["Inbound Integrations"])
    navigator.get_by_role("link", name="Inbound Integrations").click()
    expect(page.get_by_role("heading", name="Inbound Integrations")).to_be_visible()


def choose_jwt_bearer_grant(page: Page) -> None:
    page.get_by_role("link", name="New Integration").first.click()
    page.get_by_role("link", name="OAuth - JWT bearer grant").click()
    expect(page.get_by_role("heading", name="OAuth - JWT bearer grant")).to_be_visible()
    page.get_by_role("link", name="Full form").click()


def fill_in_and_test_the_connection(page: Page, idp: str) -> None:
    page.get_by_role("textbox", name="Name", exact=True).fill("Build pipeline")
    page.get_by_label("Provider name").fill("Example CI")
    page.get_by_label("This is a public client").uncheck()
    page.get_by_label("Issuer").fill(idp)
    page.get_by_label("Run-as user").fill("admin")
    page.get_by_role("textbox", name="JWKS URL").fill(f"{idp}/.well-known/jwks.json")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("Connected.")).to_be_visible()
    keys = page.get_by_role("table", name="Keys of the key set").get_by_role("row")
    expect(keys.filter(has_text="RS256")).to_have_count(1)
    expect(keys.filter(has_text="ES256")).to_have_count(1)
    expect(page.get_by_label("Provider name")).to_have_value("Example CI")


def save_and_copy_the_secret(page: Page) -> tuple[str, str]:
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("will not be shown again")).to_be_visible()
    found = page.locator("#client-id").inner_text(), page.locator("#client-secret").inner_text()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("heading", name="Build pipeline")).to_contain_text("Active")
    expect(page.get_by_text(found[1])).to_have_count(0)
    return found


def sign(idp: str, audience: str) -> str:
    order = {"sub": "pipeline/checkout", "aud": audience}
    answer = requests.post(f"{idp}/sign", json=order, timeout=TIMEOUT_SECONDS)
    return str(answer.json()["assertion"])


def exchange(desk: Running, client_id: str, secret: str, assertion: str) -> str:
    fields = {
        "grant_type": JWT_BEARER,
        "client_id": client_id,
        "client_secret": secret,
        "assertion": assertion,
    }
    answer = requests.post(f"{desk.url}/oauth_token.do", data=fields, timeout=TIMEOUT_SECONDS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def create_change(desk: Running, token: str, short_description: str) -> str:
    answer = requests.post(
        f"{desk.url}/api/now/table/change_request",
        json={"short_description": short_description},
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["result"]["number"])


def see_the_change(page: Page, number: str) -> None:
    page.get_by_role("navigation", name="Navigator").get_by_role("link", name="Change requests").click()
    row = page.get_by_role("row").filter(has_text=number)
    expect(row).to_contain_text("Deploy the new basket of checkout")
    expect(row).to_contain_text("New")
    row.get_by_role("link", name=number).click()
    expect(page.get_by_role("heading", name=number)).to_be_visible()


def see_the_event(page: Page, client_id: str) -> None:
    page.get_by_role("navigation", name="Navigator").get_by_role("link", name="Inbound Integrations").click()
    expect(page.get_by_role("row").filter(has=page.locator(f'a[href$="{client_id}"]'))).to_contain_text("Accepted")
    page.get_by_role("link", name="Build pipeline").click()
    open_events(page)
    expect(page.get_by_role("row").filter(has_text="pipeline/checkout")).to_contain_text("Accepted")


def open_events(page: Page) -> None:
    page.get_by_role("navigation", name="Tabs of the integration").get_by_role("link", name="Events").click()
