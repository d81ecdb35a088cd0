"""`changegate serve`: a real process on a free port."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from tests.cli.conftest import Run
from tests.support.servers import (
    COMMAND,
    Running,
    environment_of,
    free_port,
    run_changegate,
    running_changegate,
    serving,
    start,
    stop,
    workers_of,
)
from tests.support.slow_clients import FORM, head
from tests.support.speedups import noted_processes

# The command has the same name as its module.
serve = import_module("changegate.cli.serve")
STOP_SECONDS = 60
ROOT = Path(__file__).resolve().parents[2]


def _lines(server: Running, count: int) -> list[str]:
    assert server.process.stdout is not None
    return [server.process.stdout.readline().strip() for _ in range(count)]


def _get(url: str, **options: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # a CA bundle in the environment would be asked instead of ours
        return session.get(url, timeout=60, **options)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare an instance once; each start of a server is then a quick one."""
    folder = tmp_path_factory.mktemp("served") / "instance"
    assert run_changegate("prepare", environment=environment_of(folder)).returncode == 0
    return folder


@pytest.fixture(scope="module")
def secured(instance: Path, coverage_config: str | None) -> Iterator[Running]:
    """Serve TLS."""
    with noted_processes(coverage_config), running_changegate(instance, tls=True) as server:
        yield server


