"""Bodies of requests, read by the event loop: short ones into memory, long ones into files of bounded total size."""

from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn

from flask import has_request_context

from changegate.api.envelopes import refusal
from changegate.errors import ChangegateError
from changegate.server.environ import Environ
from changegate.server.waits import Wait, Waits
from changegate.unproxied import current_request

Receive = Callable[[], Awaitable[dict[str, Any]]]
SHORT_BODY_BYTES = 64 * 1024
# The share of the total size that the long bodies of one address may take.
SHARE_OF_ADDRESS = 0.25
# The largest body that is read and dropped: many clients read the response only after they have sent the whole body.
MOST_DRAINED_BYTES = 16 * 1024 * 1024
# How long the API waits for a short body before it runs the app, which then authenticates the caller without the body.
SECONDS_AT_ONCE = 0.1


class BodyAwaited(BaseException):
    """Raised when the app reads an unread body; `most` is the app's limit in bytes, None without a limit.

    Not an `Exception`, so that no error handler answers it.
    """

    def __init__(self, most: int | None) -> None:
        super().__init__("the request waits for its body")
        self.most = most


class UnreadBody:
    """A body that the server has not read: the app first authenticates the caller, and may not need the body."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive

    def read(self, *_size: int) -> NoReturn:
        """Stop this run of the request; the server reads the body and runs the request again."""
        raise BodyAwaited(current_request().max_content_length if has_request_context() else None)

    readline = readlines = __iter__ = read

    def seek(self, _position: int) -> None:
        """Do nothing: an unread body is at its beginning."""


class Bodies:
    """Reads the bodies of requests within limits of time and space.

    Runs in the event loop only, so the counters need no lock: nothing between a check and its update awaits.
    """

    def __init__(self, waits: Waits, room: int) -> None:
        self._waits = waits
        self._room = room
        self._most_of_address = room * SHARE_OF_ADDRESS
        # Bytes reserved by each address.
        self._taken: Counter[str] = Counter()

    async def read_short(self, receive: Receive, environ: Environ, length: int) -> IO[bytes]:
        """Return a body of `length` bytes; raises `ChangegateError` if it is late or has another length."""
        with Wait(self._waits, environ, is_for_body=True):
            data = bytearray()
            while len(data) < length and (piece := await _next_piece(receive)):
                data += piece
        if len(data) != length:
            raise _broken()
        return BytesIO(data)

    async def read_long(self, receive: Receive, environ: Environ, most: int | None) -> "Spool":
        """Return a body of any length; raises `ChangegateError` if it is late, broken off, or too large.

        Without a Content-Length, reading stops once the body is longer than `most` bytes; the app refuses it then.
        """
        announced = environ.get("CONTENT_LENGTH")
        spool = Spool(self, self._waits.client_of(environ))
        try:
            with Wait(self._waits, environ, is_for_body=True) as wait:
                await _fill(spool, receive, wait, None if announced else most)
            if announced and spool.size != int(announced):
                raise _broken()
        except BaseException:
            # Also if the task is canceled: space that is not released stays taken until the process ends.
            spool.close()
            raise
        return spool

    async def drain(self, receive: Receive, environ: Environ) -> bool:
        """Read and drop the rest of a body that the app did not read; return whether it ended within the limits."""
        # A client that waits for 100 Continue may never send the body after a refusal.
        if "HTTP_EXPECT" in environ or int(environ.get("CONTENT_LENGTH") or 0) > MOST_DRAINED_BYTES:
            return False
        size = 0
        try:
            with Wait(self._waits, environ, is_for_body=True):
                while piece := await _next_piece(receive):
                    size += len(piece)
                    if size > MOST_DRAINED_BYTES:
                        return False
        except ChangegateError:
            return False
        return piece is not None

    def take_room(self, client: str, size: int) -> None:
        """Reserve `size` bytes in files for an address; raises `ChangegateError` over a limit."""
        if size > self._room or self._taken[client] + size > self._most_of_address:
            raise refusal(503, "Service unavailable", "Too many large requests are under way; try again")
        self._room -= size
        self._taken[client] += size

    def give_room(self, client: str, size: int) -> None:
        """Release reserved bytes."""
        self._room += size
        self._taken[client] -= size
        if not self._taken[client]:
            del self._taken[client]


class Spool(SpooledTemporaryFile[bytes]):
    """A long body: in memory up to the size of a short one, then in a temporary file that `close` deletes."""

    def __init__(self, bodies: Bodies, client: str) -> None:
        super().__init__(max_size=SHORT_BODY_BYTES)
        self.size = 0
        self._bodies = bodies
        self._client = client

    def add(self, piece: bytes) -> None:
        """Append a piece; raises `ChangegateError` if there is no space.

        Writes in the event loop: the data goes to the page cache, which does not block for long.
        """
        # Bytes are reserved as they arrive: an announced length alone must not use up the space.
        self._bodies.take_room(self._client, len(piece))
        self.size += len(piece)
        try:
            self.write(piece)
        except OSError as problem:
            raise refusal(503, "Service unavailable", "No room for another large request; try again") from problem

    def close(self) -> None:
        """Delete the body and release its bytes; a second call changes nothing."""
        super().close()
        self._bodies.give_room(self._client, self.size)
        self.size = 0


async def _fill(spool: Spool, receive: Receive, wait: Wait, most: int | None) -> None:
    """Read to the end of a body, or until it is longer than `most` bytes."""
    while most is None or spool.size <= most:
        piece = await _next_piece(receive)
        if piece is None:
            raise _broken()
        if not piece:
            break
        wait.moved(len(piece))
        spool.add(piece)
    spool.seek(0)


async def _next_piece(receive: Receive) -> bytes | None:
    """Return the next bytes of a body: empty at its end, None if the client has disconnected."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece: bytes = message["body"]
        # A piece may be empty before the end: HTTP/2 allows empty frames, and trailers arrive as one.
        if piece or not message["more_body"]:
            return piece


def beginning_with(first: Awaitable[dict[str, Any]], receive: Receive) -> Receive:
    """Return a `receive` that returns the message already awaited first, then the following ones."""
    is_first = True

    async def receive_next() -> dict[str, Any]:
        nonlocal is_first
        if is_first:
            is_first = False
            return await first
        return await receive()

    return receive_next


def _broken() -> ChangegateError:
    return refusal(400, "Exception while reading request", "The body ended before it was whole")
