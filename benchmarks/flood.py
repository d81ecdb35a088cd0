"""A flood of assertions with unknown keys, in parallel with valid clients of the same integration."""

import json
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from uuid import uuid4

from benchmarks.bounds import Bound
from benchmarks.errors import BenchFailed
from benchmarks.load import read_facts, write_feed
from benchmarks.product import TOKEN_PATH, Instance
from benchmarks.provider import Provider
from benchmarks.signing import Signer

SCRIPT = Path(__file__).with_name("flood.lua")
ASSERTIONS = 4000
# A flood ends automatically, even if the benchmark fails: after so many answers, or so many seconds after the run.
MOST = 200_000
SPARE_SECONDS = 10
LEAD_SECONDS = 0.3
END_SECONDS = 10
# Every assertion claims to come from another address, so that the limit of failures by address does not apply.
FIRST_ADDRESS = IPv4Address("10.0.0.1")
# The share of a cooldown that is examined: some milliseconds pass between the lease of a fetch and its request.
TOLERANCE = 0.8


@dataclass(frozen=True)
class FloodRun:
    """The number of answers to the flood of one run: refused, and limited by the limit of failures (429)."""

    refused: int
    held_up: int
    seconds: float


@dataclass
class Flood:
    """Floods one integration; `cooldown_seconds` is the server's cooldown between fetches for unknown kids."""

    folder: Path
    base_url: str
    instance: Instance
    signer: Signer
    provider: Provider
    cooldown_seconds: float
    runs: list[FloodRun] = field(default_factory=list)
    # The times of fetches during floods.
    fetched_at: list[float] = field(default_factory=list)

    @contextmanager
    def beside(self, connections: int, seconds: int) -> Iterator[None]:
        """Flood until the block ends. Raises `BenchFailed` for any answer but a refusal, or if the flood ends early."""
        fetches = len(self.provider.fetched_at)
        command = self.command(connections, seconds + SPARE_SECONDS)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            time.sleep(LEAD_SECONDS)
            yield
            is_over = process.poll() is not None
        finally:
            process.send_signal(signal.SIGINT)  # wrk then reports what it has
            try:
                output, complaint = process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise BenchFailed("The flood did not end.") from None
        if is_over:
            raise BenchFailed(f"The flood ended before the valid load did: {complaint[-500:] or output[-500:]}")
        self.runs.append(read_run(read_facts(output, "The flood")))
        self.fetched_at += self.provider.fetched_at[fetches:]

    def lines(self) -> list[str]:
        """Return the requests of a flood, as address, tab, and form; each names another unknown key."""
        payload, signature = self.signer.sign("RS256").split(".")[1:]
        heads = (json.dumps({"alg": "RS256", "kid": uuid4().hex, "typ": "JWT"}) for _ in range(ASSERTIONS))
        encoded = (urlsafe_b64encode(head.encode()).rstrip(b"=").decode() for head in heads)
        forms = (self.instance.token_form(f"{head}.{payload}.{signature}") for head in encoded)
        return [f"{FIRST_ADDRESS + number}\t{form}" for number, form in enumerate(forms)]

    def command(self, connections: int, seconds: int) -> list[str]:
        """Return the command that sends the flood, over as many connections as the valid clients have."""
        feed = write_feed(self.folder / "flood", self.lines())
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        command += ["--timeout", "10s", "--script", str(SCRIPT), f"{self.base_url}{TOKEN_PATH}", "--"]
        return [*command, str(feed), str(MOST)]

    def bounds(self) -> list[Bound]:
        """Return the largest number of fetches within one cooldown, and the rates of refused and limited requests."""
        if not self.runs:
            return []
        if not self.fetched_at:
            raise BenchFailed("No assertion of the flood made the server ask the provider.")
        sent, seconds = sum(run.refused for run in self.runs), sum(run.seconds for run in self.runs)
        held_up = sum(run.held_up for run in self.runs)
        most = most_within(self.fetched_at, self.cooldown_seconds * TOLERANCE)
        return [
            Bound(f"d-flood: fetches within a cooldown ({self.cooldown_seconds:g} s)", most, 1),
            Bound("d-flood: flooding assertions refused per second", sent / seconds),
            Bound("d-flood: flooding assertions held up per second", held_up / seconds),
        ]


def read_run(facts: Mapping[str, str]) -> FloodRun:
    """Return the counts of wrk. Raises `BenchFailed` if the server accepted a request, or failed."""
    accepted, refused, held_up, failed = (int(facts[name]) for name in ("accepted", "refused", "held_up", "failed"))
    if accepted or failed or not refused:
        raise BenchFailed(f"The flood: {accepted=}, {refused=}, {failed=}. {facts['complaint']}")
    return FloodRun(refused, held_up, int(facts["duration"]) / 1_000_000)


def most_within(instants: Sequence[float], seconds: float) -> int:
    """Return the largest number of sorted instants within so many seconds."""
    return max(sum(start <= instant < start + seconds for instant in instants) for start in instants)
