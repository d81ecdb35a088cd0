"""The driver: wrk in a process of its own, each request prepared before the clock starts."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchFailed, FeedDry, NothingAnswered

SCRIPT = Path(__file__).with_name("load.lua")
# How many connections ask: one alone, and as many as keep a server busy.
ALONE, BUSY = CONNECTIONS = (1, 16)
HOW_TO_INSTALL = "The load generator is missing: run `sudo apt-get install wrk` (or `brew install wrk`)."


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What one run sends: one line of `feed` per request, as its path or as its body.

    `once` says that no line may be sent twice; then the run fails when it uses up the feed.
    """

    method: str
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    feed: Path
    feeds: str = "body"
    once: bool = False


@dataclass(frozen=True)
class Measurement:
    """What one run showed: answers per second, latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    requests: int


def require_wrk() -> None:
    """See to it that wrk is there, installing it where that needs no questions. Raises `BenchFailed`."""
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BenchFailed(HOW_TO_INSTALL)
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "wrk"]):
        subprocess.run(["apt-get", "--quiet", *arguments], check=False)
    if not shutil.which("wrk"):
        raise BenchFailed(HOW_TO_INSTALL)


def write_feed(path: Path, lines: Sequence[str]) -> Path:
    """Write one request's varying part per line."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def drive(base_url: str, traffic: Traffic, connections: int, seconds: int) -> Measurement:
    """Send traffic over keep-alive connections for some seconds.

    Raises `BenchFailed` when any answer was not 2xx or any connection broke, `FeedDry` when the feed ran dry, and
    `NothingAnswered`.
    """
    # One thread: it shares one script, so that no two connections send the same line.
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "10s", "--script", str(SCRIPT), f"{base_url}{traffic.path}", "--"]
    command += [traffic.method, str(traffic.feed), traffic.feeds, "once" if traffic.once else "cycle"]
    command += [part for header in traffic.headers for part in header]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise BenchFailed(f"wrk ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return _read(done.stdout, f"{traffic.method} {traffic.path}")


def read_facts(output: str, what: str) -> dict[str, str]:
    """Return what a script of wrk reported, by name. Raises `BenchFailed` when it reported nothing."""
    facts = dict(line[3:].split("\t", 1) for line in output.splitlines() if line.startswith("## "))
    if not facts:
        raise BenchFailed(f"{what}: wrk said nothing that could be read: {output[-500:]}")
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
        # From there on something else was sent, whose answers mean nothing.
        raise FeedDry(what, max(int(facts["requests"]) - troubles["dry"], 1))
    if said:
        raise BenchFailed(f"{what}: {said} in {facts['requests']} answers. {facts['complaint']}")
    if not int(facts["requests"]):
        raise NothingAnswered(what)
