"""The commands on an integration's page, run as they stand there."""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import Page

from tests.browser.test_integration_trust import fill_in, save, sign

# Not every machine has jq; this does what the snippet asks of it.
JQ = 'jq() { "$PYTHON" -c \'import json, sys; print(json.load(sys.stdin)[sys.argv[2][1:]])\' "$@"; }\n'


def run(script: str, assertion: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "assertion": assertion}
    command = ["bash", "-euc", JQ + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("complaints")
def test_the_commands_on_the_page_create_a_change(admin: Page, idp: str) -> None:
    fill_in(admin, idp, "Snippet")
    save(admin)
    admin.locator("#pipeline summary").filter(has_text="curl").click()
    script = admin.locator("#snippet-curl").inner_text()
    made = run(script, sign(idp))
    assert made.returncode == 0, made.stderr
    assert "Deploy release 42" in made.stdout
    refused = run(script, sign(idp, aud="https://other.example.com"))
    assert refused.returncode == 1
    correlation_id = refused.stderr.partition('"correlation_id":"')[2][:32]
    admin.goto(f"/inbound-integrations/events?correlation_id={correlation_id}")
    assert admin.get_by_text("aud_mismatch").first.is_visible()
