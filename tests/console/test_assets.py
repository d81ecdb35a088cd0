"""Static files: names by content, how long browsers keep them, compression, and how much a page loads."""

import gzip
import re

import pytest
from flask import Flask, url_for
from werkzeug.test import TestResponse

from changegate.console.compression import LEAST_BYTES
from tests.console.conftest import MakeChange
from tests.console.example_records import add_examples
from tests.console.page_paths import MORE_PAGES, OTHERS, PUBLIC, paths_of
from tests.console.visitor import Visitor

OWN = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
MOST_BYTES = 200_000
EXPLORER = "/rest-api-explorer"
FILES = ("console.css", "theme.js", "mark.svg", "bootstrap.min.css", "swagger-ui-bundle.js")


def address_of(app: Flask, name: str) -> str:
    with app.test_request_context():
        return url_for("assets.static", filename=name)


def get(visitor: Visitor, path: str, **headers: str) -> TestResponse:
    return visitor.client.get(path, headers=headers, buffered=True)


@pytest.mark.parametrize("name", FILES)
def test_a_browser_keeps_a_file_that_is_named_after_its_content(app: Flask, visitor: Visitor, name: str) -> None:
    path = address_of(app, name)
    answer = get(visitor, path)
    assert re.fullmatch(r"/static/[\w.-]+\.[0-9a-f]{12}\.(css|js|svg)", path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["console.css", "console.000000000000.css", "swagger-ui-bundle.000000000000.js"])
def test_a_file_of_another_version_is_there_and_not_kept(visitor: Visitor, name: str) -> None:
    answer = get(visitor, f"/static/{name}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "name", ["oauth2-redirect.html", "VERSION", "..", "%2e%2e%2f__init__.py", "nothing.css", "a.b.c.css", ""]
)
def test_no_other_file_is_served(visitor: Visitor, name: str) -> None:
    assert get(visitor, f"/static/{name}").status_code == 404


@pytest.fixture
def settings() -> dict[str, str]:
    """Have a mail server, without which there is no page for forgotten passwords."""
    return {"smtp_url": "smtp://127.0.0.1:9", "mail_from": "changegate@example.com"}


def test_files_are_compressed_for_those_who_accept_it(app: Flask, visitor: Visitor) -> None:
    path = address_of(app, "console.css")
    plain, packed = get(visitor, path), get(visitor, path, **{"Accept-Encoding": "br, gzip"})
    assert (plain.content_encoding, packed.content_encoding) == (None, "gzip")
    assert gzip.decompress(packed.data) == plain.data
    assert get(visitor, path, **{"Accept-Encoding": "gzip;q=0"}).content_encoding is None
    assert "Accept-Encoding" in packed.headers["Vary"]


@pytest.mark.parametrize(
    ("site", "is_compressed"),
    [("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False), (None, False)],
)
def test_a_page_is_compressed_only_for_requests_of_this_site(
    admin: Visitor, make_change: MakeChange, site: str | None, is_compressed: bool
) -> None:
    make_change(short_description="x")
    headers = {"Accept-Encoding": "gzip"} | ({"Sec-Fetch-Site": site} if site else {})
    page = get(admin, "/change-requests", **headers)
    assert (page.content_encoding == "gzip") is is_compressed
    assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(page.vary)
    content = gzip.decompress(page.data) if is_compressed else page.data
    assert b"</html>" in content
    assert page.content_length == len(page.data)


def test_a_page_is_not_compressed_without_being_asked_for(admin: Visitor) -> None:
    assert get(admin, "/", **{"Sec-Fetch-Site": "same-origin"}).content_encoding is None


def test_what_is_short_or_no_page_is_not_compressed(admin: Visitor, make_change: MakeChange) -> None:
    make_change(description="x" * LEAST_BYTES)
    assert get(admin, "/records/change_request/export/csv?fields=description", **OWN).content_encoding is None
    fragment = get(admin, "/records/sys_user/suggestions?q=nobody-of-this-name", **OWN)
    assert fragment.content_encoding is None


def test_no_page_is_heavy(app: Flask, visitor: Visitor, admin: Visitor) -> None:
    """What a browser loads that has kept nothing: the page and all that it refers to."""
    examples = add_examples(app)
    pages = [(visitor, path) for path in paths_of(app, examples, PUBLIC)]
    pages += [(admin, path) for path in (*paths_of(app, examples, OTHERS), *map(examples.fill, MORE_PAGES))]
    sizes: dict[str, int] = {}
    for person, path in pages:
        page = get(person, path, **OWN)
        text = gzip.decompress(page.data).decode() if page.content_encoding else page.text
        files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
        assert len(files) >= 4, path
        sizes[path] = len(page.data) + sum(len(get(person, file, **OWN).data) for file in files)
    assert {path for path, size in sizes.items() if size >= MOST_BYTES} == {EXPLORER}
