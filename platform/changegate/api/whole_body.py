"""Refusal of incomplete bodies under every WSGI server, before the caller is authenticated.

`changegate serve` passes only complete bodies to the app and sets `WHOLE_BODY`. Other servers pass a stream: its length
is compared with Content-Length, and chunked bodies are refused, since many servers do not report a missing last chunk.
"""

from typing import IO, Any

from werkzeug.exceptions import RequestEntityTooLarge

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


def read_at_most(most: int) -> bytes:
    """Return the body of the request; of a longer one at least one byte more than `most`, so that callers refuse it."""
    sent = current_request()
    # Werkzeug silently cuts a body without a length off at its limit: with a limit of one byte more, the excess is
    # visible.
    sent.max_content_length = most + 1
    if WHOLE_BODY in sent.environ:
        body: bytes = sent.environ["wsgi.input"].read(most + 1)
        return body
    try:
        return sent.get_data(cache=False)
    except RequestEntityTooLarge:
        return bytes(most + 1)


class _AwaitedStream:
    """A body that is still arriving: a read gives up the request slot while it waits for the client (decision 0012)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, *size: Any) -> bytes:
        """Return up to `size` bytes of the body."""
        end_turn()
        return self._stream.read(*size)
