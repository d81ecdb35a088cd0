"""Processes of the product, forked from one that has imported it: importing it takes each process a second.

    test ──code, arguments, descriptors──> parent ──forks──> keeper ──forks──> process, which runs the code
      <──────────── process id, then exit code ───────────────┘ waits for it

The parent has one thread and serves nothing itself. It has made an application, so that no process parses the routes
again: that would be a third of what most commands take. Each process leads a session, as one of `subprocess` with
`start_new_session`. Whether the product can be imported, and its entry points, are tested by processes of their own.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

COMMAND = "from changegate.cli import main\nmain()"
LARGEST_ORDER = 1024 * 1024
# What a script calls in place of the command. It imports next to nothing, and ends when the forked process has ended.
PROGRAM = """#!{python} -IS
import json, os, socket, sys
status, its_status = os.pipe()
order = json.dumps([{code!r}, sys.argv[1:], dict(os.environ), os.getcwd()])
with socket.socket(fileno={descriptor}) as orders:
    socket.send_fds(orders, [order.encode()], [0, 1, 2, its_status])
os.close(its_status)
_, ended = open(status)
sys.exit(int(ended))
"""


class Forked:
    """A running process with the interface of `subprocess.Popen`, as far as tests use it."""

    def __init__(
        self,
        code: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        merges_errors: bool = False,
        log: Path | None = None,
    ) -> None:
        output, its_output = (None, os.open(log, os.O_WRONLY | os.O_CREAT)) if log else os.pipe()
        errors, its_errors = (None, os.dup(its_output)) if merges_errors else os.pipe()
        status, its_status = os.pipe()
        order = json.dumps([code, [*arguments], {**environment}, os.getcwd()])
        descriptors = (os.open(os.devnull, os.O_RDONLY), its_output, its_errors, its_status)
        socket.send_fds(_parent(), [order.encode()], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self.stdout: IO[str] | None = None if output is None else os.fdopen(output)
        self.stderr: IO[str] | None = None if errors is None else os.fdopen(errors)
        self._status = os.fdopen(status)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once the process has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        # The process may have ended without its keeper having recorded that yet.
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what the process prints until it ends, on both streams; it is killed if that takes too long."""
        said: dict[str, str] = {}

        def read(name: str, stream: IO[str] | None) -> None:
            if stream is not None:
                with stream:
                    said[name] = stream.read()

        readers = [threading.Thread(target=read, args=pair) for pair in (("out", self.stdout), ("err", self.stderr))]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for reader in readers:
                reader.join()
        return said["out"], said.get("err", "")


def write_program(path: Path) -> int:
    """Write a program that runs the command in a forked process, and return the descriptor that it must inherit."""
    descriptor = _parent().fileno()
    path.write_text(PROGRAM.format(python=sys.executable, code=COMMAND, descriptor=descriptor))
    path.chmod(0o755)
    return descriptor


@functools.cache
def _parent() -> socket.socket:
    """Start the parent, and return the socket on which it takes orders. It ends when the socket is closed."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-c", f"from tests.support.forked import run; run({its.fileno()})"]
    process = subprocess.Popen(command, pass_fds=[its.fileno()], start_new_session=True)
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def run(descriptor: int) -> None:
    """Fork a process for each order. The process runs its code in this call, and returns."""
    for module in ("changegate.cli", "demo_idp.cli"):
        importlib.import_module(module)
    speedups = importlib.import_module("tests.support.speedups")
    with speedups.remembered_routes():
        speedups.remember_routes()
        _take_orders(descriptor)


def _take_orders(descriptor: int) -> None:
    # Keepers need not be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as orders:
        while True:
            text, descriptors, _, _ = socket.recv_fds(orders, LARGEST_ORDER, 4)
            if not text:
                return
            if os.fork() == 0:
                break
            for each in descriptors:
                os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = descriptors
    if child := os.fork():
        _keep(child, streams, status)
    os.close(status)
    _become(streams, *json.loads(text))


def _keep(child: int, streams: Sequence[int], status: int) -> None:
    for stream in streams:
        os.close(stream)
    os.write(status, b"%d\n" % child)
    _, ended = os.waitpid(child, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _become(streams: Sequence[int], code: str, arguments: list[str], environment: dict[str, str], folder: str) -> None:
    os.setsid()
    for at, stream in enumerate(streams):
        os.dup2(stream, at)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    time.tzset()
    sys.argv = ["changegate", *arguments]
    if "PYTHONUNBUFFERED" in environment:
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    _run(code)


def _run(code: str) -> None:
    """Run code and end as Python does, but without freeing each object, for which Linux would have to copy it first."""
    status = 0
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        status = ended.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
