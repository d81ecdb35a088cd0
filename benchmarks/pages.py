"""The time to the first paint of a page, in a browser with an empty cache, on an instance with many changes."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Browser, StorageState, sync_playwright

from benchmarks.bounds import Bound
from benchmarks.cases import ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.product import USER

CHROMIUM = "chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ROUNDS = 7
MOST_MS = 250.0
PATHS = ("/change-requests", "/change-requests/{change}", "/change-requests/new", "/calendar", "/dashboard")
PAINT = """() => new Promise((done) => {
  new PerformanceObserver((list) => {
    for (const paint of list.getEntriesByName("first-contentful-paint")) done(paint.startTime);
  }).observe({ type: "paint", buffered: true });
})"""


@dataclass(frozen=True)
class Pages:
    """An instance whose pages are opened by the user who also calls its APIs."""

    site: ServedSite

    def bounds(self, rounds: int = ROUNDS) -> Sequence[Bound]:
        """Open each page a few times, and return the median time of its first paint. Raises `BenchFailed`."""
        chromium = shutil.which(CHROMIUM)
        if chromium is None:
            raise BenchFailed("Pages are measured in Chromium: apt-get install chromium")
        change = self.site.past.sys_ids[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
            cookies = self._sign_in(browser)
            return [
                Bound(
                    f"{path.format(change='<sys_id>')}: first paint, ms",
                    median(self._paint(browser, cookies, path.format(change=change)) for _ in range(rounds)),
                    MOST_MS,
                )
                for path in PATHS
            ]

    def _sign_in(self, browser: Browser) -> StorageState:
        with browser.new_context(base_url=self.site.server.base_url) as context:
            page = context.new_page()
            page.goto("/login")
            page.get_by_label("User name").fill(USER)
            page.get_by_label("Password").fill(self.site.instance.password)
            page.get_by_role("button", name="Log in", exact=True).click()
            page.wait_for_url("/")
            return context.storage_state()

    def _paint(self, browser: Browser, cookies: StorageState, path: str) -> float:
        with browser.new_context(base_url=self.site.server.base_url, storage_state=cookies) as context:
            page = context.new_page()
            page.goto(path)
            return float(page.evaluate(PAINT))
