"""The server of `changegate serve`: an event loop waits for clients, threads answer. `front.py` shows how."""

from changegate.server.front import Front

__all__ = ["Front"]
