"""Bodies of requests, read in the event loop: short ones into memory, long ones into files under a common bound."""

from asyncio import ensure_future, wait
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn

from flask.globals import request_ctx

from changegate.api.envelopes import refusal
from changegate.errors import ChangegateError
from changegate.server.environ import Environ
from changegate.server.waits import Wait, Waits

Receive = Callable[[], Awaitable[dict[str, Any]]]
SHORT_BODY_BYTES = 64 * 1024
# One address may use this part of the room for long bodies.
SHARE_OF_ADDRESS = 0.25
# The largest body that is read and dropped: many clients read the answer only after they have sent all of it.
MOST_DRAINED_BYTES = 16 * 1024 * 1024
# A short body that is there comes within this time; callers who must authenticate are not waited for any longer.
SECONDS_AT_ONCE = 0.1


class BodyAwaited(BaseException):
    """The app wants the body now; `most` is how many bytes of it are enough for the app, None without a limit."""

    def __init__(self, most: int | None) -> None:
        super().__init__("the request waits for its body")
        self.most = most


class UnreadBody:
    """A body that the server has not read: the app first authenticates the caller, and may not need the body."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive

    def read(self, *_size: int) -> NoReturn:
        """Ask the server for the body."""
        raise BodyAwaited(request_ctx.request.max_content_length if request_ctx else None)

    readline = readlines = __iter__ = read

    def seek(self, _position: int) -> None:
        """Go back to the beginning, where it is."""


class Bodies:
    """Reads what clients send, within time and room."""

    def __init__(self, waits: Waits, room: int) -> None:
        self._waits = waits
        self._room = room
        self._most_of_address = room * SHARE_OF_ADDRESS
        # In bytes, by address.
        self._taken: Counter[str] = Counter()

    async def read_short(self, receive: Receive, environ: Environ, length: int) -> IO[bytes]:
        """Return a body of `length` bytes; raises a `ChangegateError` for one that does not come as announced."""
        with Wait(self._waits, environ, is_for_body=True):
            data = bytearray()
            while len(data) < length and (piece := await _next_piece(receive)):
                data += piece
        if len(data) != length:
            raise _broken()
        return BytesIO(data)

    async def begin_short(self, receive: Receive, length: int) -> "IO[bytes] | UnreadBody":
        """Return a body of `length` bytes that is there already, or an unread one: the rest is on its way."""
        first = ensure_future(receive())
        await wait({first}, timeout=SECONDS_AT_ONCE)
        if first.done() and len(data := first.result().get("body", b"")) == length:
            return BytesIO(data)
        return UnreadBody(_beginning_with(first, receive))

    async def read_long(self, receive: Receive, environ: Environ, most: int | None) -> "Spool":
        """Return a body of any length, or the beginning of one that is over `most` bytes; raises `ChangegateError`."""
        announced = environ.get("CONTENT_LENGTH")
        spool = Spool(self, self._waits.client_of(environ))
        try:
            with Wait(self._waits, environ, is_for_body=True) as wait:
                await _fill(spool, receive, wait, None if announced else most)
            if announced and spool.size != int(announced):
                raise _broken()
        except BaseException:
            spool.close()
            raise
        return spool

    async def drain(self, receive: Receive, environ: Environ) -> bool:
        """Read and drop the rest of a body that the app does not need; return whether it ended within the bounds."""
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
        """Reserve room in files for an address; raises a `ChangegateError` where it would be too much."""
        if size > self._room or self._taken[client] + size > self._most_of_address:
            raise refusal(503, "Service unavailable", "Too many large requests are under way; try again")
        self._room -= size
        self._taken[client] += size

    def give_room(self, client: str, size: int) -> None:
        """Give back room that was reserved."""
        self._room += size
        self._taken[client] -= size
        if not self._taken[client]:
            del self._taken[client]


class Spool(SpooledTemporaryFile[bytes]):
    """A long body: beyond a short one's size in a file, which goes when it is closed."""

    def __init__(self, bodies: Bodies, client: str) -> None:
        super().__init__(max_size=SHORT_BODY_BYTES)
        self.size = 0
        self._bodies = bodies
        self._client = client

    def add(self, piece: bytes) -> None:
        """Append a piece; raises a `ChangegateError` where there is no room. Written to the system's cache only."""
        # As it arrives: what was announced may never come.
        self._bodies.take_room(self._client, len(piece))
        self.size += len(piece)
        try:
            self.write(piece)
        except OSError as problem:
            raise refusal(503, "Service unavailable", "No room for another large request; try again") from problem

    def close(self) -> None:
        """Delete the body."""
        super().close()
        self._bodies.give_room(self._client, self.size)
        self.size = 0


async def _fill(spool: Spool, receive: Receive, wait: Wait, most: int | None) -> None:
    """Read up to the end of a body or, where the app has a limit and no length was announced, over that limit."""
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
    """Return some more of a body: empty at its end, None where it broke off."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece: bytes = message["body"]
        # Pieces may be empty: HTTP/2 has such frames, and trailers come as one.
        if piece or not message["more_body"]:
            return piece


def _beginning_with(first: Awaitable[dict[str, Any]], receive: Receive) -> Receive:
    """Return what gives the first message, then the others."""
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
