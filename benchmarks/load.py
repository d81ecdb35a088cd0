"""The load generator: wrk in a process of its own, with requests that are prepared before a run."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchFailed, FeedDry, NothingAnswered

SCRIPT = Path(__file__).with_name("load.lua")
# Numbers of connections: one, and enough to keep a server busy.
ALONE, BUSY = CONNECTIONS = (1, 16)
HOW_TO_INSTALL = "The load generator is missing: run `sudo apt-get install wrk` (or `brew install wrk`)."


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The requests of a run: one line of `feed` for each request, as its path or its body.

    With `once`, no line may be sent twice, and the run fails if it uses up the feed.
    """

    method: str
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    feed: Path
    feeds: str = "body"
    once: bool = False


@dataclass(frozen=True)
class Measurement:
    """The result of a run: answers per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    requests: int


def require_wrk() -> None:
    """Install wrk if it is missing and this process may install packages. Raises `BenchFailed`."""
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BenchFailed(HOW_TO_INSTALL)
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "wrk"]):
        subprocess.run(["apt-get", "--quiet", *arguments], check=False)
    if not shutil.which("wrk"):
        raise BenchFailed(HOW_TO_INSTALL)


def write_feed(path: Path, lines: Sequence[str]) -> Path:
    """Write the varying parts of requests, one on each line."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def drive(base_url: str, traffic: Traffic, connections: int, seconds: int) -> Measurement:
    """Send traffic over keep-alive connections for some seconds.

    Raises `BenchFailed` for an answer that is not 2xx or a broken connection, `FeedDry` if the feed was used up, and
    `NothingAnswered`.
    """
    # One thread has one script, so that no two connections send the same line.
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "10s", "--script", str(SCRIPT), f"{base_url}{traffic.path}", "--"]
    command += [traffic.method, str(traffic.feed), traffic.feeds, "once" if traffic.once else "cycle"]
    command += [part for header in traffic.headers for part in header]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise BenchFailed(f"wrk ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return _read(done.stdout, f"{traffic.method} {traffic.path}")


def read_facts(output: str, what: str) -> dict[str, str]:
    """Return the values that a script of wrk reported, by name. Raises `BenchFailed` if it reported none."""
    facts = dict(line[3:].split("\t", 1) for line in output.splitlines() if line.startswith("## "))
    if not facts:
        raise BenchFailed(f"{what}: the output of wrk cannot be read: {output[-500:]}")
    return facts


def _read(output: str, what: str) -> Measurement:
    facts = read_facts(output, what)
    _require_clean(facts, what)
    requests, micros = int(facts["requests"]), float(facts["duration"])
    p50, p99 = float(facts["p50"]) / 1000, float(facts["p99"]) / 1000
    return Measurement(requests * 1_000_000 / micros, p50, p99, requests)


def _require_clean(facts: dict[str, str], what: str) -> None:
    troubles = {name: int(facts[name]) for name in ("not_2xx", "dry", "connect", "read", "write", "timeout")}
    said = ", ".join(f"{name}={number}" for name, number in troubles.items() if number)
    if troubles["dry"]:
        # All later requests were sent without a line of the feed, so their answers do not count.
        raise FeedDry(what, max(int(facts["requests"]) - troubles["dry"], 1))
    if said:
        raise BenchFailed(f"{what}: {said} in {facts['requests']} answers. {facts['complaint']}")
    if not int(facts["requests"]):
        raise NothingAnswered(what)
