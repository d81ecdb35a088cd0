"""A demo that has run its steps and keeps serving, in a process of its own."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.servers import LONGEST_SECONDS, stop

LAST_LINE = "Ctrl-C to stop them"


@dataclass(frozen=True)
class RunningDemo:
    """The process of a demo, and what it has printed."""

    process: subprocess.Popen[str]
    output: str

    def shown(self, label: str) -> str:
        """Return what the last section of the output shows under a label."""
        [line] = [line for line in self.output.splitlines() if line.startswith(f"{label}  ")]
        return line.removeprefix(label).strip()


@contextlib.contextmanager
def running_demo(*options: str, environment: Mapping[str, str]) -> Iterator[RunningDemo]:
    """Run a demo until it has run its steps, and stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "changegate.cli", "demo", *options],
        env={**environment, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
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
