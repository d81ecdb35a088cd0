"""What every page of the console is measured by, in each theme and width, on paper, and without JavaScript."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

# One of the four combinations less would miss something: axe knows the colors of both themes, and narrow layouts.
SIZES: tuple[tuple[Literal["light", "dark"], int, bool], ...] = (
    ("light", 360, True),
    ("dark", 1280, True),
    ("light", 1920, False),
)
HEIGHT = 800
# Swagger UI draws the explorer. Defects show HTML, not selectors, and pages play no sound, for which axe would preload.
AXE = "axe.run({exclude: ['.explorer']}, {resultTypes: ['violations'], selectors: false, preload: false})"
# A4 without its margins, in CSS pixels.
PAPER = 718
DEFECTS = (Path(__file__).parent / "defects.js").read_text()


def list_defects(page: Page) -> Iterator[str]:
    """Yield what is wrong with a page that has loaded with axe; the page is left in the last of the sizes."""
    page.wait_for_function("!document.querySelector('.explorer[aria-busy]')")
    page.locator("main details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    for theme, width, by_axe in SIZES:
        page.emulate_media(media="screen", color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": HEIGHT})
        named = f"{theme} at {width}"
        yield from (f"{named}: {found}" for found in _violations(page) if by_axe)
        yield from (f"{named}: {found}" for found in page.evaluate(DEFECTS, "screen"))
    page.set_viewport_size({"width": PAPER, "height": HEIGHT})
    page.emulate_media(media="print", color_scheme="light")
    yield from (f"on paper: {found}" for found in page.evaluate(DEFECTS, "print"))


def list_defects_without_scripts(page: Page) -> Iterator[str]:
    """Yield what is wrong with a page that runs no scripts."""
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        yield from (f"without JavaScript at {width}: {found}" for found in page.evaluate(DEFECTS, "no scripts"))


def _violations(page: Page) -> Iterator[str]:
    found: dict[str, Any] = page.evaluate(AXE)
    for violation in found["violations"]:
        for node in violation["nodes"]:
            yield f"{violation['id']}: {violation['help']}: {node['html'][:200]}"
