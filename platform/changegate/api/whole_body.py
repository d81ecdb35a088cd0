"""Refusal of incomplete bodies under every WSGI server, before the caller is authenticated.

`changegate serve` passes only complete bodies to the app and sets `WHOLE_BODY`. Other servers pass a stream: its length
is compared with Content-Length, and chunked bodies are refused, since many servers do not report a missing last chunk.
"""

from typing import IO, Any

from changegate.api.envelopes import refusal
from changegate.database import end_turn
from changegate.unproxied import current_request

# Keys of the WSGI environment; no header can set them. True if the body is complete.
WHOLE_BODY = "changegate.whole_body"
# The domain error that explains why the server could not read the body.
REFUSED_BODY = "changegate.refused_body"
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def require_whole_body() -> None:
    """Raise the server's refusal, and arrange that a body which ends early is refused; runs before each request."""
    environ = current_request().environ
    if WHOLE_BODY in environ:
        if REFUSED_BODY in environ:
            raise environ[REFUSED_BODY]
        return
    # Without this, Werkzeug takes an early end of the stream for the end of the body.
    environ.pop("wsgi.input_terminated", None)
    # HTTP/2 sends bodies without a length.
    is_unmeasured = environ.get("SERVER_PROTOCOL") == "HTTP/2" and environ["REQUEST_METHOD"] not in BODILESS
    if "HTTP_TRANSFER_ENCODING" in environ or (is_unmeasured and not environ.get("CONTENT_LENGTH")):
        raise refusal(411, "Length required", "Content-Length is missing")
    environ["wsgi.input"] = _AwaitedStream(environ["wsgi.input"])


class _AwaitedStream:
    """A body that is still arriving: a read gives up the request slot while it waits for the client (decision 0012)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, *size: Any) -> bytes:
        """Return up to `size` bytes of the body."""
        end_turn()
        return self._stream.read(*size)
