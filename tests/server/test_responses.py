"""Long responses, as the event loop sends them."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

from changegate.server.responses import AT_ONCE_BYTES, BuiltResponse, stream_response
from changegate.server.threads import Threads
from changegate.server.waits import Waits
from tests.support.asgi_client import DISCONNECT, TIMEOUT_SECONDS, finish, scope_of

LENGTH = AT_ONCE_BYTES + 1


def test_a_client_that_has_the_whole_response_is_not_cut_off() -> None:
    """Granian reports the end of the request when the last byte of a known length is sent, before the last part."""
    is_over = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"x" * LENGTH
        assert is_over.wait(TIMEOUT_SECONDS)

    async def answer() -> None:
        sent: list[dict[str, Any]] = []
        has_all = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if sum(len(each.get("body", b"")) for each in sent) == LENGTH:
                has_all.set()

        async def receive() -> dict[str, Any]:
            await has_all.wait()
            is_over.set()
            return DISCONNECT

        made = BuiltResponse(200, [(b"content-length", str(LENGTH).encode())], body())
        waits, environ = Waits(100, 0), {"REMOTE_ADDR": "127.0.0.1", **scope_of("GET", "/")}
        assert await stream_response(made, receive, send, waits, environ, Threads(1, "test"))
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    finish(answer())
