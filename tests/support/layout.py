"""What a browser's page measures once it is drawn, and whether everybody can use it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def width_of(page: Page) -> int:
    """Return how wide the page's contents are, in CSS pixels.

    A click does not wait for the page that it opens, whose text is there to be found before its style sheet is: a
    page without one is as wide as its longest line.
    """
    page.wait_for_load_state("load")
    return int(page.evaluate("document.documentElement.scrollWidth"))


def assert_accessible(page: Page) -> None:
    """Insist that axe finds no violation in the page; a page that is still loading has no landmarks yet."""
    page.wait_for_load_state("load")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
