"""Every page of the console, from the routes: light, dark, narrow, wide, on paper, and without JavaScript."""

from collections.abc import Callable, Iterable
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from tests.browser.conftest import TIMEOUT_MS, Furnished
from tests.browser.walk import PAGE_WITH_SHELL, list_defects, list_defects_without_scripts


def walk(
    browser: Browser, furnished: Furnished, measure: Callable[[Page], Iterable[str]], **options: Any
) -> dict[str, list[str]]:
    """Open each page, those for everyone without a session, and return what is wrong by path."""
    found: dict[str, list[str]] = {}
    for paths, cookies in ((furnished.public, None), (furnished.others, furnished.cookies)):
        with browser.new_context(base_url=furnished.desk.url, storage_state=cookies, **options) as context:
            context.add_init_script(AXE_SCRIPT)
            page = context.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            errors: list[str] = []
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            for path in paths:
                page.goto(path)
                found[path] = [*measure(page), *errors]
                errors.clear()
    return {path: defects for path, defects in found.items() if defects}


def test_every_page_is_accessible_and_fits(browser: Browser, furnished: Furnished) -> None:
    assert PAGE_WITH_SHELL in furnished.others
    # The pages' own policy would keep axe out.
    assert not walk(browser, furnished, list_defects, bypass_csp=True)


def test_every_page_works_without_scripts(browser: Browser, furnished: Furnished) -> None:
    assert not walk(browser, furnished, list_defects_without_scripts, java_script_enabled=False)
