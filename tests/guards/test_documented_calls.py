"""Every line of shell that the documents tell people to copy works against live processes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.extensions import db
from changegate.seed import seed_demo
from tests.conftest import ADMIN_PASSWORD
from tests.guards.documents import DOCS, README, blocks
from tests.support.servers import LONGEST_SECONDS, Running, running_changegate, running_demo_idp

WORKED_EXAMPLE = DOCS / "identity-providers" / "github-actions.md"
# A refusal must end the script, and curl's silence must not hide it.
STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with running_demo_idp() as url:
        yield url


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An instance with the demo's records, as somebody has who follows the README."""
    instance = tmp_path_factory.mktemp("documented")
    app = create_app(instance_path=instance)
    prepare_instance(app)
    with app.app_context():
        seed_demo(admin_password=ADMIN_PASSWORD)
        db.session.commit()
        db.engine.dispose()
    with running_changegate(instance) as running:
        yield running


def run(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", STRICT + script],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def localised(text: str, desk: Running, provider: str) -> str:
    """Put the test's own addresses and commands in the place of the demo's."""
    binaries = f"{Path(sys.executable).parent}/"
    replaced = {
        "http://127.0.0.1:8080": desk.url,
        "http://127.0.0.1:8081": provider,
        ".venv/bin/": binaries,
        "=instance/demo ": f"={desk.instance} ",
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text


def test_the_calls_of_the_readme_work(desk: Running, provider: str) -> None:
    script = "\n".join(blocks(README, "bash"))
    assert script.count("curl") >= 7
    done = run(localised(script, desk, provider), {**desk.environment, "ADMIN_PASSWORD": ADMIN_PASSWORD})
    answers = [json.loads(part) for part in re.findall(r"\{.*?\}(?=\{|\s|$)", done.stdout)]
    created, listed, read, changed = (answer["result"] for answer in answers)
    assert created["number"] == listed[0]["number"] == read["number"]
    assert changed["priority"] == "2"
    gone = requests.get(
        f"{desk.url}/api/now/table/change_request/{read['sys_id']}", auth=("admin", ADMIN_PASSWORD), timeout=10
    )
    assert gone.status_code == 404


def test_the_calls_of_the_token_services_work(desk: Running, provider: str) -> None:
    script = "\n".join(blocks(DOCS / "token-services.md", "bash"))
    done = run(localised(script, desk, provider), desk.environment)
    answers = [json.loads(part) for part in re.findall(r"\{.*?\}", done.stdout)]
    told = [answer["active"] for answer in answers if "active" in answer]
    assert told == [True, False, True]
    assert [answer["issuer"] for answer in answers if "issuer" in answer] == [desk.url]
    assert [answer["resource"] for answer in answers if "resource" in answer] == [desk.url, f"{desk.url}/api/now"]


def test_the_calls_of_the_connection_types_work(desk: Running, provider: str) -> None:
    script = "\n".join(blocks(DOCS / "connection-types.md", "bash"))
    done = run(localised(script, desk, provider), desk.environment)
    created = re.findall(r'"short_description":"([^"]+)"', done.stdout)
    assert created == ["Deploy by ID token", "Rotate the logs"]


def test_the_worked_example_and_its_command_name_the_same_user() -> None:
    [commands] = blocks(WORKED_EXAMPLE, "console")
    assert "user create shop-production --role itil" in commands
    assert "--run-as shop-production" in commands
