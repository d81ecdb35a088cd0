"""Responses: the app builds them on a thread, the event loop sends them at the speed of the client."""

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
# A response up to this size is built and sent as a whole. A thread builds a larger one in parts of this size.
AT_ONCE_BYTES = 256 * 1024
# `send` returns once Granian has queued the piece. Its queue holds a few, so small pieces bound the memory per client.
PIECE_BYTES = 64 * 1024
log = logging.getLogger(__name__)


class BuiltResponse:
    """A response: status, headers, and its first part; `rest` yields the remaining body, if any."""

    __slots__ = ("body", "headers", "rest", "result", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], result: Iterable[bytes] = ()) -> None:
        self.status = status
        self.headers = headers
        self.result = result
        self.rest: Iterator[bytes] | None = iter(result)
        self.body = b""
        self.go_on()

    def go_on(self) -> bytes:
        """Return the next part of the body; `rest` is None after the last part. Runs on a thread."""
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
        """Close the iterable of the app, as PEP 3333 requires."""
        self.rest = None
        if hasattr(self.result, "close"):
            self.result.close()


def build_response(app: WsgiApp, environ: Environ) -> BuiltResponse | BodyAwaited | Postponed:
    """Return the app's response, or the exception that names what the app waits for. Runs on a thread."""
    status, headers = 500, []

    def start_response(line: str, named: list[tuple[str, str]], _failure: Any = None) -> None:
        nonlocal status, headers
        status, headers = int(line[:3]), [(name.encode("latin-1"), text.encode("latin-1")) for name, text in named]

    try:
        result = app(environ, start_response)
        return BuiltResponse(status, headers, result)
    except (BodyAwaited, Postponed) as awaited:
        # The traceback would keep the frames of the request alive while it waits.
        return awaited.with_traceback(None)
    except Exception:
        log.exception("a request failed outside of the application")
        return BuiltResponse(500, [])


def is_short(made: BuiltResponse) -> bool:
    """Return whether a response is complete and short enough to be sent as a whole."""
    return made.rest is None and len(made.body) <= AT_ONCE_BYTES


def messages_of(made: BuiltResponse) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the ASGI messages of a short response."""
    return (
        {"type": "http.response.start", "status": made.status, "headers": made.headers},
        {"type": "http.response.body", "body": made.body, "more_body": False},
    )


async def stream_response(
    made: BuiltResponse, receive: Receive, send: Send, waits: Waits, environ: Environ, threads: Threads
) -> bool:
    """Send a long response piece by piece; return whether the client took all of it.

    No thread waits for the client: a thread builds the next part after the previous one is sent.
    """
    await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
    gone = ensure_future(_is_gone(receive))
    part: bytes | None = made.body
    making: Future[Any] | None = None
    try:
        with Wait(waits, environ, is_for_body=False) as wait:
            # Granian reports the end of the request once all bytes of a known length are sent. The client is then not
            # gone, and only an empty part may follow.
            while part is not None and not (part and gone.done()):
                for start in range(0, len(part), PIECE_BYTES):
                    piece = part[start : start + PIECE_BYTES]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    wait.moved(len(piece))
                if made.rest is None:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return True
                # At most half of the threads build parts, so that many downloads cannot hold up other requests.
                with wait.paused():
                    async with threads.half:
                        making = threads.run(made.go_on)
                        part = await shield(making)
    except ChangegateError:
        return False
    finally:
        gone.cancel()
        if making is not None:
            # If this task was canceled, a thread may still run the generator; closing it then raises ValueError.
            await making
        if made.rest is not None:
            threads.run(made.close)
    return False


async def _is_gone(receive: Receive) -> None:
    """Wait until a client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
