"""`changegate demo`: all steps in one command, and what happens if one fails."""

import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from changegate import create_app
from changegate.cli.demo_instance import find_demo_folder, make_demo_folder
from changegate.cli.demo_requests import DemoFailed, DemoRun, DemoServers
from changegate.cli.demo_steps import STEPS, run_steps
from changegate.cli.instance import working_on
from changegate.extensions import db, now
from changegate.instance_files import list_exposed
from changegate.models import OAuthEntity, OAuthEntityKey, OAuthKeyAlert, SysUser, Task
from changegate.schemas import presets
from changegate.seed.demo_history import DAYS as HISTORY_DAYS
from changegate.seed.demo_history import REFUSALS
from changegate.services.hygiene.assessment import assess
from changegate.services.hygiene.history import PeriodCounts, exchanges_by_day
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import get_user
from tests.cli.conftest import Run
from tests.conftest import ADMIN_PASSWORD
from tests.guards.documents import README, blocks
from tests.support.people import ROOT
from tests.support.servers import LONGEST_SECONDS, environment_of, free_port, run_changegate, running_demo

STEP_TITLES = [title for title, _ in STEPS]


def _ports() -> tuple[str, ...]:
    return ("--port", str(free_port()), "--idp-port", str(free_port()))


@pytest.fixture
def ports() -> tuple[str, ...]:
    return _ports()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder, whose own instance is prepared; demos make theirs inside it."""
    folder = tmp_path_factory.mktemp("demo") / "instance"
    prepared = run_changegate("prepare", environment=environment_of(folder, admin_password=ADMIN_PASSWORD))
    assert prepared.returncode == 0, prepared.stderr
    return folder


def _environment(instance: Path) -> dict[str, str]:
    """Return settings that lead to the existing instance, which no demo may use."""
    own = {"database_url": f"sqlite:///{instance / 'changegate.db'}", "admin_password": ADMIN_PASSWORD}
    return {**environment_of(instance, **own), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


def _contents(folder: Path) -> dict[str, bytes]:
    """Return the files of the instance in a folder, without those of the demo."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@dataclass
class Ended:
    """What a run of the demo has printed and left in its instance."""

    output: str
    password: str
    password_hash: str
    integrations: list[Any]
    records: dict[str, int]
    days: list[PeriodCounts]
    findings: list[str]
    lists: dict[str, int]

    @classmethod
    def run(cls, instance: Path, *options: str, until: signal.Signals | None = None) -> "Ended":
        """Run the demo once, or let it serve until a signal."""
        output = _run_once(instance, *options) if until is None else _serve_until(until, instance, *options)
        app = create_app(instance_path=instance / "demo", overrides={"database_url": ""})
        with working_on(app):
            entities = db.session.execute(select(OAuthEntity).order_by(OAuthEntity.name)).scalars()
            counted = (Task, SysUser, OAuthEntityKey, OAuthKeyAlert)
            return cls(
                output,
                (instance / "demo" / "demo_admin_password").read_text().strip(),
                get_user("admin").user_password,
                [(entity.name, entity.client_id, entity.active, entity.client_secret_hash) for entity in entities],
                {model.__name__: db.session.query(model).count() for model in counted},
                exchanges_by_day(now()).periods,
                [finding.code for finding in assess(now(), presets).findings],
                {query: _count(table, query) for table, query in FILLED},
            )


def _run_once(instance: Path, *options: str) -> str:
    ended = run_changegate("demo", "--once", *options, *_ports(), environment=_environment(instance))
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def _serve_until(signal_number: signal.Signals, instance: Path, *options: str) -> str:
    """Insist that a signal stops both servers, and that nothing resets the instance while they serve it."""
    ports = _ports()
    with running_demo(*options, *ports, environment=_environment(instance)) as demo:
        for port in (ports[1], ports[3]):
            assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).ok

        reset = run_changegate("demo", "--reset", "--once", *_ports(), environment=_environment(instance))
        assert (reset.returncode, reset.stdout) == (1, "")
        assert "is being served" in reset.stderr

        demo.process.send_signal(signal_number)

        assert demo.process.wait(LONGEST_SECONDS) == 0
        _assert_gone(ports)
        return demo.output


