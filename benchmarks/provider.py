"""The key set of an identity provider on loopback, which counts its requests and can be stopped."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Document = Callable[[], bytes]


@dataclass
class Provider:
    """A served key set; `fetched_at` are the times of its requests, in seconds of the monotonic clock."""

    server: ThreadingHTTPServer
    fetched_at: list[float] = field(default_factory=list)

    @property
    def jwks_url(self) -> str:
        """Return the URL of the key set."""
        return f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def end(self) -> None:
        """Stop listening, so that connections are refused; a second call changes nothing."""
        if self.server.fileno() != -1:
            self.server.shutdown()
            self.server.server_close()


@contextmanager
def serving_keys(document: Document) -> Iterator[Provider]:
    """Serve what `document` returns at each request, until the block ends."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.fetched_at.append(time.monotonic())
            body = document()
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Print nothing, since the terminal shows the report."""

    provider = Provider(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
    thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.end()
        thread.join()
