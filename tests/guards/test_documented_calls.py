"""Every command that the guides show works against live processes, and nothing in them is left out.

The guides are the README and the quick starts. Their blocks are scripts (`bash`), commands for a terminal of their own
(`console`), and output (`text`); a block of another kind needs a test of its own first.
"""

import html
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.extensions import db
from changegate.seed import seed_demo
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import FormReader
from tests.guards.command_line import find_fault, is_call
from tests.guards.documents import CODE, DOCS, FENCE, README, blocks
from tests.guards.source_tree import ROOT
from tests.support.forked import write_program
from tests.support.servers import (
    LONGEST_SECONDS,
    Running,
    environment_of,
    free_port,
    running_changegate,
    running_demo_idp,
    serving,
)

ADMINISTRATORS, PIPELINES = DOCS / "quick-start-administrators.md", DOCS / "quick-start-pipelines.md"
GUIDES = (README, ADMINISTRATORS, PIPELINES)
BINARIES = f"{Path(sys.executable).parent}/"
# Commands of the guides that serve until they are interrupted, each with the path that answers once it is ready.
SERVERS = {
    "make run": "/readyz",
    "CHANGEGATE_JWKS_ALLOW_LOOPBACK=1 make run": "/readyz",
    ".venv/bin/demo-idp serve": "/healthz",
}
# Commands that this module does not run, with the programs that they start: tests/cli/test_demo.py runs the demo, and
# the tests run already.
NOT_RUN = {"make demo": "changegate demo --port 8080 --idp-port 8081", "make test": "tests/run"}
PROMPT = re.compile(r"^\$ (?P<command>.*?)(?: +# .*)?$", re.MULTILINE)
COMMAND_LINE = re.compile(
    r"^(\$ |(\w+=\S+ )?(\S*/)?(make|curl|changegate|demo-idp|python3?|gh|kubectl) )", re.MULTILINE
)
LABEL = re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)")
WORKED_EXAMPLE = DOCS / "identity-providers" / "github-actions.md"
# A refusal must end the script, and curl's silence must not hide it.
STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with running_demo_idp() as url:
        yield url


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An instance with the demo's records, as a reader of the README has."""
    instance = tmp_path_factory.mktemp("documented")
    app = create_app(instance_path=instance)
    prepare_instance(app)
    with app.app_context():
        seed_demo(admin_password=ADMIN_PASSWORD)
        db.session.commit()
        db.engine.dispose()
    with running_changegate(instance) as running:
        yield running


