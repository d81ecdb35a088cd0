"""A day's work of each kind of person; pictures of it are in `build/screenshots`, which is not in version control."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from changegate.seed.standard_changes import NAME
from tests.browser.conftest import Furnished, signed_in
from tests.conftest import ADMIN_PASSWORD
from tests.guards.source_tree import ROOT
from tests.support.live_desk import CHANGES, administer

PICTURES = ROOT / "build" / "screenshots"
TABLE = "/api/now/table/"


@contextmanager
def working(browser: Browser, furnished: Furnished, kind: str) -> Iterator[Page]:
    """Let a kind of user work, and keep a picture of the page that they end on."""
    with signed_in(browser, furnished.desk, kind, ADMIN_PASSWORD) as page:
        yield page
        page.screenshot(path=PICTURES / f"{kind}.png", full_page=True)


def test_an_approver_approves_a_change_that_they_may_not_read(browser: Browser, furnished: Furnished) -> None:
    desk, approver = furnished.desk, furnished.examples.people["approver"]
    group = administer(desk, "POST", f"{TABLE}sys_user_group", name="Edge", manager=approver)["sys_id"]
    administer(desk, "POST", f"{TABLE}sys_user_grmember", group=group, user=approver)
    fields = {"short_description": "Replace the edge router", "assignment_group": group, "risk": "4"}
    change = administer(desk, "POST", CHANGES, **fields)
    administer(desk, "PATCH", f"{CHANGES}/{change['sys_id']}", state="-4")
    with working(browser, furnished, "approver") as page:
        page.get_by_role("link", name="My approvals").click()
        page.get_by_role("link", name=change["number"]).first.click()
        expect(page.get_by_text("Replace the edge router").first).to_be_visible()
        page.get_by_label("Comments, required to reject").fill("The window is quiet")
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("is approved by you")).to_be_visible()
        page.goto(f"/change-requests/{change['sys_id']}")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()


def test_a_manager_takes_a_standard_change_to_its_end(browser: Browser, furnished: Furnished) -> None:
    templates = administer(furnished.desk, "GET", "/api/sn_chg_rest/change/standard/template")
    [template] = [each for each in templates if each["name"]["value"] == NAME]
    path = f"/api/sn_chg_rest/change/standard/{template['sys_id']['value']}"
    made = administer(furnished.desk, "POST", path, assignment_group="Network")
    with working(browser, furnished, "manager") as page:
        page.goto(f"/change-requests/{made['sys_id']['value']}")
        for move, state in {"Schedule": "Scheduled", "Start work": "Implement", "Finish work": "Review"}.items():
            page.get_by_role("button", name=move, exact=True).click()
            expect(page.locator(".steps .is-current")).to_have_text(state)
        page.get_by_text("Close the change…").click()
        page.get_by_label("Close code").select_option("Successful")
        page.get_by_label("Close notes").fill("Done as planned")
        page.get_by_role("button", name="Close the change").click()
        expect(page.locator(".steps .is-current")).to_have_text("Closed")


def test_an_engineer_documents_their_work(browser: Browser, furnished: Furnished) -> None:
    with working(browser, furnished, "engineer") as page:
        page.goto(furnished.examples.fill("/change-requests/<change_requests.sys_id>?tab=activity"))
        page.get_by_label("Add to the activity").fill("The spare part has arrived")
        page.get_by_role("combobox").select_option("Work notes")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("The spare part has arrived")).to_be_visible()
        page.get_by_role("link", name="Comments", exact=True).click()
        expect(page.get_by_text("The spare part has arrived")).to_have_count(0)
        page.get_by_role("link", name=re.compile(r"Tasks \d")).click()
        page.locator("main .row-link").first.click()
        page.get_by_label("State", exact=True).select_option("In Progress")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("saved", exact=False).first).to_be_visible()


def test_a_requester_asks_about_their_change_and_reads_no_work_notes(browser: Browser, furnished: Furnished) -> None:
    path = furnished.examples.fill("/change-requests/<change_requests.sys_id>?tab=activity")
    with working(browser, furnished, "requester") as page:
        page.get_by_role("link", name="Change requests").first.click()
        expect(page.locator("tbody .row-link")).to_have_count(1)
        page.goto(path)
        page.get_by_label("Add to the activity").fill("When is it done?")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("When is it done?")).to_be_visible()
        expect(page.get_by_text("The spare part has arrived")).to_have_count(0)


def test_an_administrator_invites_a_person_who_chooses_a_password(browser: Browser, furnished: Furnished) -> None:
    url = furnished.examples.fill(f"{furnished.desk.url}/records/sys_user_group/<group_id>")
    with working(browser, furnished, "admin") as page:
        page.goto("/records/sys_user")
        page.get_by_role("link", name="Invite").click()
        page.get_by_label("User ID").fill("noor.aziz")
        page.get_by_label("First name").fill("Noor")
        page.get_by_role("checkbox", name="itil Read").check()
        page.get_by_role("button", name="Show the link to copy").click()
        link = page.locator("#link").inner_text()
        page.goto(url)
        page.get_by_label("Add a user").press_sequentially("noor")
        expect(page.locator("#user-suggestions option")).to_have_attribute("value", "noor.aziz")
        page.get_by_label("Add a user").fill("noor.aziz")
        page.get_by_label("Add a user").press("Enter")
        expect(page.locator("#sys_user_grmember").get_by_role("link", name="Noor")).to_be_visible()
    # Their first page works in any browser.
    with browser.new_context(java_script_enabled=False) as context:
        theirs = context.new_page()
        theirs.goto(link)
        theirs.get_by_label("New password", exact=True).fill("a long password")
        theirs.get_by_label("New password again").fill("a long password")
        theirs.get_by_role("button", name="Set the password").click()
        expect(theirs.get_by_text("Your password is set.")).to_be_visible()
        theirs.goto(link)
        expect(theirs.get_by_role("heading", name="This link no longer works")).to_be_visible()
    with signed_in(browser, furnished.desk, "noor.aziz", "a long password") as page:
        expect(page.get_by_role("link", name="Change requests").first).to_be_visible()


def test_an_administrator_adds_a_user(browser: Browser, furnished: Furnished) -> None:
    with working(browser, furnished, "admin") as page:
        page.goto("/records/sys_user/new")
        page.get_by_label("Title").fill("Engineer")
        page.get_by_role("button", name="Create").click()
        page.locator("#error-summary").get_by_role("link", name="User ID").click()
        expect(page.get_by_label("User ID")).to_be_focused()
        page.keyboard.type("nadia.haddad")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="nadia.haddad")).to_be_visible()
