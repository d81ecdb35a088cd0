"""Run this: the commands on the page, run as they stand there, and the line that turns green."""

import os
import subprocess

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_integration_trust import fill_in, save, sign
from tests.conftest import ADMIN_PASSWORD
from tests.support.layout import width_of
from tests.support.servers import Running


def run(script: str, assertion: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-euc", script]
    environment = {**os.environ, "ASSERTION": assertion}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def open_script(page: Page, client_id: str) -> str:
    """Open the page by the links of the record, and return the commands for a shell."""
    page.goto(f"/inbound-integrations/{client_id}")
    page.get_by_role("link", name="Run this").click()
    page.get_by_role("navigation", name="Snippets").get_by_role("link", name="Shell (curl)").click()
    return page.locator("#snippet-shell").inner_text()


@pytest.mark.usefixtures("complaints")
def test_the_line_turns_green_while_the_commands_of_the_page_create_a_change(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Snippet")
    script = open_script(admin, save(admin))
    status = admin.get_by_role("status")
    expect(status).to_contain_text("Waiting for the first exchange")
    expect(admin.get_by_text("This page checks automatically")).to_be_visible()

    refused = run(script, sign(idp, aud="https://other.example.com"))
    assert refused.returncode == 1
    correlation_id = refused.stderr.partition('"correlation_id":"')[2][:32]
    expect(status).to_contain_text("aud_mismatch")
    expect(status.get_by_role("link", name="Event of")).to_have_attribute(
        "href", f"/inbound-integrations/events/{correlation_id}"
    )
    expect(status).to_contain_text("Waiting for the first exchange")

    made = run(script, sign(idp))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("Created CHG")
    expect(status).to_contain_text("It works.")
    expect(status).not_to_contain_text("aud_mismatch")
    expect(admin.get_by_text("This page checks automatically")).to_have_count(0)
    status.get_by_role("link", name="CHG").click()
    expect(admin.get_by_text("Deploy release 42").first).to_be_visible()


def test_the_page_stops_checking_after_a_while_and_on_an_error(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Slow")
    path = f"/inbound-integrations/{save(admin)}/run"
    admin.clock.install()
    admin.goto(path)
    expect(admin.get_by_text("This page checks automatically.")).to_be_visible()
    with admin.expect_response("**/run/status"):
        admin.clock.fast_forward("16:00")
    expect(admin.get_by_text("This page no longer checks automatically.")).to_be_visible()
    admin.goto(path)
    admin.route("**/run/status", lambda route: route.fulfill(status=302, headers={"Location": "/login"}))
    admin.clock.fast_forward("00:04")
    expect(admin.get_by_text("The status could not be read. Select Check now.")).to_be_visible()
    expect(admin.get_by_role("status")).to_contain_text("Waiting for the first exchange")


@pytest.mark.usefixtures("complaints")
def test_the_copy_button_takes_the_text_that_is_shown(admin: Page, idp: str) -> None:
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fill_in(admin, idp, "Copied")
    script = open_script(admin, save(admin))
    admin.get_by_role("button", name="Copy the text for Shell (curl)").click()
    is_copied = "text => navigator.clipboard.readText().then(copied => copied === text)"
    admin.wait_for_function(is_copied, arg=script.strip())


def test_it_works_without_scripts_and_on_a_narrow_screen(
    browser: Browser, admin: Page, desk: Running, idp: str
) -> None:
    fill_in(admin, idp, "Unscripted")
    client_id = save(admin)
    context = browser.new_context(base_url=desk.url, java_script_enabled=False, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    script = open_script(page, client_id)
    expect(page.get_by_role("status")).to_contain_text("Waiting for the first exchange")
    assert run(script, sign(idp)).returncode == 0
    page.get_by_role("link", name="Check now").click()
    expect(page.get_by_role("status")).to_contain_text("It works.")
    expect(page.locator("#snippet-shell")).to_be_visible()
    context.close()
    admin.set_viewport_size({"width": 360, "height": 740})
    admin.goto(f"/inbound-integrations/{client_id}/run")
    assert width_of(admin) <= 360
