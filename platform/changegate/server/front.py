"""The ASGI application between Granian's event loop and the threads that run the WSGI app.

                    reads, with a deadline                 one SimpleQueue
    client ──────────────────────────────> event loop ──────────────────────> threads: the WSGI app
           <──────────────────────────────            <──────────────────────
             sends, as fast as it is read     BuiltResponse, BodyAwaited or Postponed

Only the event loop waits for clients; its deadlines are in `waits.py`. A thread holds a request only while the app
works. If the app needs a long body (`BodyAwaited`) or a fetch (`Postponed`), the thread is freed, the event loop waits,
and the same request then runs again from its start. A long response is built part by part, each part after the client
has taken the previous one. A request that has arrived as a whole bypasses the loop: `direct.py`. See decision 0020.
"""

from asyncio import Task, ensure_future, get_running_loop, wait
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from flask import Flask

from changegate.api.cors import PREFIX
from changegate.api.envelopes import refusal
from changegate.api.id_tokens import ADMITTED
from changegate.api.method_override import is_overridden
from changegate.api.whole_body import REFUSED_BODY
from changegate.errors import ChangegateError
from changegate.postponed import CAN_POSTPONE, MOST_TIMES, Postponed
from changegate.server.bodies import (
    SECONDS_AT_ONCE,
    SHORT_BODY_BYTES,
    Bodies,
    BodyAwaited,
    Receive,
    Spool,
    UnreadBody,
    beginning_with,
)
from changegate.server.connections import Cutter, bound_unread_answers
from changegate.server.direct import BEGUN, Begun, Direct
from changegate.server.environ import READING, Environ, build_environ, find_fault, has_body
from changegate.server.readiness import Readiness
from changegate.server.responses import BuiltResponse, Send, build_response, is_short, messages_of, stream_response
from changegate.server.threads import Threads, settle
from changegate.server.waits import Waits

# All long bodies together may take this many times the size of the largest accepted body.
LARGEST_BODIES = 10
HEALTH = "/healthz"
READINESS = "/readyz"
CLOSE = (b"connection", b"close")


