"""Turns: one request at a time works in Python, until it waits for something.

Python runs one thread at a time anyway. Threads that take that right from each other at every call to SQLite, which
gives it up for some microseconds, spend as much time on waking each other as on their work. A request that has its
turn is not disturbed, and it ends its turn before it waits: for a body, a writer's lock, a commit, another server, a
hash, or a statement that takes long. See decision 0012.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_line = threading.Lock()
_mine = threading.local()


def has_turn() -> bool:
    """Tell whether this thread has the turn."""
    return getattr(_mine, "has_turn", False)


def take_turn() -> None:
    """Wait until nobody has the turn, and take it."""
    _line.acquire()
    _mine.has_turn = True


def end_turn() -> None:
    """Let the next request work; does nothing without a turn. Called before whatever may take long."""
    if has_turn():
        _mine.has_turn = False
        _line.release()


@contextmanager
def out_of_turn() -> Iterator[None]:
    """Let others work while the block waits; a thread that had the turn gets in line again."""
    had_turn = has_turn()
    end_turn()
    try:
        yield
    finally:
        if had_turn:
            take_turn()


class TakingTurns:
    """A WSGI application whose requests take turns; one within another, as in a batch, shares its turn."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request in its turn."""
        if has_turn():
            return self._app(environ, start_response)
        take_turn()
        try:
            return self._app(environ, start_response)
        finally:
            end_turn()
