"""`changegate demo`: all steps in one command, and what happens if one fails."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from changegate.cli.demo_steps import STEPS, DemoFailed, DemoRun, DemoServers, run_steps
from tests.cli.conftest import Run
from tests.support.servers import environment_of, free_port, run_changegate, stop

READY_SECONDS = 45
STOP_SECONDS = 20
STEP_TITLES = [title for title, _ in STEPS]


@pytest.fixture
def ports() -> tuple[str, ...]:
    return ("--port", str(free_port()), "--idp-port", str(free_port()))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "instance"


def _environment(instance: Path) -> dict[str, str]:
    return {**environment_of(instance), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@pytest.mark.usefixtures("lines_of_processes")
@pytest.mark.parametrize("run_number", [1, 2])
def test_the_demo_runs_twice_on_the_same_instance(instance: Path, ports: tuple[str, ...], run_number: int) -> None:
    ended = run_changegate("demo", "--once", *ports, environment=_environment(instance))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [title for title in STEP_TITLES if title not in ended.stdout] == []
    created = re.findall(r"Changes created\s+(CHG\d+), (CHG\d+)", ended.stdout)
    assert len(created) == 1
    assert not re.findall(r"eyJ[\w-]{20,}|cgat_[\w-]{20,}|client_secret=\w{20,}", ended.stdout)
    assert re.search(r"Sign in\s+admin / \S{8,}", ended.stdout)


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


@contextlib.contextmanager
def _told(ports: tuple[str, ...], instance: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a demo that has run its steps and keeps serving."""
    command = [sys.executable, "-m", "changegate.cli", "demo", *ports]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, env=_environment(instance), start_new_session=True, **output)
    watchdog = threading.Timer(READY_SECONDS, process.kill)
    watchdog.start()
    try:
        assert any("Ctrl-C to stop them" in line for line in iter(process.stdout.readline, ""))
        yield process
    finally:
        watchdog.cancel()
        stop(process)


def _assert_gone(ports: tuple[str, ...]) -> None:
    for port in (ports[1], ports[3]):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)


@pytest.mark.usefixtures("lines_of_processes")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_servers(instance: Path, ports: tuple[str, ...], signal_number: signal.Signals) -> None:
    with _told(ports, instance) as demo:
        for port in (ports[1], ports[3]):
            assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok

        demo.send_signal(signal_number)

        assert demo.wait(STOP_SECONDS) == 0
        _assert_gone(ports)


def test_a_step_that_fails_is_named_and_both_servers_stop(
    run: Run, ports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    for name in ("BASE_URL", "ADMIN_PASSWORD"):
        monkeypatch.setenv(f"CHANGEGATE_{name}", "")  # the demo sets them; this puts them back
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
    servers = DemoServers(f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[3]}", "admin", "password")

    with pytest.raises(DemoFailed, match="The demo failed at step 1, The identity provider publishes its key set: "):
        run_steps(servers)
