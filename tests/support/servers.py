"""The product and the demo identity provider as real processes on free ports of loopback."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.forked import COMMAND, Forked
from tests.support.speedups import NOTES_LINES

START_SECONDS = 120
STOP_SECONDS = 10
# Generous, because tests also run on loaded machines; nothing waits longer than its command needs.
LONGEST_SECONDS = 600
# What a demo that keeps serving prints last.
LAST_LINE = "Ctrl-C to stop them"
DEMO_IDP = "from demo_idp.cli import main\nmain()"
Process = subprocess.Popen[str] | Forked


# Below the ports that Linux gives to outgoing connections, one of which would take a port before its server does. Each
# process begins elsewhere. Browsers refuse to connect to port 10080, and to several below.
PORTS = range(11_000, 32_000)
_ports = itertools.islice(itertools.cycle(PORTS), os.getpid() * 997 % len(PORTS), None)


@dataclass(frozen=True)
class Running:
    """A server at work: its address, its process and the instance it serves."""

    url: str
    process: Process
    instance: Path
    environment: Mapping[str, str]

    def changegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the same instance while the server runs."""
        return run_changegate(*arguments, environment=self.environment)


def workers_of(server: Running) -> list[int]:
    """Return the processes that a server has started (Linux's proc(5))."""
    parent = server.process.pid
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def count_sockets(server: Running) -> int:
    """Return how many sockets the workers of a server have open."""
    descriptors = [path for pid in workers_of(server) for path in Path(f"/proc/{pid}/fd").iterdir()]
    count = 0
    for descriptor in descriptors:
        with contextlib.suppress(FileNotFoundError):
            count += descriptor.readlink().name.startswith("socket:")
    return count


def free_port() -> int:
    """Return a port that nothing listens on, and that no other test of this process was given."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment_of(instance: Path, **settings: str) -> dict[str, str]:
    """Return a process environment for an instance; `settings` are named without prefix."""
    named = {f"CHANGEGATE_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, "CHANGEGATE_INSTANCE_PATH": str(instance), "CHANGEGATE_JWKS_ALLOW_LOOPBACK": "1", **named}


def start(
    arguments: Sequence[str], environment: Mapping[str, str], *, code: str = COMMAND, merges_errors: bool = False
) -> Process:
    """Start a process that leads a session: of the command, or of other code."""
    if NOTES_LINES not in environment:
        return Forked(code, arguments, environment, merges_errors=merges_errors)
    # coverage.py notes the lines of a process from its beginning.
    errors = subprocess.STDOUT if merges_errors else subprocess.PIPE
    command, streams = [sys.executable, "-c", code, *arguments], {"stdout": subprocess.PIPE, "stderr": errors}
    return subprocess.Popen(command, env=dict(environment), start_new_session=True, text=True, **streams)


def run_changegate(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    process = start(arguments, environment)
    output, errors = process.communicate(timeout=LONGEST_SECONDS)
    assert process.returncode is not None
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait for a state; what does not come about fails the test."""
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def running_changegate(
    instance: Path,
    *options: str,
    host: str = "127.0.0.1",
    port: int | None = None,
    tls: bool = False,
    patches: str = "",
    **settings: str,
) -> Iterator[Running]:
    """Serve an instance as `changegate serve` does; `patches` is code that runs first, to shorten deadlines."""
    port = port or free_port()
    environment = environment_of(instance, **settings)
    url = f"{'https' if tls else 'http'}://{host}:{port}"
    arguments = ["serve", "--host", host, "--port", str(port), *options, *(["--tls"] if tls else [])]
    process = start(arguments, environment, code=f"{patches}\n{COMMAND}", merges_errors=True)
    with _stopped(process, f"{url}/readyz"):
        yield Running(url, process, instance, environment)


@contextlib.contextmanager
def running_demo_idp(*options: str) -> Iterator[str]:
    """Serve the demo identity provider and give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(["serve", "--port", str(port), *options], os.environ, code=DEMO_IDP, merges_errors=True)
    with _stopped(process, f"{url}/healthz"):
        yield url


@contextlib.contextmanager
def serving(
    command: list[str], ready_url: str, environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a server from the moment it is ready; it is stopped whatever happens."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with _stopped(process, ready_url):
        yield process


@contextlib.contextmanager
def _stopped(process: Process, ready_url: str) -> Iterator[None]:
    try:
        _wait(ready_url, process)
        yield
    finally:
        stop(process)


def stop(process: Process) -> None:
    """Ask a server to stop, and leave nothing of its session behind."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
    if process.stdout:
        process.stdout.close()


def _wait(url: str, process: Process) -> None:
    # The certificate is the product's own and is checked by the tests that are about it.
    session = requests.Session()
    session.verify = False
    session.trust_env = False  # a CA bundle in the environment would switch verification on again
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            output = process.stdout.read() if process.stdout else ""
            raise AssertionError(f"{url} ended with {process.returncode}: {output}")
        if _answers(session, url):
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within {START_SECONDS} seconds")


def _answers(session: requests.Session, url: str) -> bool:
    with warnings.catch_warnings(), contextlib.suppress(requests.RequestException):
        warnings.simplefilter("ignore")
        return session.get(url, timeout=2).ok
    return False


@dataclass(frozen=True)
class RunningDemo:
    """The process of a demo, and what it has printed."""

    process: Process
    output: str

    def shown(self, label: str) -> str:
        """Return what the last section of the output shows under a label."""
        [line] = [line for line in self.output.splitlines() if line.startswith(f"{label}  ")]
        return line.removeprefix(label).strip()


@contextlib.contextmanager
def running_demo(*options: str, environment: Mapping[str, str]) -> Iterator[RunningDemo]:
    """Run a demo until it has run its steps, and stop it at the end."""
    process = start(["demo", *options], {**environment, "PYTHONUNBUFFERED": "1"}, merges_errors=True)
    assert process.stdout is not None
    watchdog = threading.Timer(LONGEST_SECONDS, process.kill)
    watchdog.start()
    try:
        lines = []
        for line in iter(process.stdout.readline, ""):
            lines.append(line)
            if LAST_LINE in line:
                break
        assert lines and LAST_LINE in lines[-1], "".join(lines)
        yield RunningDemo(process, "".join(lines))
    finally:
        watchdog.cancel()
        stop(process)
