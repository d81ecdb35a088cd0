"""Client credentials: from the form over the secret, which is shown once, to a change and back to the list."""

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.servers import Running

TIMEOUT_SECONDS = 60


@pytest.mark.usefixtures("complaints")
def test_a_client_with_a_secret_is_registered_and_creates_a_change(admin: Page, desk: Running) -> None:
    choose_the_grant(admin)
    fill_in(admin)
    client_id, secret = copy_the_secret(admin)
    create_change(desk, client_id, secret)
    see_it_in_the_list(admin, client_id, secret)


def choose_the_grant(page: Page) -> None:
    page.goto("/inbound-integrations/new")
    expect(page.get_by_text("Not offered", exact=True)).to_have_count(1)
    page.get_by_role("link", name="OAuth - Client credentials grant").click()
    expect(page.get_by_role("heading", name="OAuth - Client credentials grant")).to_be_visible()
    expect(page.get_by_role("link", name="Register an OAuth - JWT bearer grant instead")).to_be_visible()


def fill_in(page: Page) -> None:
    page.get_by_role("textbox", name="Name", exact=True).fill("Nightly job")
    page.get_by_label("Provider name").fill("Scheduler")
    page.get_by_label("OAuth Application User").fill("admin")
    page.get_by_role("button", name="Save").first.click()


def copy_the_secret(page: Page) -> tuple[str, str]:
    expect(page.get_by_text("will not be shown again")).to_be_visible()
    found = page.locator("#client-id").inner_text(), page.locator("#client-secret").inner_text()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("heading", name="Nightly job")).to_contain_text("Active")
    expect(page.get_by_role("heading", name="Keys")).to_have_count(0)
    page.get_by_role("link", name="Run this").click()
    expect(page.locator("#snippet-shell")).to_contain_text("grant_type=client_credentials")
    return found


def create_change(desk: Running, client_id: str, secret: str) -> None:
    grant = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    token = requests.post(f"{desk.url}/oauth_token.do", data=grant, timeout=TIMEOUT_SECONDS)
    assert token.status_code == 200, token.text
    made = requests.post(
        f"{desk.url}/api/now/table/change_request",
        json={"short_description": "Rotate the logs"},
        headers={"Authorization": f"Bearer {token.json()['access_token']}"},
        timeout=TIMEOUT_SECONDS,
    )
    assert made.status_code == 201, made.text


def see_it_in_the_list(page: Page, client_id: str, secret: str) -> None:
    page.get_by_role("navigation", name="Navigator").get_by_role("link", name="Inbound Integrations").click()
    row = page.get_by_role("row").filter(has=page.locator(f'a[href$="{client_id}"]'))
    expect(row).to_contain_text("Client credentials")
    expect(row).to_contain_text("Accepted")
    expect(page.get_by_text(secret)).to_have_count(0)
