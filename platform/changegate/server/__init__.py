"""The HTTP server of `changegate serve`: an event loop and a pool of threads; `front.py` has a diagram."""

from changegate.server.front import Front

__all__ = ["Front"]