@pytest.mark.usefixtures("lines_of_processes")
def test_prepares_the_instance_and_says_where_it_serves(tmp_path: Path) -> None:
    with running_changegate(tmp_path / "instance") as server:
        administrator, address = _lines(server, 2)

        assert administrator.startswith("The administrator is admin, the password ")
        assert address == f"Changegate serves {server.url}"
        assert _get(f"{server.url}/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_its_workers(instance: Path, signal_number: signal.Signals) -> None:
    with running_changegate(instance, "--workers", "2") as server:
        server.process.send_signal(signal_number)

        assert server.process.wait(STOP_SECONDS) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(server.process.pid, 0)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_under_way_is_answered_before_the_server_stops(instance: Path, signal_number: signal.Signals) -> None:
    with running_changegate(instance) as server:
        with socket.create_connection(
            ("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=STOP_SECONDS
        ) as client:
            client.sendall(head("POST", "/oauth/token", FORM, "Content-Length: 2", "Expect: 100-continue"))
            # The server asks for the body of a request that it has begun with.
            assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            server.process.send_signal(signal_number)
            time.sleep(0.5)
            client.sendall(b"a=")
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert server.process.wait(STOP_SECONDS) == 0


def _status(url: str) -> int | None:
    with contextlib.suppress(requests.ConnectionError):
        return _get(url).status_code
    return None


def _wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Service managers such as systemd send the signal to all processes.
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_sigterm_first_ends_readiness_and_a_second_one_the_pause(
    instance: Path, send: Callable[[int, int], None]
) -> None:
    with running_changegate(instance, "--workers", "2", drain_time=str(10 * STOP_SECONDS)) as server:
        send(server.process.pid, signal.SIGTERM)
        _wait_until(lambda: _status(f"{server.url}/readyz") == 503)
        # Each request opens a connection, and any of the workers accepts it.
        assert {_status(f"{server.url}/readyz") for _ in range(20)} == {503}
        assert {_status(f"{server.url}/login") for _ in range(20)} == {200}
        send(server.process.pid, signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0


def test_the_pause_after_sigterm_ends(instance: Path) -> None:
    with running_changegate(instance, drain_time="1") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0


def test_a_worker_that_was_killed_is_replaced_and_the_others_serve_on(instance: Path) -> None:
    with running_changegate(instance, "--workers", "2") as server:
        before = set(workers_of(server))
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        _wait_until(lambda: len(set(workers_of(server)) - {killed}) == 2)
        assert before - {killed} < set(workers_of(server))
        _wait_until(lambda: [_status(f"{server.url}/readyz") for _ in range(10)] == [200] * 10)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0


def test_a_worker_that_replaces_another_one_uses_the_settings_of_the_server(instance: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(instance, tmp_path / "instance")
    with running_changegate(folder) as server:
        # An administrator prepares a restart, and makes a mistake.
        (folder / "config.py").write_text("CHANGEGATE_THREADS = 'many'\n")
        [killed] = workers_of(server)
        os.kill(killed, signal.SIGKILL)
        _wait_until(lambda: workers_of(server) not in ([killed], []))
        _wait_until(lambda: _status(f"{server.url}/readyz") == 200)


FEW_FILES = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"


def test_connections_leave_open_files_for_other_purposes(instance: Path) -> None:
    with running_changegate(instance, patches=FEW_FILES) as server:
        with contextlib.ExitStack() as stack:
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            for _ in range(300):
                stack.enter_context(socket.create_connection(address))
        assert _status(f"{server.url}/readyz") == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0
        assert server.process.stdout is not None
        assert "Too many open files" not in server.process.stdout.read()


def test_too_few_open_files_are_refused_with_a_sentence(instance: Path) -> None:
    code = f"{FEW_FILES.replace('256', '128')}\n{COMMAND}"
    for threads, needed in (("1", "132"), ("4", "144")):
        arguments = ["serve", "--port", str(free_port()), "--threads", threads]
        process = start(arguments, environment_of(instance), code=code, merges_errors=True)
        output, _ = process.communicate(timeout=120)
        sentence = f"A process may open only 128 files, and with {threads} threads it needs {needed}."
        assert (process.returncode, output.count("\n"), sentence in output) == (1, 1, True)


MANY_LINES = """
import logging
from importlib import import_module

serve = import_module("changegate.cli.serve")
front = serve.Front

def log_and_serve(*arguments):
    for _ in range(5000):
        logging.getLogger("changegate").error("x" * 100)
    return front(*arguments)

serve.Front = log_and_serve
"""


def test_a_log_that_is_not_read_keeps_no_request_waiting(instance: Path) -> None:
    with running_changegate(instance, patches=MANY_LINES) as server:
        assert _status(f"{server.url}/readyz") == 200


# Once the first file exists, a worker that starts says so by the second, and starts no further.
SLOW_START = """
import time
from importlib import import_module
from pathlib import Path

serve = import_module("changegate.cli.serve")
create_app = serve.create_app
serve.KILL_TIMEOUT_SECONDS = 3600

def create_slowly(**options):
    if Path({slow!r}).exists():
        Path({starting!r}).touch()
        time.sleep(3600)
    return create_app(**options)

serve.create_app = create_slowly
"""


def test_a_signal_stops_a_worker_that_is_still_starting(instance: Path, tmp_path: Path) -> None:
    slow, starting = tmp_path / "slow", tmp_path / "starting"
    with running_changegate(instance, patches=SLOW_START.format(slow=str(slow), starting=str(starting))) as server:
        slow.touch()
        os.kill(workers_of(server)[0], signal.SIGKILL)
        _wait_until(starting.exists)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(STOP_SECONDS) == 0


def test_workers_end_with_a_parent_that_was_killed(instance: Path) -> None:
    with running_changegate(instance, "--workers", "2") as server:
        server.process.kill()
        port = int(server.url.rpartition(":")[2])
        _wait_until(lambda: _is_free(port))
        with running_changegate(instance, port=port) as following:
            assert _status(f"{following.url}/readyz") == 200


# Once the first file exists, a worker that starts writes its process ID into the second and waits for its parent's end.
LATE_START = """
import os
import time
from importlib import import_module
from pathlib import Path

serve = import_module("changegate.cli.serve")
end_with_parent = serve._end_with_parent

def end_late():
    parent = os.getppid()
    if Path({late!r}).exists():
        Path({starting!r}).write_text(str(os.getpid()))
    while Path({late!r}).exists() and os.getppid() == parent:
        time.sleep(0.01)
    end_with_parent()

serve._end_with_parent = end_late
"""


def test_a_worker_that_starts_ends_with_a_parent_that_was_killed(instance: Path, tmp_path: Path) -> None:
    late, starting = tmp_path / "late", tmp_path / "starting"
    with running_changegate(instance, patches=LATE_START.format(late=str(late), starting=str(starting))) as server:
        late.touch()
        os.kill(workers_of(server)[0], signal.SIGKILL)
        _wait_until(lambda: starting.exists() and starting.read_text())
        server.process.kill()
        _wait_until(lambda: _has_ended(int(starting.read_text())))


def _has_ended(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def test_links_carry_the_address_that_is_configured(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir(mode=0o700)
    (folder / "config.py").write_text('CHANGEGATE_BASE_URL = "https://change.example.com"\n')
    (folder / "config.py").chmod(0o600)
    with running_changegate(folder) as server:
        assert _lines(server, 2)[1] == "Changegate serves https://change.example.com"


def test_tls_says_which_ca_to_trust_and_clients_that_do_are_served(secured: Running) -> None:
    ca = secured.instance / "tls" / "ca.pem"

    assert f"Clients trust the CA in {ca}" in _lines(secured, 2)
    port = secured.url.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1"):
        assert _get(f"https://{host}:{port}/healthz", verify=str(ca)).ok
    with pytest.raises(requests.exceptions.SSLError):
        _get(f"https://localhost:{port}/healthz")


def test_the_ca_is_kept_for_the_next_start(secured: Running) -> None:
    kept = secured.instance / "tls" / "ca.pem"
    before = kept.read_bytes()
    with running_changegate(secured.instance, tls=True) as again:
        assert _get(f"{again.url}/healthz", verify=str(kept)).ok
    assert kept.read_bytes() == before
    assert (secured.instance / "tls" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (secured.instance / "tls" / "server.key").stat().st_mode & 0o777 == 0o600


def test_http_is_not_spoken_where_tls_is(secured: Running) -> None:
    with pytest.raises(requests.ConnectionError):
        _get(secured.url.replace("https:", "http:") + "/healthz")


def test_a_busy_port_is_refused_with_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PORT_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = run("serve", "--port", str(port))

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        f"Waiting up to 0 seconds: 127.0.0.1 port {port} is in use.",
        f"changegate: Cannot listen on 127.0.0.1 port {port}: Address already in use.",
    ]


def test_a_port_is_in_use_while_its_server_prepares_the_instance(instance: Path) -> None:
    command = ["serve", "--port", str(free_port())]
    with (instance / "prepare.lock").open("w") as lock, contextlib.ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for expected in ("Another process prepares this instance", "Waiting up to 10 seconds: 127.0.0.1 port"):
            server = start(command, environment_of(instance), merges_errors=True)
            stack.callback(stop, server)
            assert server.stdout is not None
            assert server.stdout.readline().startswith(expected)


def test_a_port_that_becomes_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(serve, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: listener.close()))
        serve.require_free_port("127.0.0.1", port, waits=True)


def test_an_address_of_another_machine_is_refused_with_a_sentence(tmp_path: Path) -> None:
    ended = run_changegate(
        "serve", "--host", "192.0.2.1", "--port", str(free_port()), environment=environment_of(tmp_path / "instance")
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("changegate: Cannot listen on 192.0.2.1 port ")


ENTRIES = {
    "changegate serve": [str(Path(sys.executable).with_name("changegate")), "serve", "--port", "{port}"],
    "granian": [
        *(str(Path(sys.executable).with_name("granian")), "--interface", "wsgi"),
        *("--host", "127.0.0.1", "--port", "{port}", "app:app"),
    ],
    "python app.py": [sys.executable, "app.py", "--port", "{port}"],
    "flask run": [str(Path(sys.executable).with_name("flask")), "run", "--port", "{port}"],
    "python -m": [sys.executable, "-m", "changegate.cli", "serve", "--port", "{port}"],
}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_point_serves_from_the_repository_root(name: str, instance: Path) -> None:
    port = free_port()
    command = [part.format(port=port) for part in ENTRIES[name]]
    with serving(command, f"http://127.0.0.1:{port}/healthz", environment_of(instance), cwd=ROOT) as process:
        assert process.poll() is None


@pytest.mark.usefixtures("lines_of_processes")
@pytest.mark.parametrize(("options", "is_pinned"), [((), True), (("--no-pin-workers",), False)])
def test_a_worker_uses_one_processor_by_default(instance: Path, options: tuple[str, ...], is_pinned: bool) -> None:
    allowed = os.sched_getaffinity(0)
    with running_changegate(instance, *options) as server:
        _get(f"{server.url}/healthz")
        [worker] = workers_of(server)
        places = [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{worker}/task").iterdir()]
        assert os.sched_getaffinity(server.process.pid) == allowed
    assert places
    assert all(place <= allowed for place in places)
    assert {len(place) for place in places} == {1 if is_pinned else len(allowed)}


COLLECTOR = """
import gc
from changegate.cli.serve import OBJECTS_BETWEEN_COLLECTIONS, load_app
from changegate.config import default_instance_path, load_settings

load_app(load_settings(default_instance_path()), pins=False)
print(gc.get_threshold()[0] == OBJECTS_BETWEEN_COLLECTIONS, gc.get_freeze_count() > 100_000)
"""


def test_a_worker_excludes_long_lived_objects_from_garbage_collection(instance: Path) -> None:
    command = [sys.executable, "-c", COLLECTOR]
    said = subprocess.run(command, env=environment_of(instance), capture_output=True, text=True, check=True).stdout
    assert said == "True True\n"
