"""A real browser in front of a real server, beside a real identity provider."""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from changegate import create_app
from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.console.example_records import Examples, furnish
from tests.console.page_paths import MORE_PAGES, OTHERS, PUBLIC, paths_of
from tests.support.live_users import Person
from tests.support.servers import Running, running_changegate, running_demo_idp

CHROMIUM = "/usr/bin/chromium"
# Chromium's own sandbox does not work for root, as whom containers run tests.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
TIMEOUT_MS = 60_000


@pytest.fixture(scope="session", autouse=True)
def loaded_pages() -> Iterator[None]:
    """Let a click and a key wait until the page that they open has loaded; Playwright waits until it begins to load.

    Only then do scripts listen, and has a page the landmarks and styles that a test reads without waiting.
    """
    expect.set_options(timeout=TIMEOUT_MS)
    with mock.patch.multiple(Locator, click=_loaded_after(Locator.click), press=_loaded_after(Locator.press)):
        yield


def _loaded_after(action: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(action)
    def act(locator: Locator, *arguments: Any, **options: Any) -> None:
        action(locator, *arguments, **options)
        locator.page.wait_for_load_state("load")

    return act


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    """Start the system's Chromium; without one the tests fail and say what is missing."""
    if shutil.which(CHROMIUM) is None:
        pytest.fail("The browser tests need Chromium: apt-get install chromium", pytrace=False)
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": OPTIONS}


@pytest.fixture(scope="session")
def desk(new_instance: NewInstance) -> Iterator[Running]:
    """Serve the product, as `changegate serve` does, on an instance of its own."""
    with running_changegate(new_instance()) as running:
        yield running


@pytest.fixture(scope="session")
def base_url(desk: Running) -> str:
    """Return what the paths in tests are relative to."""
    return desk.url


@pytest.fixture(scope="session")
def idp() -> Iterator[str]:
    """Serve the demo identity provider and return its address."""
    with running_demo_idp() as address:
        yield address


@dataclass(frozen=True, slots=True)
class Furnished:
    """A server with records of every kind, the cookies of its administrator, and the paths of its pages."""

    desk: Running
    examples: Examples
    cookies: StorageState
    public: list[str]
    others: list[str]


@pytest.fixture(scope="session")
def furnished(browser: Browser, new_instance: NewInstance) -> Iterator[Furnished]:
    instance = new_instance()
    examples = furnish(instance)
    app = create_app(instance_path=instance)
    public, others = (list(paths_of(app, examples, audiences)) for audiences in (PUBLIC, OTHERS))
    with running_changegate(instance) as desk, signed_in(browser, desk, "admin", ADMIN_PASSWORD) as page:
        cookies = page.context.storage_state()
        yield Furnished(desk, examples, cookies, public, [*others, *map(examples.fill, MORE_PAGES)])


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """Collect what the browser complains about; a test that uses this fails when there is anything."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    yield found
    assert found == []


@pytest.fixture(scope="session")
def session(browser: Browser, desk: Running) -> StorageState:
    """Sign in as the administrator and return the cookies; a test that ends its session begins one of its own."""
    with browser.new_context(base_url=desk.url) as context:
        sign_in(context.new_page())
        return context.storage_state()


@contextmanager
def signed_in(browser: Browser, desk: Running, user_name: str, password: str) -> Iterator[Page]:
    """Open a browser of its own in which a user has signed in, without the page to do so, which takes longer."""
    person = Person("", user_name, password)
    person.sign_in(desk)
    with browser.new_context(base_url=desk.url) as context:
        context.add_cookies([{"name": e.name, "value": e.value or "", "url": desk.url} for e in person.session.cookies])
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto("/")
        yield page


def sign_in(page: Page, user_name: str = "admin", password: str = ADMIN_PASSWORD) -> None:
    page.set_default_timeout(TIMEOUT_MS)
    page.goto("/login")
    page.get_by_label("User name").fill(user_name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("/")


@pytest.fixture
def admin(page: Page, session: StorageState) -> Page:
    """Return a page on which the administrator has signed in."""
    page.set_default_timeout(TIMEOUT_MS)
    page.context.add_cookies(session["cookies"])
    page.goto("/")
    return page
