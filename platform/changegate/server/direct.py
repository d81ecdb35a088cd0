"""The direct path of a complete request: from Granian's thread to a thread of the app, and back to Granian.

    Granian ──> Loop.call_soon_threadsafe() ──> Direct.take() ──┬── complete ──> threads: the WSGI app ──> send()
                                                                │                   │ a long response, or the app waits
                                                                └── late ───────────┴──> event loop: front.py

The event loop would wake up three times for such a request, and each time compete for the interpreter lock (GIL) with
the thread that works. It is needed only for requests and responses that wait for a client. See decision 0020.

Granian calls `call_soon_threadsafe` on a thread of its own, with two arguments for each new request: the coroutine
that would answer it, and the object with its scope and its `receive` and `send`. A call of any other form goes
through the event loop, and so would every request if Granian changed this.
"""

import logging
import signal
import time
from asyncio import Future, Handle, set_event_loop
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import uvloop
from flask import Flask
from granian import loops

from changegate.server.bodies import SECONDS_AT_ONCE, SHORT_BODY_BYTES
from changegate.server.connections import bound_unread_answers
from changegate.server.environ import READING, Environ, build_environ, find_fault, has_body
from changegate.server.responses import BuiltResponse, build_response, is_short, messages_of
from changegate.server.threads import Threads, settle

# The name by which Granian finds the event loop.
LOOP = "changegate"
# The signal by which the parent stops a worker; `draining.py` explains why it is not SIGTERM.
STOP = signal.SIGUSR1
# The key of a scope under which the event loop finds what was done before it got the request.
BEGUN = "changegate.begun"
GoToLoop = Callable[[], Any]
log = logging.getLogger(__name__)


class Begun:
    """What was done for a request before the event loop got it; `first` is the beginning of its body."""

    __slots__ = ("environ", "first", "outcome")

    def __init__(self, environ: Environ, outcome: Any, first: "Future[dict[str, Any]] | None") -> None:
        self.environ = environ
        self.outcome = outcome
        self.first = first


class Arrival:
    """A request that Granian has announced. Granian calls it with the first message of its body, on its own thread."""

    __slots__ = ("_coroutine", "_in_loop", "began_at", "direct", "environ", "late", "length", "loop", "watcher")

    def __init__(
        self, direct: "Direct", loop: "Loop", coroutine: Coroutine[Any, Any, None], watcher: Any, in_loop: GoToLoop
    ) -> None:
        self.direct = direct
        self.loop = loop
        self.watcher = watcher
        self.environ = build_environ(watcher.scope)
        self.length = 0
        self.began_at = time.monotonic()
        # How the event loop gets the first message, once it has the request.
        self.late: Future[dict[str, Any]] | None = None
        self._coroutine = coroutine
        self._in_loop = in_loop

    def __call__(self, received: Any) -> None:
        """Take the first message of the body."""
        message = received.result()
        if not self.direct.withdraw(self):
            with suppress(RuntimeError):  # the event loop is closed because the process ends
                self.loop.call_soon_threadsafe(settle, self.late, message)
        elif len(body := message.get("body", b"")) == self.length:
            self.environ["wsgi.input"] = BytesIO(body)
            self.direct.start(self)
        else:
            first = self.loop.create_future()
            first.set_result(message)
            self.continue_in_loop(first=first)

    def continue_in_loop(self, outcome: Any = None, first: "Future[dict[str, Any]] | None" = None) -> None:
        """Pass the request to the event loop."""
        self.watcher.scope[BEGUN] = Begun(self.environ, outcome, first)
        with suppress(RuntimeError):  # the event loop is closed because the process ends
            self._in_loop()

    def send(self, made: BuiltResponse) -> None:
        """Answer the request."""
        # The coroutine of the event loop has not begun, and never will.
        self._coroutine.close()
        for message in messages_of(made):
            # Granian takes these messages at once: there is nothing to await.
            self.watcher.proto.send(message)


