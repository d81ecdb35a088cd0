"""The pictures of the documentation, taken of the demo's records: `make screenshots`."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from changegate.cli.demo_instance import FOLDER, LOGIN_FILE
from tests.browser.conftest import CHROMIUM, OPTIONS, sign_in
from tests.conftest import ADMIN_PASSWORD
from tests.guards.source_tree import ROOT
from tests.support.live_desk import CHANGES, administer
from tests.support.servers import Running, environment_of, free_port, running_demo

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 150_000
WIDTH, HEIGHT = 1280, 720
PHONE = 390
TOM = "tom.okafor"
# The port of the demo identity provider that the documentation names.
IDP_PORT = 8081
KEYS = f"http://127.0.0.1:{IDP_PORT}/.well-known/jwks.json"
HIDE_FOCUS = "document.activeElement?.blur()"
FIELDS = {
    "short_description": "Replace the core switch in room 2",
    "description": "The old switch has no spare parts left. The new one is mounted and configured.",
    "assignment_group": "Network",
    "cmdb_ci": "core-switch-02",
    "requested_by": TOM,
    "assigned_to": TOM,
    "risk": "4",
    "implementation_plan": "Move the uplinks one after the other; each takes about ten minutes.",
    "backout_plan": "Move the uplinks back; the old switch stays powered for a week.",
}
STEPS = (
    {"work_notes": "The spare parts are in the room."},
    {"comments": "Please keep the phones of the reception working."},
    {"state": "-4"},
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as a user sees it; `<change>` in its path is a change that waits for an approval, planned for `<day>`.

    `opens` is the element to unfold, and `pastes` what is pasted into the quick setup.
    """

    name: str
    path: str
    user: str = "maria.keller"
    width: int = WIDTH
    height: int = HEIGHT
    theme: Literal["light", "dark"] = "light"
    opens: str = ""
    pastes: str = ""


PICTURES = (
    Picture("console-changes", "/change-requests?sysparm_query=active=true", height=600),
    Picture("console-change", "/change-requests/<change>?tab=activity", user=TOM, height=840),
    Picture("console-approval", "/my-approvals", opens="main tbody details", height=760),
    Picture("console-form", "/change-requests/<change>/edit", user=TOM),
    Picture("console-calendar", "/calendar?day=<day>"),
    Picture("console-dashboard", "/dashboard", theme="dark", height=940),
    Picture("console-phone", "/change-requests/<change>", width=PHONE),
    Picture("quick-setup", "/inbound-integrations/new/jwt-bearer", user="admin", width=800, height=1250, pastes=KEYS),
)


def main() -> None:
    """Serve the demo's records, and replace the pictures."""
    with tempfile.TemporaryDirectory() as folder, _serving_demo(Path(folder)) as desk, sync_playwright() as playwright:
        start = (datetime.now(UTC) + timedelta(days=4)).replace(hour=20, minute=0, second=0)
        places = {"<change>": _add_change(desk, start), "<day>": f"{start:%Y-%m-%d}"}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        for picture in PICTURES:
            content = _take(browser, desk, picture, places)
            assert len(content) < MOST_BYTES, f"{picture.name} has {len(content):,} bytes; make it smaller."
            (IMAGES / f"{picture.name}.png").write_bytes(content)
        browser.close()


@contextmanager
def _serving_demo(folder: Path) -> Iterator[Running]:
    instance, port = folder / FOLDER, free_port()
    instance.mkdir()
    (instance / LOGIN_FILE).write_text(ADMIN_PASSWORD)
    environment = environment_of(folder)
    with running_demo("--port", str(port), "--idp-port", str(IDP_PORT), environment=environment) as demo:
        yield Running(f"http://127.0.0.1:{port}", demo.process, instance, environment)


def _add_change(desk: Running, start: datetime) -> str:
    """Add a change of Tom's, which waits for Maria's approval."""
    plan = {"start_date": f"{start:%Y-%m-%d %H:%M:%S}", "end_date": f"{start + timedelta(hours=2):%Y-%m-%d %H:%M:%S}"}
    change = administer(desk, "POST", CHANGES, acting=TOM, **FIELDS, **plan)["sys_id"]
    for fields in STEPS:
        administer(desk, "PATCH", f"{CHANGES}/{change}", acting=TOM, **fields)
    return str(change)


def _take(browser: Browser, desk: Running, picture: Picture, places: Mapping[str, str]) -> bytes:
    viewport = ViewportSize(width=picture.width, height=picture.height)
    with browser.new_context(base_url=desk.url, viewport=viewport, color_scheme=picture.theme) as context:
        page = context.new_page()
        sign_in(page, picture.user, ADMIN_PASSWORD)
        path = picture.path
        for name, value in places.items():
            path = path.replace(name, value)
        page.goto(path)
        if picture.pastes:
            page.get_by_label("Paste a JWKS URL").fill(picture.pastes)
            page.get_by_role("button", name="Continue").click()
            page.get_by_role("heading", name="Recognized").wait_for()
        page.evaluate(HIDE_FOCUS)
        if picture.opens:
            page.locator(picture.opens).first.evaluate("each => { each.open = true; }")
        return page.screenshot()


if __name__ == "__main__":
    main()
