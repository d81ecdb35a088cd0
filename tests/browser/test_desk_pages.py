"""The pages for people in a real browser: a change's life by two of them."""

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import signed_in
from tests.support.live_desk import administer
from tests.support.live_users import Person, add_person
from tests.support.servers import Running

# Drops a file on an element, as a person does who drags it there from a folder.
DROP = """(zone) => {
  const dragged = new DataTransfer();
  dragged.items.add(new File(["Unplug the old switch."], "steps.txt", { type: "text/plain" }));
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer: dragged, bubbles: true, cancelable: true }));
}"""
YESTERDAY = "day => { day.className = 'is-past'; day.innerHTML = '<p class=more>Yesterday</p>'; }"


def add_colleagues(desk: Running) -> tuple[Person, Person, str]:
    """Add two engineers, the second of whom manages their group; return them and the name of the group."""
    tom, mia = (add_person(desk) for _ in range(2))
    for person in (tom, mia):
        person.grant(desk, "itil")
    name = f"Network of {tom.user_name}"
    group = administer(desk, "POST", "/api/now/table/sys_user_group", name=name, manager=mia.sys_id)["sys_id"]
    for person in (tom, mia):
        administer(desk, "POST", "/api/now/table/sys_user_grmember", group=group, user=person.sys_id)
    return tom, mia, name


def test_two_people_take_a_change_to_its_approval(browser: Browser, desk: Running) -> None:
    tom, mia, name = add_colleagues(desk)
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.goto("/change-requests/new")
        page.get_by_label("Short description").fill("Replace the core switch")
        with page.expect_response("**/suggestions?q=*"):
            page.get_by_label("Assignment group").press_sequentially(name)
        expect(page.locator("#assignment_group-suggestions option").first).to_have_attribute("value", name)
        # A list suggests the next name, and keeps those before it. It may be folded, so it is not typed into.
        with page.expect_response("**/suggestions?q=*"):
            page.locator("#watch_list").evaluate(
                "(each, text) => { each.value = text; each.dispatchEvent(new Event('input')); }",
                f"{tom.user_name}, {mia.user_name}",
            )
        expect(page.locator("#watch_list-suggestions option").first).to_have_attribute(
            "value", f"{tom.user_name}, {mia.user_name}"
        )
        page.get_by_role("button", name="Create").click()
        page.get_by_role("button", name="Request approval").click()
        expect(page.get_by_text("1 more approval required")).to_be_visible()
        change = page.url
    with signed_in(browser, desk, mia.user_name, mia.password) as page:
        page.get_by_role("link", name="My approvals").click()
        page.get_by_label("Select all").check()
        page.get_by_role("button", name="Approve the selected").click()
        expect(page.get_by_role("status").filter(has_text=": approved")).to_be_visible()
        page.goto(f"{change}?tab=activity")
        expect(page.get_by_text("answered an approval")).to_be_visible()
        page.get_by_label("Add to the activity").fill("Looks good")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("Looks good")).to_be_visible()
        page.goto(f"{change}?tab=files")
        page.locator("[data-drop]").evaluate(DROP)
        expect(page.get_by_role("link", name="steps.txt")).to_be_visible()


def test_a_bulk_change_offers_choices_and_suggests_records(browser: Browser, desk: Running) -> None:
    tom, mia, _ = add_colleagues(desk)
    fields = {"short_description": "Move the DNS", "requested_by": tom.user_name}
    number = administer(desk, "POST", "/api/now/table/change_request", **fields)["number"]
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.goto(f"/change-requests?sysparm_query=number%3D{number}")
        value = page.locator("#bulk-value")
        page.locator("#bulk-field").select_option(label="Risk")
        expect(value).to_have_attribute("list", "choices-risk")
        page.locator("#bulk-field").select_option(label="Assigned to")
        with page.expect_response("**/suggestions?q=*"):
            value.press_sequentially(mia.user_name)
        expect(page.locator("#bulk-value-suggestions option").first).to_have_attribute("value", mia.user_name)
        page.locator(".builder > summary").click()
        condition = page.locator(".condition").last
        condition.get_by_label("Field").select_option(label="Assigned to")
        with page.expect_response("**/suggestions?q=*"):
            condition.get_by_label("Value").press_sequentially(mia.user_name)
        expect(condition.locator("option[value='" + mia.user_name + "']")).to_have_count(1)
        page.get_by_label(f"Select {number}").check()
        page.get_by_role("button", name="Update the selected records").click()
        expect(page.get_by_text("1 of 1 updated")).to_be_visible()


