"""The server processes of the benchmark."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchFailed
from benchmarks.processors import SERVERS, kept_to
from changegate.cli.serve import DEFAULT_THREADS

ROOT = Path(__file__).resolve().parents[1]
STARTUP_SECONDS = 120
STOP_SECONDS = 15
WORKERS = 1
THREADS = DEFAULT_THREADS


def script(name: str) -> str:
    """Return the path of a command installed beside the running Python."""
    return str(Path(sys.executable).with_name(name))


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the caller's own settings, so that every run measures the same."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CHANGEGATE_", "GRANIAN_"))}
    return {**kept, **extra}


def bare_command(port: int, target: str) -> list[str]:
    """Return the command for a bare app: Granian's WSGI mode, so that ratios include the product's own server."""
    options = ["--interface", "wsgi", "--workers", str(WORKERS), "--blocking-threads", str(THREADS)]
    return [script("granian"), *options, "--host", "127.0.0.1", "--port", str(port), target]


def product_command(port: int) -> list[str]:
    """Return the command that serves the product."""
    options = ["--workers", str(WORKERS), "--threads", str(THREADS)]
    return [script("changegate"), "serve", "--host", "127.0.0.1", "--port", str(port), *options]


@dataclass(frozen=True)
class Server:
    """A running server: its address, and its main process, whose children are the workers."""

    base_url: str
    pid: int


@contextmanager
def serving(command: Sequence[str], port: int, env: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Run a server until the block ends. Raises `BenchFailed` if it does not start."""
    with kept_to(SERVERS):
        process = start(command, env, log)
    try:
        _await_port(process, port, log)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(command: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that writes what it prints into a file."""
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=output, stderr=subprocess.STDOUT)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchFailed(f"A server did not start. Its output:\n{log.read_text(errors='replace')[-2000:]}")
