"""Waits for clients: each has a deadline, and the open bodies of an address are limited.

    request task   with Wait(...): await receive() or send()
    event loop     Waits._look() every 250 ms ──> Wait.refuse() ──> task.cancel()
    request task   CancelledError in the await ──> Wait.__exit__ raises the refusal instead

All of it runs in the event loop, so nothing here needs a lock.
"""

from asyncio import AbstractEventLoop, CancelledError, Task, current_task, get_running_loop
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Any, Self

from changegate.api.envelopes import refusal
from changegate.errors import ChangegateError, TooManyOpenBodies
from changegate.failure_limit import network_of
from changegate.server.environ import Environ

# Granian's deadline for the head of a request, and for the next request on a connection.
HEAD_SECONDS = 30.0
# The deadline for a short body. Each byte of a long body extends it by the time that the byte takes at the lowest rate.
SECONDS = 10.0
BYTES_PER_SECOND = 16 * 1024
# Bodies younger than this are not counted, so that a burst of complete requests from one address is accepted.
SECONDS_UNCOUNTED = 1.0
SECONDS_BETWEEN_LOOKS = 0.25


class Wait:
    """A context in which a request waits for its client; raises a `ChangegateError` if `refuse` ended the wait."""

    __slots__ = ("began_at", "ends_at", "environ", "is_for_body", "refused", "task", "waits")

    def __init__(self, waits: "Waits", environ: Environ, *, is_for_body: bool) -> None:
        self.waits = waits
        self.environ = environ
        self.is_for_body = is_for_body
        self.refused: ChangegateError | None = None

    def __enter__(self) -> Self:
        self.task: Task[Any] | None = current_task()
        self.began_at = self.waits.begin(self)
        self.ends_at = self.began_at + SECONDS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.waits.end(self)
        if kind is CancelledError and self.refused is not None:
            # The cancellation was ours. Without uncancel(), later timeouts of this task would misread it (asyncio docs,
            # "Task Cancellation"); a cancellation by Granian leaves `refused` empty and passes through.
            if self.task is not None:
                self.task.uncancel()
            raise self.refused from None

    def moved(self, size: int) -> None:
        """Extend the deadline for `size` bytes that were sent or received."""
        self.ends_at += size / BYTES_PER_SECOND

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock of the client while it waits for the server."""
        left = self.ends_at - self.waits.now()
        self.ends_at = inf
        try:
            yield
        finally:
            self.ends_at = self.waits.now() + left

    def refuse(self, error: ChangegateError) -> None:
        """Cancel the task that waits; its `Wait` raises `error`."""
        # Only once, because each cancel() needs its own uncancel().
        if self.refused is None and self.task is not None:
            self.refused = error
            self.task.cancel()


class Waits:
    """The waits of a process. One timer checks all of them: a timer for each would slow down every request."""

    def __init__(self, most_for_address: int, trusted_proxies: int) -> None:
        self._most = most_for_address
        self._trusted_proxies = trusted_proxies
        # A dict as an ordered set: the oldest wait first.
        self._waits: dict[Wait, None] = {}
        self._loop: AbstractEventLoop | None = None
        self._is_looking = False

    def begin(self, wait: Wait) -> float:
        """Register a wait; return the time of the event loop."""
        if self._loop is None:
            self._loop = get_running_loop()
        self._waits[wait] = None
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(SECONDS_BETWEEN_LOOKS, self._look)
        return self._loop.time()

    def now(self) -> float:
        """Return the time of the event loop."""
        return self._loop.time() if self._loop else 0.0

    def end(self, wait: Wait) -> None:
        """Remove a wait."""
        self._waits.pop(wait, None)

    def _look(self) -> None:
        now = self.now()
        open_bodies: dict[str, list[Wait]] = defaultdict(list)
        for wait in list(self._waits):
            if wait.ends_at <= now:
                wait.refuse(refusal(408, "Request timeout", "The request or its response timed out"))
            elif wait.is_for_body and wait.began_at + SECONDS_UNCOUNTED <= now:
                open_bodies[self.client_of(wait.environ)].append(wait)
        for waits in open_bodies.values():
            # The newest bodies are refused: the oldest came first and may be nearly complete.
            for wait in waits[self._most :]:
                wait.refuse(TooManyOpenBodies(retry_after=int(SECONDS)))
        self._is_looking = bool(self._waits)
        if self._is_looking and self._loop:
            self._loop.call_later(SECONDS_BETWEEN_LOOKS, self._look)

    def client_of(self, environ: Environ) -> str:
        """Return the network that a client is counted by; behind trusted proxies, by X-Forwarded-For like the app."""
        header: str = environ.get("HTTP_X_FORWARDED_FOR", "")
        forwarded = [part.strip() for part in header.split(",")]
        if not self._trusted_proxies or len(forwarded) < self._trusted_proxies:
            return network_of(str(environ["REMOTE_ADDR"]))
        # From the right: proxies append to the header, and everything to the left of this entry may be the client's own
        # text.
        return network_of(forwarded[-self._trusted_proxies])