def run(script: str, environment: Mapping[str, str], strictly: str = STRICT) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        orders = write_program(Path(folder, "changegate"))
        done = subprocess.run(
            ["bash", "-c", strictly + script],
            env={**environment, "PATH": f"{folder}:{environment['PATH']}"},
            pass_fds=[orders],
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def localised(text: str, desk: Running, provider: str) -> str:
    """Put the test's own addresses, commands, and instance in the place of the documented ones."""
    replaced = {
        "http://127.0.0.1:8080": desk.url,
        "http://127.0.0.1:8081": provider,
        # Importing the product takes each command a second.
        ".venv/bin/changegate ": "changegate ",
        ".venv/bin/": BINARIES,
        "=instance/demo ": f"={desk.instance} ",
    }
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def test_the_calls_of_the_readme_and_of_the_table_api_work(desk: Running, provider: str) -> None:
    script = "\n".join([*blocks(README, "bash"), *blocks(DOCS / "table-api.md", "bash")])
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


def test_the_calls_of_the_change_management_api_work(desk: Running, provider: str) -> None:
    script = "\n".join(blocks(DOCS / "change-management-api.md", "bash"))
    done = run(localised(script, desk, provider), {**desk.environment, "ADMIN_PASSWORD": ADMIN_PASSWORD})
    results = [answer["result"] for answer in json_texts(done.stdout)]
    read, patched, listed, task, next_states, blockers, gone = results
    assert read["priority"] == {"value": 2, "display_value": "2 - High"}
    assert patched["description"]["value"] == "Version 4.2"
    assert [change["sys_id"] for change in listed] == [read["sys_id"]]
    assert (
        task["state"]["display_value"] == "In Progress" and task["change_request"]["value"] == read["sys_id"]["value"]
    )
    assert next_states["available_states"] == ["-5", "-4", "4"]
    assert [blocker["field"] for blocker in blockers] == ["assignment_group"]
    assert gone["number"] == read["number"]


def test_the_calls_about_risk_and_standard_changes_work(desk: Running, provider: str) -> None:
    """In this order: the first page creates the change whose risk the second one calculates, and an integration."""
    admin = ("admin", ADMIN_PASSWORD)
    registered = {
        "name": "Deployments",
        "provider_name": "CI",
        "issuer": "https://idp.example.com",
        "audiences": ["https://change.example.com"],
        "run_as": "release.bot",
        "jwks_url": f"{provider}/jwks",
    }
    answer = requests.post(f"{desk.url}/api/now/oauth/integrations", json=registered, auth=admin, timeout=60)
    assert answer.status_code == 201, answer.text
    environment = {**desk.environment, "ADMIN_PASSWORD": ADMIN_PASSWORD}
    script = "\n".join(blocks(DOCS / "standard-changes.md", "bash"))
    results = [each["result"] for each in json_texts(run(localised(script, desk, provider), environment).stdout)]
    approved, by_version, by_template, bound = results
    assert (approved["state"], approved["decided_by"]["value"] != approved["proposed_by"]["value"]) == (
        "approved",
        True,
    )
    assert by_version["type"] == "standard" and "Resend the complete BGP table" in by_version["description"]
    assert by_template["implementation_plan"]["value"] == "Restart one node after the other"
    assert bound["integrations"]

    script = "\n".join(blocks(DOCS / "risk.md", "bash"))
    change = by_version["sys_id"]
    done = run(localised(script, desk, provider), {**environment, "CHANGE": change})
    *_, created, calculated = [each["result"] for each in json_texts(done.stdout)]
    assert (created["risk"], json.loads(created["risk_explanation"])["sentence"]) == (
        "2",
        "High, by Databases (version 1): High",
    )
    assert calculated["sys_id"]["value"] == change
    assert calculated["risk"] == {"value": 4, "display_value": "Low"}


def test_the_calls_of_the_page_about_schedules_work(desk: Running, provider: str) -> None:
    script = "\n".join(blocks(DOCS / "schedules.md", "bash"))
    done = run(localised(script, desk, provider), {**desk.environment, "ADMIN_PASSWORD": ADMIN_PASSWORD})
    span, windows, ended = [answer["result"] for answer in json_texts(done.stdout)]
    assert span["start_date_time"] == "2030-12-21 00:00:00"
    shown = [(each["start"], each["end"], each["state"]) for each in windows["spans"]]
    assert shown[1] == ("2030-12-20 23:00:00", "2031-01-01 23:00:00", "frozen")
    # The page shows this answer.
    [example] = blocks(DOCS / "schedules.md", "json")
    for member in ("from", "to", "next_opening"):
        assert f'"{member}": "{windows[member]}"' in example
    assert all(f'"start": "{start}", "end": "{end}", "state": "{state}"' in example for start, end, state in shown[:2])
    assert ended["active"] == "false"


def json_texts(text: str) -> Iterator[Any]:
    """Return the JSON values that stand one after the other in a text."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value


def test_the_calls_of_the_readme_can_be_repeated(desk: Running, provider: str) -> None:
    script = localised("\n".join(blocks(README, "bash")), desk, provider)
    numbers = [json.loads(run(script, desk.environment).stdout)["result"]["number"] for _ in range(2)]
    assert numbers[0] != numbers[1]


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


def test_the_calls_of_an_administrator_work(desk: Running, provider: str, tmp_path: Path) -> None:
    keys = ("--jwks-url", f"{provider}/.well-known/jwks.json", "--issuer", provider)
    created = desk.changegate(
        "integration",
        "create",
        "--json",
        "--name",
        "Reviewed",
        "--provider-name",
        "Demo IdP",
        "--run-as",
        "admin",
        *keys,
    )
    values = {
        "ADMIN": f"admin:{ADMIN_PASSWORD}",
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "CHANGEGATE": desk.url,
        "CLIENT_ID": json.loads(created.stdout)["client_id"],
    }
    scopes, openapi = (blocks(DOCS / f"{name}.md", "bash") for name in ("auth-scopes", "openapi"))
    [versions], [findings] = blocks(DOCS / "admin-api.md", "sh"), blocks(DOCS / "hygiene.md", "console")
    # The last command fails on purpose: the integration has a finding.
    script = "\n".join([f"cd {tmp_path}", *scopes, *openapi, versions, f"! {{ {findings}}}"])
    done = run(localised(script, desk, provider), desk.environment | values)
    for answer in ('"name":"auditor"', '"openapi":"3', '"comments":"Reviewed in May"', '"score":'):
        assert answer in done.stdout.replace('": ', '":'), answer


def test_the_worked_example_and_its_command_name_the_same_user() -> None:
    [commands] = blocks(WORKED_EXAMPLE, "console")
    assert "user create shop-production --role itil" in commands
    assert "--run-as shop-production" in commands


def unchecked(text: str) -> Iterator[str]:
    """Return what a guide tells its readers to run, and no test of this module runs or checks."""
    for block in FENCE.finditer(text):
        language, code = block["language"], block["code"]
        if language == "console":
            commands = [match["command"] for match in PROMPT.finditer(code)]
            yield from (command for command in commands or [code] if command not in {*SERVERS, *NOT_RUN})
        elif language == "text":
            yield from (line for line in code.splitlines() if COMMAND_LINE.match(line))
        elif language != "bash":
            yield block[0]
    prose = FENCE.sub("", text)
    yield from (line for line in prose.splitlines() if COMMAND_LINE.match(line.lstrip()))
    for code in CODE.findall(prose):
        if is_call(code) and (fault := find_fault(code)):
            yield f"{code}: {fault}"


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_every_command_of_a_guide_is_run_or_listed_as_not_run(path: Path) -> None:
    assert not list(unchecked(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ make bench\n```\n",
        "```console\n.venv/bin/changegate findings\n```\n",
        "```text\n.venv/bin/changegate findings\n```\n",
        "```sh\ncurl http://127.0.0.1:8080\n```\n",
        "```\ncurl http://127.0.0.1:8080\n```\n",
        "An indented block:\n\n    curl http://127.0.0.1:8080\n",
        "Run `make everything`.",
        "Run `make run HOST=0.0.0.0`.",
        "Run `.venv/bin/changegate serve --quickly`.",
        "Run `A=1 changegate start it`.",
    ],
)
def test_a_command_that_is_not_run_is_found(text: str) -> None:
    assert list(unchecked(text))


def test_every_listed_command_is_one_of_a_guide() -> None:
    shown = {match["command"] for path in GUIDES for code in blocks(path, "console") for match in PROMPT.finditer(code)}
    assert shown == {*SERVERS, *NOT_RUN}


@pytest.mark.parametrize("command", NOT_RUN)
def test_a_command_that_is_not_run_starts_its_program(command: str) -> None:
    done = subprocess.run(
        [*shlex.split(command), "--dry-run", "--old-file=.venv/.ready"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert " ".join(done.stdout.split()).removeprefix(".venv/bin/") == NOT_RUN[command]


@contextmanager
def started(command: str, instance: Path) -> Iterator[Running]:
    """Run a server of a guide at a free port, without installing anything."""
    environment = environment_of(instance, jwks_allow_loopback="0")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    line = command.replace("make run", f"make --old-file=.venv/.ready BIN={BINARIES} run PORT={port}")
    if line == command:
        line = f"{command.replace('.venv/bin/', BINARIES)} --port {port}"
    with serving(["bash", "-c", line], url + SERVERS[command], environment, cwd=ROOT) as process:
        yield Running(url, process, instance, environment)


class Administrator:
    """A browser without scripts, which collects the pages that it has seen."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = url
        self._session = session
        self.seen: list[str] = []

    def open(self, path: str) -> requests.Response:
        return self._note(self._session.get(self._url + path, timeout=60))

    def send(self, page: requests.Response, form: str, **typed: str) -> requests.Response:
        reader = FormReader()
        reader.feed(page.text)
        fields = {**reader.forms[form].to_dict(flat=False), **typed}
        return self._note(self._session.post(self._url + reader.actions[form], data=fields, timeout=60))

    def _note(self, answer: requests.Response) -> requests.Response:
        assert answer.status_code == 200, answer.text
        self.seen.append(answer.text)
        return answer


def shows(pages: Iterable[str], label: str) -> bool:
    return any(label in html.unescape(re.sub(r"<[^>]*>", "", page)) for page in pages)


def test_the_quick_starts_lead_from_a_new_instance_to_a_change(tmp_path: Path) -> None:
    text = ADMINISTRATORS.read_text()
    first, again, provider_command = (
        match["command"] for code in blocks(ADMINISTRATORS, "console") for match in PROMPT.finditer(code)
    )
    with started(first, tmp_path) as server:
        assert server.process.stdout
        [password] = re.findall(r"The administrator is admin, the password (\S+) ", server.process.stdout.readline())
    with (
        started(again, tmp_path) as server,
        started(provider_command, tmp_path) as provider,
        requests.Session() as session,
    ):
        administrator = Administrator(server.url, session)
        administrator.send(administrator.open("/login"), "/login", user_name="admin", password=password)
        box = administrator.open("/inbound-integrations/new/jwt-bearer")
        [pasted] = re.findall(r"paste `(http://127[^`]+)`", text)
        draft = administrator.send(box, "box", pasted=localised(pasted, server, provider.url))
        [claim, subject] = re.findall(r"identity provider, `(\w+)` is `([^`]+)`", text)[0]
        assert f'value="{claim}"' in draft.text and "2 usable keys" in draft.text
        saved = administrator.send(draft, "setup", **{"conditions-0-value": subject})
        [client_id] = re.findall(r"/inbound-integrations/(\w{32})/run$", saved.url)

        script = localised("\n".join(blocks(PIPELINES, "bash")), server, provider.url)
        done = run(script, {**server.environment, "CLIENT_ID": client_id}, "set -euo pipefail\n")
        numbers = re.findall(r'"number":"(CHG\d{7})"', done.stdout)
        assert len(numbers) == 2 and len(set(numbers)) == 1
        assert re.search(r"\}[0-9a-f]{32}\n", done.stdout)
        assert "jti_replayed" in done.stdout

        run_page = administrator.open(f"/inbound-integrations/{client_id}/run")
        assert "It works." in run_page.text and numbers[0] in run_page.text
        listed = run(localised("\n".join(blocks(ADMINISTRATORS, "bash")), server, provider.url), server.environment)
        assert client_id in listed.stdout and "jti_replayed" in listed.stdout and "score" in listed.stdout
        created = server.changegate("integration", "list", "--json")
        assert {entity["run_as"] for entity in json.loads(created.stdout)} >= {"shop.bot"}

        for path in ("", "/new", "/new/jwt-bearer/form", f"/{client_id}"):
            administrator.open(f"/inbound-integrations{path}")
        for page in (ADMINISTRATORS, PIPELINES, DOCS / "glossary.md"):
            labels = LABEL.findall(FENCE.sub("", page.read_text()))
            assert labels and not [label for label in labels if not shows(administrator.seen, label)], page
