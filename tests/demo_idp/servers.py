"""Applications on ports of loopback, in threads of the test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def served(make_app: Callable[[str], Flask]) -> Iterator[str]:
    """Serve an application that is made with its address, and give the address."""
    # The port is bound before the application exists, so that no other process takes it.
    server = make_server("127.0.0.1", 0, Flask("unused"), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    server.app = make_app(url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
