"""What a browser's page measures once it is drawn."""

from playwright.sync_api import Page


def width_of(page: Page) -> int:
    """Return how wide the page's contents are, in CSS pixels.

    A click does not wait for the page that it opens, whose text is there to be found before its style sheet is: a
    page without one is as wide as its longest line.
    """
    page.wait_for_load_state("load")
    return int(page.evaluate("document.documentElement.scrollWidth"))
