"""The headers of every page, and what no page contains."""

import re

import pytest

from changegate.services.integrations.saving import Registered
from tests.console.conftest import MakeChange
from tests.console.visitor import Visitor

PAGES = (
    "/",
    "/change-requests",
    "/change-requests/{change}",
    "/inbound-integrations",
    "/inbound-integrations/new",
    "/inbound-integrations/new/jwt-bearer",
    "/inbound-integrations/new/jwt-bearer/form",
    "/inbound-integrations/{integration}",
    "/inbound-integrations/{integration}/run",
    "/rest-api-explorer",
    "/login",
    "/nowhere",
)


@pytest.fixture
def texts(visitor: Visitor, admin: Visitor, integration: Registered, make_change: MakeChange) -> dict[str, str]:
    """Return the HTML of every page."""
    names = {"change": make_change(short_description="x"), "integration": integration.entity.client_id}
    pages = {path: (visitor if path == "/login" else admin).open(path.format(**names)) for path in PAGES}
    for page in pages.values():
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' data:")
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
    return {path: page.text for path, page in pages.items()}


def test_no_page_holds_a_script_or_a_style_of_its_own(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        openings = re.findall(r"<script[^>]*>", text)
        assert openings, path
        for opening in openings:
            assert " src=" in opening, path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path


def test_every_asset_comes_from_this_site(texts: dict[str, str], visitor: Visitor) -> None:
    found = {
        address
        for text in texts.values()
        for address in re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', text)
    }
    assert any("bootstrap" in address for address in found)
    for address in found:
        assert address.startswith("/")
        assert visitor.open(address).status_code == 200


def test_every_input_has_a_label(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        tags = re.findall(r"<(?:input|select|textarea)\b[^>]*>", text)
        assert tags, path
        for tag in tags:
            identifier = re.search(r' id="([^"]+)"', tag)
            is_labelled = 'type="hidden"' in tag or "aria-label=" in tag or f"<label>{tag}" in text
            assert is_labelled or (identifier and f'for="{identifier[1]}"' in text), (path, tag)


def test_identifiers_are_unique_in_a_page(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        found = re.findall(r'\sid="([^"]+)"', text)
        assert found, path
        assert len(found) == len(set(found)), path


def test_every_post_form_carries_a_token(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        forms = re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL)
        assert forms, path
        for form in forms:
            assert 'name="csrf_token"' in form, path