# What the people of the demo have to look at.
FILLED = (
    ("change_request", "source_repository=shop/storefront^close_code=successful"),
    ("change_request", "conflict_status=Conflict^active=true"),
    ("change_request", "requested_by.user_name=lea.novak"),
    ("change_request", "watch_listISNOTEMPTY"),
    ("change_request", "assigned_toISEMPTY^active=true"),
    ("conflict", "type=ci_already_scheduled"),
    ("conflict", "type=blackout"),
    ("conflict", "type=not_in_maintenance_window"),
    ("std_change_record_producer", "offered_to_all=true"),
    ("cmdb_rel_ci", "parent.name=payments"),
)


def _count(table: str, query: str) -> int:
    return count_records(get_table(table), ROOT, parse_encoded_query(query))


@pytest.fixture(scope="module")
def runs(instance: Path) -> tuple[Ended, Ended]:
    """Two runs, one directly after the other, beside an existing instance, which they must leave alone.

    The first is run once; the second serves until SIGINT.
    """
    before = _contents(instance)
    first, second = Ended.run(instance), Ended.run(instance, until=signal.SIGINT)
    assert _contents(instance) == before
    return first, second


@pytest.mark.usefixtures("lines_of_processes")
def test_the_demo_shows_every_step_and_no_secret_but_the_login(runs: tuple[Ended, Ended]) -> None:
    for ended in runs:
        assert [title for title in STEP_TITLES if title not in ended.output] == []
        assert not re.findall(r"eyJ[\w-]{20,}|cgat_[\w-]{20,}|client_secret", ended.output)
        assert f"Sign in            admin / {ended.password}\n" in ended.output


def test_no_page_of_the_demo_is_empty(runs: tuple[Ended, Ended]) -> None:
    assert [query for query, count in runs[0].lists.items() if not count] == []


def test_a_second_run_ends_as_the_first_did(runs: tuple[Ended, Ended]) -> None:
    first, second = runs
    assert [(name, active) for name, _, active, _ in first.integrations] == [
        ("Demo pipeline", True),
        ("Demo pipeline, retired", False),
    ]
    assert [secret for *_, secret in first.integrations] == [None, None]
    assert (second.integrations, second.records) == (first.integrations, first.records)
    assert (second.password, second.password_hash) == (first.password, first.password_hash)
    assert "An earlier run of the demo has registered it" in second.output


def test_the_demo_has_a_past_with_a_rotation_and_an_unknown_client(runs: tuple[Ended, Ended]) -> None:
    for ended in runs:
        assert sum(day.accepted > 0 for day in ended.days) >= HISTORY_DAYS
        assert sum(day.refused > 0 for day in ended.days) >= len(REFUSALS)
        assert "owner_missing" not in ended.findings
    # The day of the first run has exchanges of both, and is the next to last if midnight has passed since.
    first, second = ({day.starts_at: day.accepted for day in ended.days} for ended in runs)
    over = [day for day in [*first][:-1] if day in second]
    assert len(over) >= HISTORY_DAYS - 1
    assert [second[day] for day in over] == [first[day] for day in over]


def test_the_readme_shows_what_the_demo_prints(runs: tuple[Ended, Ended]) -> None:
    lines = iter(_without_values(runs[0].output))
    [story] = [text for text in blocks(README, "text") if "publishes its key set" in text]
    for line in _without_values(story):
        assert any(line in printed for printed in lines), line


