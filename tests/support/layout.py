"""What a browser's page measures once it is drawn, and whether everybody can use it."""

from collections.abc import Iterator
from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

Seen = tuple[Literal["light", "dark"], int]
# One of the four combinations less would miss something: axe knows the colors of both themes, and narrow layouts.
SEEN: tuple[Seen, ...] = (("light", 360), ("dark", 1280))
WIDTHS = tuple(width for _, width in SEEN)
HEIGHT = 800
# Swagger UI draws the explorer. Defects show HTML, not selectors, and pages play no sound, for which axe would preload.
AXE = """(excluded) => axe.run(
    {exclude: [".explorer", ...excluded]}, {resultTypes: ["violations"], selectors: false, preload: false}
)"""


def width_of(page: Page) -> int:
    """Return how wide the page's contents are, in CSS pixels.

    A click does not wait for the page that it opens, whose text is there to be found before its style sheet is: a
    page without one is as wide as its longest line.
    """
    page.wait_for_load_state("load")
    return int(page.evaluate("document.documentElement.scrollWidth"))


def list_violations(page: Page, *excluded: str) -> Iterator[str]:
    """Yield what axe, which the page has loaded, finds wrong with it outside of the elements of some selectors."""
    found: dict[str, Any] = page.evaluate(AXE, [*excluded])
    for violation in found["violations"]:
        for node in violation["nodes"]:
            yield f"{violation['id']}: {violation['help']}: {node['html'][:200]}"


def assert_accessible(page: Page) -> None:
    """Insist that axe finds no violation in the page, and that it fits, in a narrow and in a wide, dark window.

    A page that is still loading has no landmarks yet.
    """
    page.wait_for_load_state("load")
    page.evaluate(AXE_SCRIPT)
    for theme, width in SEEN:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert [*list_violations(page)] == [], f"{theme}, {width}"
        assert width_of(page) <= width