class Front:
    """An ASGI application that serves a WSGI application from `threads` threads."""

    def __init__(self, app: Flask, threads: int, is_draining: Callable[[], bool] = bool) -> None:
        settings = app.config["SETTINGS"]
        largest = max(app.config["MAX_CONTENT_LENGTH"], settings.attachment_max_bytes)
        self._app = app
        self._waits = Waits(settings.open_bodies_per_address, settings.trusted_proxies)
        self._bodies = Bodies(self._waits, LARGEST_BODIES * largest)
        self._threads = Threads(threads, "request")
        # A thread of its own: the health check must answer while all other threads are busy.
        self._health = Threads(1, "health")
        self._readiness = Readiness(app, is_draining, self._health)
        self._cutter = Cutter()
        self.direct = Direct(app, self._threads_for)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun: Begun = scope.get(BEGUN) or Begun(build_environ(scope), None, None)
        environ = begun.environ
        is_last = False
        if begun.outcome is None:
            bound_unread_answers(int(environ["SERVER_PORT"]))
            environ["wsgi.input"] = BytesIO()
            if begun.first is not None:
                receive = beginning_with(begun.first, receive)
            if (fault := find_fault(environ)) is not None:
                environ[REFUSED_BODY], is_last = refusal(400, "Exception while reading request", fault), True
            elif has_body(environ):
                is_last = await self._receive_body(environ, receive)
        made = await self._run(environ, begun.outcome)
        is_at_once = is_short(made)
        body, draining = environ["wsgi.input"], None
        if type(body) is UnreadBody:
            draining = await self._drain(body, environ, SECONDS_AT_ONCE if is_at_once else None)
            is_last |= not (draining.done() and draining.result())
        elif type(body) is Spool:
            body.close()
        if is_last or REFUSED_BODY in environ:
            _close_after(made, environ)
        if is_at_once:
            for message in messages_of(made):
                await send(message)
            # After the response: if the connection were closed while the client still sends, the system would reset it,
            # and the client could lose the response.
            if draining is not None:
                await draining
        elif not await stream_response(made, receive, send, self._waits, environ, self._threads):
            self._cutter.cut(environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]))

    async def _receive_body(self, environ: Environ, receive: Receive) -> bool:
        """Read a short body, leave a long one until the app reads it; return whether the connection must end."""
        is_last = environ["REQUEST_METHOD"] in READING
        if is_last and not is_overridden(environ):
            # The body of a GET has no meaning and is not read: the app must not wait for it, and the connection ends
            # after the response.
            environ.pop("CONTENT_LENGTH", None)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            return True
        length = int(environ.get("CONTENT_LENGTH") or SHORT_BODY_BYTES + 1)
        # API callers authenticate by a header, so the app can refuse them before the body is read.
        is_api = environ["PATH_INFO"].startswith(PREFIX)
        if length > SHORT_BODY_BYTES or is_api:
            environ["wsgi.input"] = UnreadBody(receive)
            return is_last
        try:
            environ["wsgi.input"] = await self._bodies.read_short(receive, environ, length)
        except ChangegateError as refused:
            environ[REFUSED_BODY] = refused
        return is_last

    async def _drain(self, body: UnreadBody, environ: Environ, seconds: float | None) -> Task[bool]:
        """Start to drop the body and wait up to `seconds` for its end, without a limit if None; return the task.

        The connection can stay open only if the body has ended within that time.
        """
        draining = ensure_future(self._bodies.drain(body.receive, environ))
        await wait({draining}, timeout=seconds)
        return draining

    def _threads_for(self, environ: Environ) -> Threads | None:
        """Return the threads that answer a request; None for a readiness check, which the event loop answers."""
        path = environ["PATH_INFO"]
        if path == READINESS and environ["REQUEST_METHOD"] in READING:
            return None
        return self._health if path == HEALTH else self._threads

    async def _run(self, environ: Environ, outcome: Any) -> BuiltResponse:
        """Run the app, again after each wait for a body or a fetch; return its response.

        `outcome` is that of the first run, if there was one.
        """
        threads = self._threads_for(environ)
        if threads is None:
            if REFUSED_BODY not in environ:
                return await self._readiness.run(environ)
            threads = self._threads
        tried, waited = environ, 0
        while True:
            if outcome is None:
                # A copy for each run: the app writes into the environment.
                tried = environ.copy()
                outcome = await threads.run(partial(build_response, self._app, tried))
            if type(outcome) is BodyAwaited:
                # Some ID tokens are accepted only once. The next run must not verify the token of this call again.
                environ |= {name: tried[name] for name in (ADMITTED,) if name in tried}
                await self._receive_long_body(environ, outcome.most)
            elif isinstance(outcome, Postponed):
                waited += 1
                environ[CAN_POSTPONE] = waited < MOST_TIMES
                await _end_of(outcome)
                # The run that was postponed may have read the body.
                environ["wsgi.input"].seek(0)
            else:
                made: BuiltResponse = outcome
                return made
            outcome = None

    async def _receive_long_body(self, environ: Environ, most: int | None) -> None:
        try:
            environ["wsgi.input"] = await self._bodies.read_long(environ["wsgi.input"].receive, environ, most)
        except ChangegateError as refused:
            environ[REFUSED_BODY], environ["wsgi.input"] = refused, BytesIO()


def _close_after(made: BuiltResponse, environ: Environ) -> None:
    """End the connection after this response: the rest of its input cannot be parsed as a request."""
    if environ["SERVER_PROTOCOL"] != "HTTP/2":
        made.headers.append(CLOSE)


async def _end_of(postponed: Postponed) -> None:
    loop = get_running_loop()
    done = loop.create_future()
    # The callback runs on the thread of the fetch, where asyncio allows only `call_soon_threadsafe`.
    postponed.until.add_done_callback(lambda _: loop.call_soon_threadsafe(settle, done, None))
    await done