def _without_values(text: str) -> list[str]:
    """Return the lines of a run without what differs from run to run."""
    text = re.sub(r"127\.0\.0\.1:\d+", "SERVER", text)
    text = re.sub(r"[\w-]+…", "…", text)
    return [line.strip() for line in re.sub(r"CHG\d{7}", "CHG", text).splitlines()]


@pytest.mark.usefixtures("lines_of_processes")
def test_reset_makes_the_instance_of_the_demo_again_which_a_signal_ends(
    runs: tuple[Ended, Ended], instance: Path
) -> None:
    before = _contents(instance)
    again = Ended.run(instance, "--reset", until=signal.SIGTERM)
    assert again.password != runs[1].password
    assert again.integrations[0][1] != runs[1].integrations[0][1]
    assert (again.records, _contents(instance)) == (runs[1].records, before)


@pytest.mark.parametrize("options", [(), ("--reset",)])
def test_a_folder_that_the_demo_did_not_make_is_refused(
    run: Run, ports: tuple[str, ...], tmp_path: Path, options: tuple[str, ...]
) -> None:
    precious = tmp_path / "instance" / "demo" / "changegate.db"
    precious.parent.mkdir(parents=True)
    precious.write_text("records")

    run("demo", "--once", *ports, *options).assert_refused("was not made by the demo")

    assert [path.name for path in precious.parent.iterdir()] == ["changegate.db"]
    assert precious.read_text() == "records"


def test_a_link_to_another_instance_is_refused(run: Run, ports: tuple[str, ...], tmp_path: Path) -> None:
    make_demo_folder(tmp_path / "elsewhere")
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "demo").symlink_to(tmp_path / "elsewhere")

    run("demo", "--once", "--reset", *ports).assert_refused("was not made by the demo")


def test_the_path_of_the_demo_itself_leads_to_the_same_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "instance" / "demo"
    assert find_demo_folder() == folder
    password = make_demo_folder(folder)
    monkeypatch.setenv("CHANGEGATE_INSTANCE_PATH", str(folder))
    assert (find_demo_folder(), make_demo_folder(folder)) == (folder, password)
    assert list(list_exposed(folder.parent)) == []


@pytest.mark.parametrize("busy", ["--port", "--idp-port"])
def test_a_busy_port_is_refused_with_a_sentence(instance: Path, ports: tuple[str, ...], busy: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ended = run_changegate("demo", "--once", *ports, busy, port, environment=_environment(instance))

    assert ended.returncode == 1
    assert ended.stderr == f"changegate: Cannot listen on 127.0.0.1 port {port}: Address already in use.\n"


@pytest.mark.usefixtures("lines_of_processes")
def test_one_port_for_both_is_wrong_usage(instance: Path) -> None:
    ended = run_changegate("demo", "--port", "9000", "--idp-port", "9000", environment=_environment(instance))

    assert ended.returncode == 2
    assert "--port and --idp-port must differ." in ended.stderr


def _assert_gone(ports: tuple[str, ...]) -> None:
    for port in (ports[1], ports[3]):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60)


def test_a_step_that_fails_is_named_and_both_servers_stop(
    run: Run, ports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("changegate.cli.demo_steps.STEPS", (*STEPS[:1], ("Something nobody can do", _ask_for_the_moon)))

    ended = run("demo", "--once", *ports)

    signal.signal(signal.SIGTERM, handler)
    assert ended.code == 1
    assert re.fullmatch(
        r"changegate: The demo failed at step 2, Something nobody can do: GET \S+/moon answered 404, not 200\.\n",
        ended.err,
    )
    _assert_gone(ports)


def _ask_for_the_moon(run: DemoRun) -> None:
    run.call("GET", f"{run.servers.base_url}/moon", expected=200)


def test_a_server_that_does_not_answer_fails_the_step(ports: tuple[str, ...]) -> None:
    servers = DemoServers(f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[3]}", "admin", "password", Path())

    with pytest.raises(DemoFailed, match="The demo failed at step 1, The identity provider publishes its key set: "):
        run_steps(servers)
