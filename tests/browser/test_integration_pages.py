"""The pages of an integration in a real browser: tabs, errors, questions before disabling and deleting, the list."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_integration_trust import fill_in, save
from tests.support.layout import width_of


@pytest.mark.usefixtures("complaints")
def test_anchors_of_earlier_releases_lead_to_the_tabs(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Anchors")
    path = f"/inbound-integrations/{save(admin)}"
    for anchor, heading in (("keys", "Signing keys"), ("events", "Token events")):
        admin.goto("/")
        admin.goto(f"{path}#{anchor}")
        admin.wait_for_url(f"{path}/{anchor}")
        expect(admin.get_by_role("heading", name=heading)).to_be_visible()
    admin.goto("/")
    admin.goto(f"{path}#clock_skew_seconds")
    expect(admin.get_by_label("Clock skew (seconds)")).to_be_in_viewport()


@pytest.mark.usefixtures("complaints")
def test_the_actions_stay_in_view(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Sticky")
    path = f"/inbound-integrations/{save(admin)}"
    for width in (360, 1280):
        admin.set_viewport_size({"width": width, "height": 800})
        admin.goto(path)
        admin.evaluate("scrollTo(0, 1500)")
        expect(admin.get_by_role("heading", name="Sticky")).not_to_be_in_viewport()
        # A pixel of its height lies below the line of the tabs.
        expect(admin.get_by_role("link", name="History", exact=True)).to_be_in_viewport(ratio=0.95)
        for action in (admin.get_by_text("Disable", exact=True), admin.get_by_role("button", name="Save")):
            expect(action).to_be_in_viewport(ratio=1)
        admin.get_by_text("Disable", exact=True).click()
        expect(admin.get_by_role("button", name="Disable this integration")).to_be_in_viewport(ratio=1)
        assert width_of(admin) <= width


def test_the_summary_of_errors_takes_the_focus_and_leads_to_the_fields(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Mistaken")
    admin.get_by_label("Run-as user").fill("nobody.here")
    admin.get_by_label("Provider name").fill("")
    admin.get_by_role("button", name="Save").first.click()
    summary = admin.locator("#error-summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Not saved. Correct 2 fields:")
    admin.keyboard.press("Tab")
    expect(summary.get_by_role("link").first).to_be_focused()
    summary.get_by_role("link", name="Run-as user").press("Enter")
    expect(admin.get_by_label("Run-as user")).to_be_focused()
    expect(admin.get_by_label("Run-as user")).to_be_in_viewport()


@pytest.mark.usefixtures("complaints")
def test_disabling_and_deleting_ask_first(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Short-lived")
    path = f"/inbound-integrations/{save(admin)}"
    admin.get_by_text("Disable", exact=True).press("Enter")
    expect(admin.get_by_text("All its tokens stop working now")).to_be_visible()
    admin.keyboard.press("Escape")
    expect(admin.get_by_text("All its tokens stop working now")).to_be_hidden()
    admin.get_by_text("Disable", exact=True).press("Enter")
    admin.get_by_role("button", name="Disable this integration").press("Enter")
    expect(admin.get_by_text("is disabled; its tokens have stopped working")).to_be_visible()
    admin.get_by_role("link", name="History").click()
    expect(admin.get_by_role("row").filter(has_text="Active")).to_contain_text("no")
    admin.get_by_role("link", name="Delete").click()
    admin.get_by_role("link", name="Cancel").click()
    admin.wait_for_url(path)
    admin.get_by_role("link", name="Delete").click()
    admin.get_by_role("button", name="Delete this integration").click()
    admin.wait_for_url("/inbound-integrations")
    expect(admin.get_by_text("Short-lived is deleted")).to_be_visible()


@pytest.mark.usefixtures("complaints")
def test_the_list_is_searched_and_sorted(admin: Page, idp: str) -> None:
    for name in ("Sought once", "Sought twice"):
        fill_in(admin, idp, name)
        save(admin)
    admin.goto("/inbound-integrations")
    admin.get_by_role("searchbox", name="Search").fill("sought")
    admin.get_by_role("searchbox", name="Search").press("Enter")
    rows = admin.get_by_role("row")
    expect(rows).to_have_count(3)
    admin.get_by_role("link", name="Name", exact=True).click()
    expect(rows.nth(1)).to_contain_text("Sought twice")
    admin.goto("/inbound-integrations?sysparm_query=active=false")
    expect(admin.get_by_role("heading", name="Nothing matches")).to_be_visible()
