"""The front: between Granian's event loop and the app's threads.

                    reads, with a deadline                 one SimpleQueue
    client ──────────────────────────────> event loop ──────────────────────> threads: the WSGI app
           <──────────────────────────────            <──────────────────────
             sends, as fast as it is read     Answer, BodyAwaited or Postponed

Only the event loop waits for clients. A thread has a request for as long as it works, and gives it back when the app
wants a long body (`BodyAwaited`) or a fetch (`Postponed`): the same request then runs again, from its start. An answer
of unknown size is made part by part, each when the client has taken the one before. See decision 0020.
"""

from asyncio import Task, ensure_future, get_running_loop, wait
from functools import partial
from io import BytesIO
from typing import Any

from flask import Flask

from changegate.api.envelopes import refusal
from changegate.api.id_tokens import ADMITTED
from changegate.api.method_override import PREFIX, is_overridden
from changegate.api.whole_body import REFUSED_BODY
from changegate.errors import ChangegateError
from changegate.postponed import CAN_POSTPONE, MOST_TIMES, Postponed
from changegate.server.answers import AT_ONCE_BYTES, Answer, Send, answer, send_answer, stream_answer
from changegate.server.bodies import SECONDS_AT_ONCE, SHORT_BODY_BYTES, Bodies, BodyAwaited, Receive, Spool, UnreadBody
from changegate.server.connections import Cutter, bound_unread_answers
from changegate.server.environ import Environ, build_environ, find_fault
from changegate.server.threads import Threads, settle
from changegate.server.waits import Waits

# Files of long bodies take at most this many times the largest body that is accepted.
LARGEST_BODIES = 10
HEALTH = "/healthz"
# Their bodies mean nothing (RFC 9110 §9.3.1).
READING = frozenset({"GET", "HEAD"})
CLOSE = (b"connection", b"close")


class Front:
    """An ASGI application that serves a WSGI application from `threads` threads."""

    def __init__(self, app: Flask, threads: int) -> None:
        settings = app.config["SETTINGS"]
        largest = max(app.config["MAX_CONTENT_LENGTH"], settings.attachment_max_bytes)
        self._app = app
        self._waits = Waits(settings.open_bodies_per_address, settings.trusted_proxies)
        self._bodies = Bodies(self._waits, LARGEST_BODIES * largest)
        self._threads = Threads(threads, "request")
        # Whether the process is alive can be asked while all threads are busy.
        self._health = Threads(1, "health")
        self._cutter = Cutter()
        self._is_bound = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        environ = build_environ(scope)
        if not self._is_bound:
            self._is_bound = True
            bound_unread_answers(int(environ["SERVER_PORT"]))
        environ["wsgi.input"] = BytesIO()
        is_last = False
        if (fault := find_fault(environ)) is not None:
            environ[REFUSED_BODY], is_last = refusal(400, "Exception while reading request", fault), True
        elif _has_body(environ):
            is_last = await self._receive_body(environ, receive)
        made = await self._run(environ)
        is_at_once = made.rest is None and len(made.body) <= AT_ONCE_BYTES
        body, draining = environ["wsgi.input"], None
        if type(body) is UnreadBody:
            draining = await self._drain(body, environ, SECONDS_AT_ONCE if is_at_once else None)
            is_last |= not (draining.done() and draining.result())
        elif type(body) is Spool:
            body.close()
        if is_last or REFUSED_BODY in environ:
            _close_after(made, environ)
        if is_at_once:
            await send_answer(made, send)
            if draining is not None:
                await draining
        elif not await stream_answer(made, receive, send, self._waits, environ, self._threads):
            self._cutter.cut(environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]))

    async def _receive_body(self, environ: Environ, receive: Receive) -> bool:
        """Read a short body, and leave a long one until the app wants it; return whether the connection must end."""
        is_last = environ["REQUEST_METHOD"] in READING
        if is_last and not is_overridden(environ):
            environ.pop("CONTENT_LENGTH", None)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            return True
        length = int(environ.get("CONTENT_LENGTH") or SHORT_BODY_BYTES + 1)
        # There, a header authenticates.
        is_api = environ["PATH_INFO"].startswith(PREFIX)
        if length > SHORT_BODY_BYTES or (is_api and "HTTP_EXPECT" in environ):
            environ["wsgi.input"] = UnreadBody(receive)
            return is_last
        if is_api:
            environ["wsgi.input"] = await self._bodies.begin_short(receive, length)
            return is_last
        try:
            environ["wsgi.input"] = await self._bodies.read_short(receive, environ, length)
        except ChangegateError as refused:
            environ[REFUSED_BODY] = refused
        return is_last

    async def _drain(self, body: UnreadBody, environ: Environ, seconds: float | None) -> Task[bool]:
        """Begin to drop a body: if it is there, its connection stays open. The answer does not wait for more of it."""
        draining = ensure_future(self._bodies.drain(body.receive, environ))
        await wait({draining}, timeout=seconds)
        return draining

    async def _run(self, environ: Environ) -> Answer:
        """Have the app answer, as often as it has to wait for something."""
        threads = self._health if environ["PATH_INFO"] == HEALTH else self._threads
        waited = 0
        while True:
            # Each run has an environment of its own: the app writes into it.
            tried = environ.copy()
            outcome = await threads.run(partial(answer, self._app, tried))
            if type(outcome) is BodyAwaited:
                # Some ID tokens are accepted only once; this one was accepted, for this call.
                environ |= {name: tried[name] for name in (ADMITTED,) if name in tried}
                await self._receive_long_body(environ, outcome.most)
            elif isinstance(outcome, Postponed):
                waited += 1
                environ[CAN_POSTPONE] = waited < MOST_TIMES
                await _end_of(outcome)
                environ["wsgi.input"].seek(0)
            else:
                made: Answer = outcome
                return made

    async def _receive_long_body(self, environ: Environ, most: int | None) -> None:
        try:
            environ["wsgi.input"] = await self._bodies.read_long(environ["wsgi.input"].receive, environ, most)
        except ChangegateError as refused:
            environ[REFUSED_BODY], environ["wsgi.input"] = refused, BytesIO()


def _has_body(environ: Environ) -> bool:
    if "CONTENT_LENGTH" in environ:
        return bool(environ["CONTENT_LENGTH"] != "0")
    # HTTP/2 needs no header to send a body.
    if environ["SERVER_PROTOCOL"] == "HTTP/2" and environ["REQUEST_METHOD"] not in READING:
        return True
    return "HTTP_TRANSFER_ENCODING" in environ


def _close_after(made: Answer, environ: Environ) -> None:
    """Let an answer be the last one of its connection: what follows on it is not to be understood."""
    if environ["SERVER_PROTOCOL"] != "HTTP/2":
        made.headers.append(CLOSE)


async def _end_of(postponed: Postponed) -> None:
    loop = get_running_loop()
    done = loop.create_future()
    postponed.until.add_done_callback(lambda _: loop.call_soon_threadsafe(settle, done, None))
    await done