class Direct:
    """Answers requests without the event loop. `take` runs on Granian's thread, `_look` in the event loop."""

    def __init__(self, app: Flask, threads_for: Callable[[Environ], Threads | None]) -> None:
        self._app = app
        self._threads_for = threads_for
        # A dict as an ordered set. Granian's thread and the event loop both remove arrivals, and the one that finds the
        # arrival goes on with the request: dict.pop() is atomic.
        self._arrivals: dict[Arrival, bool] = {}
        self._is_looking = False

    def take(self, arrival: Arrival) -> bool:
        """Begin a request; return False if the event loop must begin it."""
        environ = arrival.environ
        if find_fault(environ) is not None or self._threads_for(environ) is None:
            return False
        bound_unread_answers(int(environ["SERVER_PORT"]))
        if not has_body(environ):
            environ["wsgi.input"] = BytesIO()
            self.start(arrival)
            return True
        arrival.length = int(environ.get("CONTENT_LENGTH") or 0)
        if not 0 < arrival.length <= SHORT_BODY_BYTES:
            return False
        # The body of a GET is not read, and a client that expects 100 Continue may never send one.
        if "HTTP_EXPECT" in environ or environ["REQUEST_METHOD"] in READING:
            return False
        self._arrivals[arrival] = True
        try:
            arrival.watcher.proto.receive().add_done_callback(arrival)
        except Exception:
            # The event loop gets it now, and must not get it again from `_look`.
            self.withdraw(arrival)
            raise
        # After the arrival is in the dict: see `_look`.
        if not self._is_looking:
            self._is_looking = True
            arrival.loop.call_soon_threadsafe(self._look_later, arrival.loop)
        return True

    def withdraw(self, arrival: Arrival) -> bool:
        """Remove an arrival; return False if the other thread has already done that."""
        return self._arrivals.pop(arrival, False)

    def start(self, arrival: Arrival) -> None:
        """Answer a complete request on a thread."""
        if threads := self._threads_for(arrival.environ):
            threads.start(partial(self._answer, arrival))

    def _answer(self, arrival: Arrival) -> None:
        # A copy for each run: the app writes into the environment.
        outcome = build_response(self._app, arrival.environ.copy())
        if type(outcome) is BuiltResponse and is_short(outcome):
            arrival.send(outcome)
        else:
            arrival.continue_in_loop(outcome)

    def _look_later(self, loop: "Loop") -> None:
        loop.call_later(SECONDS_AT_ONCE, self._look, loop)

    def _look(self, loop: "Loop") -> None:
        """Pass requests whose body is late to the event loop."""
        late = time.monotonic() - SECONDS_AT_ONCE
        for arrival in self._arrivals.copy():
            if arrival.began_at <= late:
                # Before the withdrawal: the message may come at the next moment.
                arrival.late = loop.create_future()
                if self.withdraw(arrival):
                    arrival.continue_in_loop(first=arrival.late)
        # In this order: if an arrival comes between the two lines, `take` looks for it.
        self._is_looking = False
        if self._arrivals and not self._is_looking:
            self._is_looking = True
            self._look_later(loop)


class Loop(uvloop.Loop):
    """The event loop of a worker, which offers each request to `direct` first."""

    # Set in each worker process, once its application is loaded.
    direct: ClassVar[Direct | None] = None

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle | None:
        """Run `callback` in the event loop, or here if it is an arrival; answer a request directly if possible."""
        if type(callback) is Arrival:
            callback(*args)
            return None
        in_loop = partial(super().call_soon_threadsafe, callback, *args, context=context)
        if self.direct is not None and len(args) == 2 and hasattr(args[1], "proto"):
            try:
                if self.direct.take(Arrival(self.direct, self, *args, in_loop)):
                    return None
            except Exception:
                log.exception("a request failed outside of the application")
        return in_loop()

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Set the handler of a signal; that of SIGTERM becomes the handler of `STOP`."""
        super().add_signal_handler(STOP if sig == signal.SIGTERM else sig, callback, *args)


@loops.register(LOOP)
def build_loop() -> Loop:
    """Return the event loop of a worker process."""
    loop = Loop()
    set_event_loop(loop)
    return loop
