"""The product and the demo identity provider as real processes on free ports of loopback."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

START_SECONDS = 120
STOP_SECONDS = 10
# Generous, because tests also run on loaded machines; nothing waits longer than its command needs.
LONGEST_SECONDS = 600


# Below the ports that Linux gives to outgoing connections, one of which would take a port before its server does. Each
# process begins elsewhere. Browsers refuse to connect to port 10080, and to several below.
PORTS = range(11_000, 32_000)
_ports = itertools.islice(itertools.cycle(PORTS), os.getpid() * 997 % len(PORTS), None)


@dataclass(frozen=True)
class Running:
    """A server at work: its address, its process and the instance it serves."""

    url: str
    process: subprocess.Popen[str]
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


def run_changegate(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "changegate.cli", *arguments]
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )


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
    program = ["-c", f"{patches}\nfrom changegate.cli import main\nmain()"] if patches else ["-m", "changegate.cli"]
    command = [sys.executable, *program, "serve", "--host", host, "--port", str(port), *options]
    with serving([*command, *(["--tls"] if tls else [])], f"{url}/readyz", environment) as process:
        yield Running(url, process, instance, environment)


@contextlib.contextmanager
def running_demo_idp(*options: str) -> Iterator[str]:
    """Serve the demo identity provider and give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "demo_idp.cli", "serve", "--port", str(port), *options]
    with serving(command, f"{url}/healthz", os.environ):
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
    try:
        _wait(ready_url, process)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Ask a server to stop, and leave nothing of its session behind."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
    if process.stdout:
        process.stdout.close()


def _wait(url: str, process: subprocess.Popen[str]) -> None:
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
