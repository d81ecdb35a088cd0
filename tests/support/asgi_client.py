"""Clients of the front, within this process: what they send, and what becomes of it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from changegate.server import Front
from changegate.server.direct import Loop

DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}
TIMEOUT_SECONDS = 120


def pieces_of(*pieces: bytes, ends: bool = True) -> list[dict[str, Any]]:
    """Return a body as Granian gives it: piece by piece, with an empty one at its end, or broken off."""
    sent: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    return [*sent, {"type": "http.request", "body": b"", "more_body": False} if ends else DISCONNECT]


def scope_of(method: str, path: str, headers: Sequence[tuple[str, str]] = (), **changes: Any) -> dict[str, Any]:
    """Return the scope of a request as Granian builds it."""
    usual = {
        "type": "http",
        "method": method,
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", "8080"),
        "client": ("127.0.0.1", "54321"),
    }
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {**usual, "headers": [(b"host", b"localhost"), *sent], **changes}


@dataclass
class Client:
    """Gives the messages of a body one by one, then nothing more; keeps the answer."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    # How many pieces of an answer are read before the client stops reading.
    reads: int | None = None
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False
    received: int = 0

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.Event().wait()
        self.received += 1
        return self.messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode().lower(), value.decode()) for name, value in message["headers"]]
            return
        if self.reads is not None:
            self.reads -= 1
            if self.reads < 0:
                await asyncio.Event().wait()
        self.body += message["body"]
        self.is_whole = not message["more_body"]

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


def ask(front: Front, scope: dict[str, Any], *messages: dict[str, Any], reads: int | None = None) -> Client:
    """Return a client after its request was answered."""
    client = Client([*messages], reads=reads)
    ask_at_once(front, (scope, client))
    return client


def ask_at_once(front: Front, *requests: tuple[dict[str, Any], Client]) -> None:
    """Send requests beside each other until all are answered."""

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.gather(*(front(scope, client.receive, client.send) for scope, client in requests))

    finish(run())


def finish(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine to its end, on another thread: Playwright keeps an event loop running on that of the tests."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


class Announced:
    """A request as Granian announces it to the event loop: on a thread of its own, with its scope and its channel."""

    def __init__(self, scope: dict[str, Any], *messages: dict[str, Any], is_late: bool = False) -> None:
        self.scope = scope
        self.proto = self
        self.client = Client([*messages])
        # Whether the event loop had to answer. A late body begins only then.
        self.is_in_loop = False
        self._may_begin = Event()
        if not is_late:
            self._may_begin.set()
        self._is_answered = Event()
        self._loop = Loop()
        self._take: Callable[[Any], None] | None = None

    def ask(self, front: Front) -> Client:
        """Return the client after the request was answered."""
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._loop.call_soon_threadsafe(self._run, self._answer(front), self)
        if self._take is not None and self.client.messages:
            assert self._may_begin.wait(TIMEOUT_SECONDS)
            self._loop.call_soon_threadsafe(self._take, self)
        assert self._is_answered.wait(TIMEOUT_SECONDS)
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
        return self.client

    async def _stop(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    async def _answer(self, front: Front) -> None:
        self.is_in_loop = True
        self._may_begin.set()
        await front(self.scope, self.proto.receive, self.proto.send)

    def _run(self, answer: Coroutine[Any, Any, None], _announced: "Announced") -> None:
        self._task = self._loop.create_task(answer)

    def receive(self) -> Any:
        """Return the next message to await; the direct way takes the first one by `add_done_callback`."""
        return self if self._take is None and not self.is_in_loop else self.client.receive()

    def add_done_callback(self, take: Callable[[Any], None]) -> None:
        self._take = take

    def result(self) -> dict[str, Any]:
        self.client.received += 1
        return self.client.messages.pop(0)

    def send(self, message: dict[str, Any]) -> "Announced":
        """Take a message at once, as Granian does."""
        for _ in self.client.send(message).__await__():
            raise AssertionError("Granian does not wait here")
        if self.client.is_whole:
            self._is_answered.set()
        return self

    def __await__(self) -> Any:
        return iter(())
