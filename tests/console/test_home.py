"""The first page."""

import html
import re

from changegate.services.integrations.saving import Registered
from tests.console.conftest import MakeChange, SignIn
from tests.console.visitor import Visitor


def counts_of(text: str) -> dict[str, int]:
    """Return the counts by label."""
    found = re.findall(r'class="count">(\d+)</span>\s*<span class="pill[^"]*">([^<]+)<', text)
    return {label: int(count) for count, label in found}


def test_counts_changes_by_state_and_integrations(
    admin: Visitor, make_change: MakeChange, integration: Registered
) -> None:
    for state in (-5, -5, -1):
        make_change(short_description="x", state=state)
    counts = counts_of(admin.open("/").text)
    assert (counts["New"], counts["Implement"], counts["Closed"]) == (2, 1, 0)
    assert (counts["Active"], counts["Inactive"]) == (1, 0)


def test_counts_only_records_with_read_access(sign_in: SignIn, make_change: MakeChange) -> None:
    make_change(short_description="x")
    assert counts_of(sign_in("tom.okafor").open("/").text)["New"] == 0
    assert counts_of(sign_in("ines.duarte", "itil").open("/").text)["New"] == 1


def test_invites_to_the_first_integration(admin: Visitor) -> None:
    assert "No identity provider is trusted yet" in admin.open("/").text


def test_shows_what_waits_for_the_user(sign_in: SignIn, make_change: MakeChange) -> None:
    ines = sign_in("ines.duarte", "itil")
    for user_name in ("ines.duarte", "ines.duarte", "admin"):
        make_change(short_description="x", assigned_to=user_name)
    page = ines.open("/").text
    rows = dict(re.findall(r"<span>([^<]+)</span><span class=\"count\">(\d+)<", page))
    assert (rows["Assigned to me"], rows["Waiting for my approval"]) == ("2", "0")
    link = re.search(r'href="([^"]+)"[^>]*><span>Assigned to me', page)
    assert link
    listed = ines.open(html.unescape(link[1])).text
    assert listed.count('class="row-link"') == 2
