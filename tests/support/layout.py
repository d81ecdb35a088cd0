"""What a browser's page measures once it is drawn, and whether everybody can use it."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1280)


def width_of(page: Page) -> int:
    """Return how wide the page's contents are, in CSS pixels.

    A click does not wait for the page that it opens, whose text is there to be found before its style sheet is: a
    page without one is as wide as its longest line.
    """
    page.wait_for_load_state("load")
    return int(page.evaluate("document.documentElement.scrollWidth"))


def assert_accessible(page: Page) -> None:
    """Insist that axe finds no violation in the page, and that it fits, in both themes and in a narrow and wide window.

    A page that is still loading has no landmarks yet.
    """
    page.wait_for_load_state("load")
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            found = Axe().run(page)
            assert found.violations_count == 0, f"{theme}, {width}: {found.generate_report()}"
            assert width_of(page) <= width
