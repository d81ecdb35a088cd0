"""Every page of the console, from the routes: light, dark, narrow, wide, on paper, and without JavaScript."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState

from changegate import create_app
from changegate.extensions import db
from tests.browser.conftest import TIMEOUT_MS, sign_in
from tests.browser.walk import list_defects, list_defects_without_scripts
from tests.console.example_records import add_examples
from tests.console.page_paths import MORE_PAGES, OTHERS, PUBLIC, paths_of
from tests.support.servers import Running, running_changegate


@dataclass(frozen=True, slots=True)
class Furnished:
    """A server with records of every kind, the cookies of its administrator, and the paths of its pages."""

    desk: Running
    cookies: StorageState
    public: list[str]
    others: list[str]

    def walk(self, browser: Browser, measure: Callable[[Page], Iterable[str]], **options: Any) -> dict[str, list[str]]:
        """Open each page, those for everyone without a session, and return what is wrong by path."""
        found: dict[str, list[str]] = {}
        for paths, cookies in ((self.public, None), (self.others, self.cookies)):
            with browser.new_context(base_url=self.desk.url, storage_state=cookies, **options) as context:
                page = context.new_page()
                page.set_default_timeout(TIMEOUT_MS)
                errors: list[str] = []
                page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
                for path in paths:
                    page.goto(path)
                    found[path] = [*measure(page), *errors]
                    errors.clear()
        return {path: defects for path, defects in found.items() if defects}


@pytest.fixture(scope="module")
def furnished(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, prepared_database: bytes
) -> Iterator[Furnished]:
    folder = tmp_path_factory.mktemp("furnished")
    (folder / "changegate.db").write_bytes(prepared_database)
    app = create_app(instance_path=folder, overrides={"jwks_allow_loopback": "1"})
    examples = add_examples(app)
    with app.app_context():
        db.engine.dispose()
    public, others = (list(paths_of(app, examples, audiences)) for audiences in (PUBLIC, OTHERS))
    with running_changegate(folder) as desk, browser.new_context(base_url=desk.url) as context:
        sign_in(context.new_page())
        yield Furnished(desk, context.storage_state(), public, [*others, *map(examples.fill, MORE_PAGES)])


def test_every_page_is_accessible_and_fits(browser: Browser, furnished: Furnished) -> None:
    # The pages' own policy would keep axe out.
    assert not furnished.walk(browser, list_defects, bypass_csp=True)


def test_every_page_works_without_scripts(browser: Browser, furnished: Furnished) -> None:
    assert not furnished.walk(browser, list_defects_without_scripts, java_script_enabled=False)
