"""The shell around every page: themes, widths, menus and what the scripts add."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in

pytestmark = pytest.mark.usefixtures("complaints")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_follows_the_theme_of_the_system(admin: Page, theme: str) -> None:
    admin.emulate_media(color_scheme="light" if theme == "dark" else "dark")
    admin.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    expect(admin.locator("html")).to_have_attribute("data-bs-theme", theme)


def test_the_navigator_waits_behind_a_button_on_a_narrow_screen(admin: Page) -> None:
    admin.set_viewport_size({"width": 400, "height": 800})
    module = admin.get_by_role("navigation", name="Navigator").get_by_role("link", name="Change requests")
    expect(module).to_be_hidden()
    button = admin.get_by_role("button", name="Navigator")
    button.click()
    expect(module).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    admin.keyboard.press("Escape")
    expect(module).to_be_hidden()


def test_the_navigator_says_when_nothing_matches(admin: Page) -> None:
    filter_box = admin.get_by_label("Filter navigator")
    filter_box.fill("printer")
    expect(admin.get_by_text("No module matches.")).to_be_visible()
    filter_box.press("Escape")
    expect(admin.get_by_role("link", name="Inbound Integrations").first).to_be_visible()


def test_enter_opens_the_first_match(admin: Page) -> None:
    admin.get_by_label("Filter navigator").fill("oauth")
    admin.get_by_label("Filter navigator").press("Enter")
    admin.wait_for_url("/inbound-integrations")


def test_logs_out_from_the_user_menu(page: Page) -> None:
    sign_in(page)
    page.get_by_text("System Administrator").first.click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("/login")


def test_typing_a_field_chooses_its_subject_rule(admin: Page) -> None:
    admin.goto("/inbound-integrations/new/jwt-bearer/form")
    admin.get_by_label("User field").select_option("User ID")
    expect(admin.get_by_label("The user identified by the subject")).to_be_checked()
    admin.get_by_label("Run-as user").fill("admin")
    expect(admin.get_by_label("One user for every subject")).to_be_checked()


def test_a_connection_test_that_fails_says_why(admin: Page) -> None:
    admin.goto("/inbound-integrations/new/jwt-bearer/form")
    admin.get_by_role("textbox", name="JWKS URL").fill("https://10.0.0.7/jwks.json")
    admin.get_by_role("button", name="Test connection").click()
    expect(admin.get_by_text("The connection failed.")).to_be_visible()
