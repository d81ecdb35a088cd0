"""What every page of the console is measured by, in each theme and width, on paper, and without JavaScript."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.support.layout import HEIGHT, SEEN, WIDTHS, Seen, list_violations

# The last size is too wide for axe to find more.
SIZES: tuple[Seen, ...] = (*SEEN, ("light", 1920))
# These are the same on all pages, of which axe checks them on one: they take a quarter of its time.
SHELL = (".topbar", ".navigator")
PAGE_WITH_SHELL = "/change-requests"
# A4 without its margins, in CSS pixels.
PAPER = 718
DEFECTS = (Path(__file__).parent / "defects.js").read_text()


def list_defects(page: Page) -> Iterator[str]:
    """Yield what is wrong with a page that has loaded with axe; the page is left in the last of the sizes."""
    page.locator(".explorer[aria-busy]").wait_for(state="detached")
    page.locator("main details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    excluded = () if urlsplit(page.url).path == PAGE_WITH_SHELL else SHELL
    for theme, width in SIZES:
        page.emulate_media(media="screen", color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": HEIGHT})
        named = f"{theme} at {width}"
        if width in WIDTHS:
            yield from (f"{named}: {found}" for found in list_violations(page, *excluded))
        yield from (f"{named}: {found}" for found in page.evaluate(DEFECTS, "screen"))
    page.set_viewport_size({"width": PAPER, "height": HEIGHT})
    page.emulate_media(media="print", color_scheme="light")
    yield from (f"on paper: {found}" for found in page.evaluate(DEFECTS, "print"))


def list_defects_without_scripts(page: Page) -> Iterator[str]:
    """Yield what is wrong with a page that runs no scripts."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        yield from (f"without JavaScript at {width}: {found}" for found in page.evaluate(DEFECTS, "no scripts"))
