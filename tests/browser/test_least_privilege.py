"""What an administrator does about tokens and scopes, in a real browser: narrow, revoke, follow a finding."""

import re
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.test_integration_trust import JWT_BEARER, fill_in, save, sign
from tests.browser.test_onboarding import TIMEOUT_SECONDS
from tests.support.layout import width_of
from tests.support.servers import Running

pytestmark = pytest.mark.usefixtures("complaints")
CHANGES = "/api/now/table/change_request"


@pytest.fixture
def get_token(desk: Running, idp: str) -> Callable[[str], str]:
    """Return a function that exchanges an assertion for a token of an integration."""

    def got(client_id: str) -> str:
        form = {"grant_type": JWT_BEARER, "client_id": client_id, "assertion": sign(idp)}
        answer = requests.post(f"{desk.url}/oauth/token", data=form, timeout=TIMEOUT_SECONDS)
        return str(answer.json()["access_token"])

    return got


def create(desk: Running, token: str, **fields: str) -> int:
    """Create a change with a token and return the status."""
    bearer = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{desk.url}{CHANGES}", json=fields, headers=bearer, timeout=TIMEOUT_SECONDS).status_code


def open_module(page: Page, name: str) -> None:
    """Open a page by its exact name in the filter navigator."""
    go_to_first(page, name)
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def go_to_first(page: Page, words: str) -> None:
    """Open the first module that the filter navigator finds."""
    # Until its script has come, the field is nothing but a field.
    page.wait_for_load_state()
    page.get_by_label("Filter navigator").fill(words)
    page.get_by_label("Filter navigator").press("Enter")


def test_a_scope_is_narrowed_and_live_tokens_with_it(
    admin: Page, desk: Running, idp: str, get_token: Callable[[str], str]
) -> None:
    open_module(admin, "Auth Scopes")
    admin.get_by_role("link", name="New Auth Scope").click()
    admin.get_by_role("textbox", name="Name", exact=True).fill("deploy.changes")
    rule = admin.get_by_role("group", name="Rule 1")
    rule.get_by_label("HTTP method").select_option("POST")
    rule.get_by_role("combobox", name="Table", exact=True).fill("change_request")
    admin.get_by_role("button", name="Add another row").click()
    second = admin.get_by_role("group", name="Rule 2")
    expect(second.get_by_role("combobox", name="Table", exact=True)).to_be_focused()
    expect(rule.get_by_text("May create change requests.")).to_be_visible()
    second.get_by_role("combobox", name="Table", exact=True).fill("change_request")
    second.get_by_label("Own records only").check()
    admin.get_by_role("button", name="Save").click()
    sentence = "May create change requests; may read change requests that it created."
    expect(admin.get_by_text(sentence, exact=True)).to_be_visible()

    fill_in(admin, idp, "Narrowed")
    admin.get_by_role("checkbox", name=re.compile("^deploy.changes")).check()
    admin.get_by_role("checkbox", name=re.compile(r"^change_request\.create ")).uncheck()
    token = get_token(save(admin))
    assert create(desk, token, short_description="Deploy", description="All of it") == 201

    open_module(admin, "Auth Scopes")
    row = admin.get_by_role("row").filter(has_text="deploy.changes")
    expect(row).to_contain_text("1 integration")
    row.get_by_role("link", name="deploy.changes").click()
    expect(admin.get_by_role("strong").filter(has_text="Changes apply immediately to 1 live token.")).to_be_visible()
    creates = admin.get_by_role("group").filter(has_text="May create change requests.")
    creates.get_by_label("Writable fields").fill("short_description")
    admin.get_by_text("Save", exact=True).click()
    admin.get_by_role("button", name="Save for all of them").click()
    expect(admin.get_by_text("deploy.changes is saved.")).to_be_visible()
    expect(admin.get_by_text("setting only short_description").first).to_be_visible()
    assert create(desk, token, short_description="Deploy", description="All of it") == 403
    assert create(desk, token, short_description="Deploy") == 201


def test_a_token_is_revoked_and_then_all_of_its_integration(
    admin: Page, desk: Running, idp: str, get_token: Callable[[str], str]
) -> None:
    fill_in(admin, idp, "Revoked")
    client_id = save(admin)
    first, second = get_token(client_id), get_token(client_id)
    admin.goto(f"/inbound-integrations/{client_id}")
    admin.get_by_role("link", name="Live tokens").click()
    rows = admin.get_by_role("row").filter(has_text="pipeline/checkout")
    expect(rows).to_have_count(2)
    expect(admin.locator("body")).not_to_contain_text(second)
    rows.last.get_by_text("Revoke", exact=True).click()
    rows.last.get_by_role("button", name="Revoke this token").click()
    expect(admin.get_by_text("is revoked: it has stopped working")).to_be_visible()
    expect(rows).to_have_count(1)
    assert (create(desk, first, short_description="x"), create(desk, second, short_description="x")) == (401, 201)
    admin.get_by_text("Revoke all tokens of this integration").click()
    admin.get_by_role("button", name="Revoke all", exact=True).click()
    expect(admin.get_by_text("All tokens of Revoked are revoked")).to_be_visible()
    expect(admin.get_by_role("heading", name="Nothing matches")).to_be_visible()
    assert create(desk, second, short_description="x") == 401


def test_a_finding_is_followed_to_its_field_and_put_right(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Neglected")
    admin.get_by_text("Advanced options").click()
    admin.get_by_label("Clock skew (seconds)").fill("300")
    save(admin)
    go_to_first(admin, "machine overview")
    admin.get_by_role("link", name="Security score").click()
    admin.get_by_role("link", name="Neglected").first.click()
    admin.get_by_role("link", name="Security findings", exact=True).click()
    row = admin.get_by_role("row").filter(has_text="wide_clock_skew")
    row.get_by_role("link", name="Synchronize the clocks").click()
    skew = admin.get_by_label("Clock skew (seconds)")
    expect(skew).to_be_in_viewport()
    skew.fill("60")
    admin.get_by_role("button", name="Save").first.click()
    admin.get_by_role("link", name="Security findings", exact=True).click()
    expect(admin.get_by_role("heading", name="Security Findings")).to_be_visible()
    expect(row).to_have_count(0)


@pytest.mark.parametrize("width", [400, 1280])
def test_the_overview_draws_what_was_exchanged(
    admin: Page, idp: str, get_token: Callable[[str], str], width: int
) -> None:
    fill_in(admin, idp, f"Drawn at {width}")
    get_token(save(admin))
    admin.set_viewport_size({"width": width, "height": 800})
    admin.goto("/machine-identity")
    chart = admin.get_by_role("img", name=re.compile("^In the last 24 hours: [1-9][0-9]* accepted"))
    expect(chart).to_be_visible()
    # Soon after the hour, its own bar may be low beside that of the hour before.
    heights = chart.locator("rect.of-accepted").evaluate_all(
        "bars => bars.map(bar => bar.getBoundingClientRect().height)"
    )
    assert max(heights) > 5
    assert width_of(admin) <= width
