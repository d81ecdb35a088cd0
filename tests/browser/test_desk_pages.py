"""The pages for people in a real browser: a change's life by two of them."""

from playwright.sync_api import Browser, expect

from tests.browser.conftest import signed_in
from tests.support.live_desk import administer
from tests.support.live_users import add_person
from tests.support.servers import Running


def test_two_people_take_a_change_to_its_approval(browser: Browser, desk: Running) -> None:
    tom, mia = (add_person(desk) for _ in range(2))
    for person in (tom, mia):
        person.grant(desk, "itil")
    name = f"Network of {tom.user_name}"
    group = administer(desk, "POST", "/api/now/table/sys_user_group", name=name, manager=mia.sys_id)["sys_id"]
    for person in (tom, mia):
        administer(desk, "POST", "/api/now/table/sys_user_grmember", group=group, user=person.sys_id)
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.goto("/change-requests/new")
        page.get_by_label("Short description").fill("Replace the core switch")
        with page.expect_response("**/suggestions?q=*"):
            page.get_by_label("Assignment group").press_sequentially(name)
        expect(page.locator("#assignment_group-suggestions option").first).to_have_attribute("value", name)
        page.get_by_role("button", name="Create").click()
        page.get_by_role("button", name="Assess", exact=True).click()
        expect(page.get_by_text("1 more approval required")).to_be_visible()
        change = page.url
    with signed_in(browser, desk, mia.user_name, mia.password) as page:
        page.get_by_role("link", name="My approvals").click()
        page.get_by_label("Select all").check()
        page.get_by_role("button", name="Approve the selected").click()
        expect(page.get_by_text("answered")).to_be_visible()
        page.goto(f"{change}?tab=activity")
        expect(page.get_by_text("answered an approval")).to_be_visible()
        page.get_by_label("Add to the activity").fill("Looks good")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("Looks good")).to_be_visible()