def test_the_columns_to_choose_do_not_overlap(browser: Browser, desk: Running) -> None:
    tom, _, _ = add_colleagues(desk)
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.goto("/change-requests")
        page.locator("summary", has_text="Columns").click()
        boxes = [each.bounding_box() for each in page.locator(".column-form label").all()]
        tops = [(box["y"], box["height"]) for box in boxes if box]
        assert len(tops) > 30
        assert all(top + height <= next_top for (top, height), (next_top, _) in pairwise(tops))


@pytest.mark.parametrize("width", [1280, 360])
def test_no_button_of_a_list_moves_when_a_tool_is_opened(browser: Browser, desk: Running, width: int) -> None:
    tom, _, _ = add_colleagues(desk)
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/change-requests")
        buttons = page.locator(".tool > summary").all()
        before = [each.bounding_box() for each in buttons]
        assert len(before) == 4
        for at, button in enumerate(buttons):
            button.click()
            assert [each.bounding_box() for each in buttons] == before
            panel = page.locator(".tool > :not(summary)").nth(at).bounding_box()
            assert panel is not None
            assert 0 <= panel["x"]
            assert panel["x"] + panel["width"] <= width
            button.click()


def test_a_phone_shows_the_present_month_from_the_present_day_on(browser: Browser, desk: Running) -> None:
    tom, _, _ = add_colleagues(desk)
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto("/calendar")
        # The first day of a month has none before it.
        page.locator(".calendar td").first.evaluate(YESTERDAY)
        expect(page.get_by_text("Yesterday")).to_be_hidden()
        page.evaluate("location.hash = 'days'")
        expect(page.get_by_text("Yesterday")).to_be_visible()


def test_a_long_name_of_a_pipeline_fits_a_phone(browser: Browser, desk: Running) -> None:
    tom, _, _ = add_colleagues(desk)
    fields = {"short_description": "Move the DNS", "requested_by": tom.user_name}
    change = administer(desk, "POST", "/api/now/table/change_request", **fields)["sys_id"]
    with signed_in(browser, desk, tom.user_name, tom.password) as page:
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto(f"/change-requests/{change}?tab=activity")
        # The name stands where that of the workload of a token does.
        page.locator(".entry p").first.evaluate(
            "each => { each.insertAdjacentHTML('beforeend', '<span class=\"pill pill-off\"></span>');"
            " each.lastChild.textContent = 'gitlab.example.com/platform/databases//.gitlab-ci.yml@refs/heads/main'; }"
        )
        expect(page.locator(".entry .pill")).to_contain_text("gitlab-ci.yml")
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_two_people_at_one_change_overwrite_nothing(browser: Browser, desk: Running) -> None:
    tom, mia, group = add_colleagues(desk)
    fields = {"short_description": "Move the DNS", "assignment_group": group, "requested_by": tom.user_name}
    change = administer(desk, "POST", "/api/now/table/change_request", **fields, implementation_plan="Plan A")["sys_id"]
    path = f"/change-requests/{change}"
    with (
        signed_in(browser, desk, tom.user_name, tom.password) as toms,
        signed_in(browser, desk, mia.user_name, mia.password) as mias,
    ):
        # Both edit, and the second save shows what it would overwrite.
        for page in (toms, mias):
            page.goto(f"{path}/edit")
        # What neither the state nor its content needs is folded.
        expect(toms.get_by_label("Close notes")).to_be_hidden()
        toms.get_by_text("Closure").click()
        expect(toms.get_by_label("Close notes")).to_be_visible()
        toms.get_by_label("Backout plan").fill("Point the clients back")
        toms.get_by_role("button", name="Save").last.click()
        mias.get_by_label("Backout plan").fill("Restore the zone")
        mias.get_by_role("button", name="Save").last.click()
        differences = mias.get_by_role("table", name="Differences")
        for text in ("Point the clients back", "Restore the zone"):
            expect(differences.get_by_text(text)).to_be_visible()
        mias.get_by_label("Save what I entered over the newer version").check()
        mias.get_by_role("button", name="Save").last.click()
        expect(mias.get_by_text("Restore the zone")).to_be_visible()
        # One edits while the other decides: nothing is approved that was not read.
        toms.goto(path)
        toms.get_by_role("button", name="Request approval").click()
        mias.goto(path)
        mias.get_by_role("link", name="Open the approval").click()
        expect(mias.get_by_text("Plan A")).to_be_visible()
        toms.goto(f"{path}/edit")
        toms.get_by_label("Implementation plan").fill("Plan B")
        toms.get_by_role("button", name="Save").last.click()
        mias.get_by_role("button", name="Approve").click()
        expect(mias.get_by_text('Implementation plan changed from "Plan A" to "Plan B"')).to_be_visible()
        mias.get_by_role("button", name="Approve").click()
        expect(mias.get_by_text("is approved by you")).to_be_visible()
