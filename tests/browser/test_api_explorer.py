"""The REST API Explorer in a browser: what it lists, and an operation tried out."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ADMIN_PASSWORD

CREATE = "#operations-change_request-create_change_request"


@pytest.fixture
def explorer(admin: Page) -> Page:
    admin.get_by_role("navigation", name="Navigator").get_by_role("link", name="REST API Explorer").click()
    expect(admin.get_by_role("heading", name="REST API Explorer")).to_be_visible()
    expect(admin.locator(".opblock-tag").first).to_be_visible()
    return admin


def test_lists_operations_and_tries_one_out(explorer: Page, complaints: list[str]) -> None:
    """All that the page does, in one walk: the browser takes seconds to render Swagger UI."""
    lists_the_operations_of_every_table(explorer)
    follows_the_theme_of_the_system(explorer)
    the_filter_finds_a_table(explorer)
    the_session_of_the_console_opens_no_api(explorer, complaints)
    an_operation_can_be_tried_out(explorer)


def lists_the_operations_of_every_table(explorer: Page) -> None:
    for name in ("change_request", "sys_dictionary", "Attachments", "Batch", "Tokens"):
        expect(explorer.get_by_role("link", name=name, exact=True)).to_be_visible()
    explorer.get_by_role("link", name="sys_audit", exact=True).click()
    expect(explorer.locator("#operations-tag-sys_audit").locator("xpath=..").locator(".opblock")).to_have_count(2)


def follows_the_theme_of_the_system(explorer: Page) -> None:
    for theme, count in (("light", 0), ("dark", 1), ("light", 0)):
        explorer.emulate_media(color_scheme=theme)
        expect(explorer.locator("html.dark-mode")).to_have_count(count)


def the_filter_finds_a_table(explorer: Page) -> None:
    explorer.get_by_placeholder("Filter by tag or path").fill("change_request")
    expect(explorer.locator(".opblock-tag")).to_have_count(1)


def the_session_of_the_console_opens_no_api(explorer: Page, complaints: list[str]) -> None:
    explorer.get_by_role("link", name="change_request", exact=True).click()
    operation = explorer.locator(CREATE)
    operation.locator(".opblock-summary-control").click()
    # The browser reports the refusal itself, and does not ask for a password.
    with explorer.expect_console_message(lambda message: "401" in message.text):
        operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("401")
    assert [text for text in complaints if "401" not in text] == []
    complaints.clear()


def an_operation_can_be_tried_out(explorer: Page) -> None:
    explorer.get_by_role("button", name="Authorize").click()
    dialog = explorer.locator(".modal-ux")
    dialog.get_by_label("Username").fill("admin")
    dialog.get_by_label("Password").fill(ADMIN_PASSWORD)
    dialog.get_by_role("button", name="Apply credentials").first.click()
    dialog.get_by_role("button", name="Close").last.click()
    operation = explorer.locator(CREATE)
    operation.get_by_role("textbox").last.fill(json.dumps({"short_description": "Tried out"}))
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("201")
    expect(answer).to_contain_text("Tried out")
