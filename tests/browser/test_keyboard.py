"""The main flows by keyboard alone: what has the focus can be seen, and a refused save leads to its errors."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Furnished, signed_in
from tests.conftest import ADMIN_PASSWORD

MOST_STEPS = 150
FOCUSED = """() => {
  const each = document.activeElement, style = getComputedStyle(each);
  const label = each.labels?.[0]?.textContent ?? "";
  const isSeen = style.outlineStyle !== "none" || style.boxShadow !== "none";
  return [each.getAttribute("aria-label") || label.trim() || each.textContent.trim(), isSeen];
}"""


@pytest.fixture
def manager(browser: Browser, furnished: Furnished) -> Iterator[Page]:
    with signed_in(browser, furnished.desk, "manager", ADMIN_PASSWORD) as page:
        yield page


def go_to(page: Page, name: str) -> None:
    """Press Tab until something of a name has the focus; whatever had it on the way could be seen."""
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        found, is_seen = page.evaluate(FOCUSED)
        assert is_seen, found
        if re.fullmatch(name, " ".join(found.split())):
            return
    raise AssertionError(f"Tab does not lead to {name}")


def press(page: Page, name: str, key: str = "Enter") -> None:
    """Go to something, and press a key that opens another page."""
    go_to(page, name)
    with page.expect_navigation():
        page.keyboard.press(key)


def test_a_change_is_created_moved_and_found(manager: Page) -> None:
    manager.goto("/change-requests/new")
    manager.keyboard.press("Tab")
    expect(manager.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(manager.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    manager.keyboard.press("Enter")
    expect(manager.locator("main")).to_be_focused()
    go_to(manager, r"Short description( \*)?")
    manager.keyboard.type("Replaced by keyboard")
    go_to(manager, "Assignment group")
    manager.keyboard.type("Network")
    press(manager, "Create")
    press(manager, "Request approval")
    expect(manager.locator(".steps .is-current")).to_have_text("Assess")
    manager.goto("/change-requests")
    go_to(manager, "Filter")
    manager.keyboard.press("Enter")
    for name, text in (("Field", "Short description"), ("Operator", "is"), ("Value", "Replaced by keyboard")):
        go_to(manager, name)
        manager.keyboard.type(text)
    press(manager, "Run")
    expect(manager.locator("tbody .row-link")).to_have_count(1)


def test_an_approval_is_given(manager: Page) -> None:
    manager.goto("/my-approvals")
    go_to(manager, "Select CHG.*")
    manager.keyboard.press("Space")
    press(manager, "Approve the selected")
    expect(manager.get_by_role("status").filter(has_text=": approved")).to_be_visible()


def test_after_a_refused_save_the_focus_is_on_a_summary_that_leads_to_the_fields(manager: Page) -> None:
    manager.goto("/change-requests/new")
    go_to(manager, "Short description.*")
    manager.keyboard.type("Patch")
    go_to(manager, "Planned start date.*")
    manager.keyboard.type("next Tuesday")
    press(manager, "Create")
    expect(manager.locator("#error-summary")).to_be_focused()
    manager.keyboard.press("Tab")
    manager.keyboard.press("Enter")
    expect(manager.get_by_label("Planned start date")).to_be_focused()
    expect(manager.get_by_label("Planned start date")).to_be_in_viewport()
