"""Bodies that are whole: half a request is refused, under every server, before anybody asks who sends it.

`changegate serve` hands over only bodies that have come to their end, and says so in the environment. Other servers
give a stream: its length is compared with what was announced, and chunks are refused, since many servers pass over an
end that is missing.
"""

from typing import IO, Any

from changegate.api.current_request import current_request
from changegate.api.envelopes import refusal
from changegate.database import out_of_turn

# In the environment of a request; no header can set them. The first: the body is there, and ended as it should.
WHOLE_BODY = "changegate.whole_body"
# A domain error: why the server has no body to hand over.
REFUSED_BODY = "changegate.refused_body"
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def require_whole_body() -> None:
    """Refuse what the server refuses, and bodies that end early; runs before each request."""
    environ = current_request().environ
    if WHOLE_BODY in environ:
        if REFUSED_BODY in environ:
            raise environ[REFUSED_BODY]
        return
    # Without this, an early end of the stream counts as the end of the body.
    environ.pop("wsgi.input_terminated", None)
    # HTTP/2 needs no length to send a body.
    is_unmeasured = environ.get("SERVER_PROTOCOL") == "HTTP/2" and environ["REQUEST_METHOD"] not in BODILESS
    if "HTTP_TRANSFER_ENCODING" in environ or (is_unmeasured and not environ.get("CONTENT_LENGTH")):
        raise refusal(411, "Length required", "Content-Length is missing")
    environ["wsgi.input"] = _AwaitedStream(environ["wsgi.input"])


class _AwaitedStream:
    """A body that is still on its way: other requests work while its sender takes time (decision 0012)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, *size: Any) -> bytes:
        """Return bytes of the body."""
        with out_of_turn():
            return self._stream.read(*size)
