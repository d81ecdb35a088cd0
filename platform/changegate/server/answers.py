"""Answers: made by the app on a thread, sent by the event loop as fast as the client reads."""

import logging
from asyncio import Future, ensure_future, shield
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from changegate.errors import ChangegateError
from changegate.postponed import Postponed
from changegate.server.bodies import BodyAwaited, Receive
from changegate.server.environ import Environ
from changegate.server.threads import Threads
from changegate.server.waits import Wait, Waits

Send = Callable[[dict[str, Any]], Awaitable[None]]
WsgiApp = Callable[[Environ, Any], Iterable[bytes]]
# An answer up to this size is handed over as a whole; of a larger one, a thread makes as much at a time.
AT_ONCE_BYTES = 256 * 1024
# Granian holds a few pieces of what a client has not read yet.
PIECE_BYTES = 64 * 1024
log = logging.getLogger(__name__)


class Answer:
    """What the app answers: its beginning, or all of it, and what makes the rest."""

    __slots__ = ("body", "headers", "rest", "result", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], result: Iterable[bytes] = ()) -> None:
        self.status = status
        self.headers = headers
        self.result = result
        self.rest: Iterator[bytes] | None = iter(result)
        self.body = b""
        self.go_on()

    def go_on(self) -> bytes:
        """Return the next part of the body; after the last one, `rest` is None. Runs on a thread."""
        pieces: list[bytes] = []
        size = 0
        for piece in self.rest or ():
            pieces.append(piece)
            size += len(piece)
            if size > AT_ONCE_BYTES:
                break
        else:
            self.close()
        self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.body

    def close(self) -> None:
        """Let the app clean up."""
        self.rest = None
        if hasattr(self.result, "close"):
            self.result.close()


def answer(app: WsgiApp, environ: Environ) -> Answer | BodyAwaited | Postponed:
    """Return what the app answers, or what it waits for. Runs on a thread."""
    status, headers = 500, []

    def start_response(line: str, named: list[tuple[str, str]], _failure: Any = None) -> None:
        nonlocal status, headers
        status, headers = int(line[:3]), [(name.encode("latin-1"), text.encode("latin-1")) for name, text in named]

    try:
        result = app(environ, start_response)
        return Answer(status, headers, result)
    except (BodyAwaited, Postponed) as awaited:
        # With its frames it would keep all that the request had.
        return awaited.with_traceback(None)
    except Exception:
        log.exception("a request failed outside of the application")
        return Answer(500, [])


async def send_answer(made: Answer, send: Send) -> None:
    """Send an answer that is there as a whole."""
    await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
    await send({"type": "http.response.body", "body": made.body, "more_body": False})


async def stream_answer(
    made: Answer, receive: Receive, send: Send, waits: Waits, environ: Environ, threads: Threads
) -> bool:
    """Send a long answer piece by piece; return whether all of it could be sent.

    No thread waits for the client: one is asked for the next part when the last one is on its way.
    """
    await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
    gone = ensure_future(_is_gone(receive))
    part: bytes | None = made.body
    making: Future[Any] | None = None
    try:
        with Wait(waits, environ, is_for_body=False) as wait:
            while part is not None and not gone.done():
                for start in range(0, len(part), PIECE_BYTES):
                    piece = part[start : start + PIECE_BYTES]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    wait.moved(len(piece))
                if made.rest is None:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return True
                # A hundred downloads that begin at once are not in the way of other requests.
                with wait.paused():
                    async with threads.half:
                        making = threads.run(made.go_on)
                        part = await shield(making)
    except ChangegateError:
        return False
    finally:
        gone.cancel()
        if making is not None:
            # A generator cannot be closed while a thread runs it.
            await making
        if made.rest is not None:
            threads.run(made.close)
    return False


async def _is_gone(receive: Receive) -> None:
    """Wait until a client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
