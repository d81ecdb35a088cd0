"""Callers that exchange and create without a pause, and what they were answered."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import requests

from tests.failover.engines import Cluster
from tests.support.live_desk import LiveDesk

WRITERS_PER_NODE = 4
CREATES_PER_TOKEN = 10
PAUSE_SECONDS = 0.03
HEALTH_SECONDS = 2.0
TIMEOUT_SECONDS = 40


@dataclass
class Answers:
    """What callers were answered, with the seconds since the start."""

    began: float = field(default_factory=time.monotonic)
    statuses: Counter[str] = field(default_factory=Counter)
    created: list[tuple[float, str]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def now(self) -> float:
        return time.monotonic() - self.began

    def longest_gap(self) -> float:
        """Return the longest time without a created change, in seconds."""
        times = sorted(at for at, _ in self.created)
        return max((later - earlier for earlier, later in pairwise(times)), default=float("inf"))

    def first_created_after(self, at: float) -> float:
        return min((time for time, _ in self.created if time > at), default=float("inf"))

    def check(self, answer: requests.Response, kind: str) -> bool:
        """Count an answer, and note what callers must never get; return whether it is a success."""
        self.statuses[f"{kind} {answer.status_code}"] += 1
        if answer.status_code in {200, 201}:
            return True
        is_complete = answer.headers.get("Retry-After") and answer.headers.get("X-Request-Id")
        if answer.status_code != 503 or not is_complete or "error" not in answer.json():
            self.faults.append(f"{kind}: {answer.status_code} {answer.text[:200]!r}")
        return False


@contextmanager
def working(nodes: Sequence[str], desk: LiveDesk) -> Iterator[Answers]:
    """Let callers and health checks work at all nodes while the block runs."""
    answers, done = Answers(), threading.Event()
    threads = [
        threading.Thread(target=work, args=(LiveDesk(url, desk.idp_url, desk.credentials), answers, done))
        for url in nodes
        for work in (*[_exchange_and_create] * WRITERS_PER_NODE, _check_health)
    ]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _exchange_and_create(desk: LiveDesk, answers: Answers, done: threading.Event) -> None:
    token, left = "", 0
    while not done.wait(PAUSE_SECONDS):
        began, key = time.monotonic(), uuid.uuid4().hex
        try:
            if not left:
                answer = desk.exchange()
                if answers.check(answer, "exchange"):
                    token, left = answer.json()["access_token"], CREATES_PER_TOKEN
                continue
            left -= 1
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            body = {"short_description": "load", "correlation_id": key}
            url = f"{desk.url}/api/now/table/change_request"
            created = desk.session.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
            if answers.check(created, "create"):
                answers.created.append((answers.now(), key))
            else:
                answers.unanswered.append(key)
        except requests.RequestException as problem:
            answers.faults.append(f"no answer after {time.monotonic() - began:.1f} s: {type(problem).__name__}")
            answers.unanswered.append(key)
        finally:
            answers.slowest = max(answers.slowest, time.monotonic() - began)


def _check_health(desk: LiveDesk, answers: Answers, done: threading.Event) -> None:
    while not done.wait(0.25):
        for path, allowed in (("healthz", {200}), ("readyz", {200, 503})):
            # Readiness waits up to 3 seconds for the database.
            limit = HEALTH_SECONDS if path == "healthz" else 3 + HEALTH_SECONDS
            try:
                status = requests.get(f"{desk.url}/{path}", timeout=limit).status_code
            except requests.RequestException as problem:
                answers.faults.append(f"{path}: {type(problem).__name__} within {limit:.0f} s")
                continue
            answers.statuses[f"{path} {status}"] += 1
            if status not in allowed:
                answers.faults.append(f"{path}: {status}")


def find_losses(cluster: Cluster, answers: Answers) -> list[str]:
    """Return which answered changes do not exist exactly once, and which unanswered ones exist twice."""
    rows = cluster.ask("SELECT correlation_id, count(*) FROM task WHERE correlation_id IS NOT NULL GROUP BY 1")
    stored: dict[str, int] = dict(rows)
    lost = [f"lost: {key}" for _, key in answers.created if stored.get(key) != 1]
    return lost + [f"doubled: {key}" for key in answers.unanswered if stored.get(key, 0) > 1]
