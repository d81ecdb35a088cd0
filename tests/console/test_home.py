"""The first page."""

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
