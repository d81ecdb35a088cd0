"""Turns: one request at a time works in Python, until it waits for something.

Python runs one thread at a time anyway. Threads that take that right from each other at every call to SQLite, which
gives it up for some microseconds, spend as much time on waking each other as on their work. A request that has its
turn is not disturbed, and it ends its turn before it waits: for a body, a writer's lock, a commit, another server, a
hash, or a statement that takes long. One that works for long without a wait loses its turn to a request that waits for
it. See decision 0012.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

# A statement that is at work at the end of this time ends the turn of its request.
LONG_TURN_SECONDS = 0.003
# While another request waits no turn lasts for longer, whatever its request does: render, compile, or wait for one
# slow instruction of SQLite.
LONGEST_TURN_SECONDS = 0.1


class _Turn:
    """One turn, from when it was taken."""

    __slots__ = ("taken_at",)

    def __init__(self) -> None:
        self.taken_at = time.monotonic()


class _Line:
    """Whose turn it is: the lock is held as long as `turn` is one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.turn: _Turn | None = None
        # `turn` changes under this one alone, so that the lock is released once for each turn.
        self.exchange = threading.Lock()

    def seconds_left(self) -> float:
        """Return for how long the turn may last from now on; 0 when it may be taken away."""
        turn = self.turn
        age = 0.0 if turn is None else time.monotonic() - turn.taken_at
        return max(0.0, LONGEST_TURN_SECONDS - age)


_line = _Line()
_mine = threading.local()


def has_turn() -> bool:
    """Tell whether this thread has the turn."""
    mine = getattr(_mine, "turn", None)
    return mine is not None and mine is _line.turn


def take_turn() -> None:
    """Wait until no request has the turn, and take it; a turn that lasts too long is taken away."""
    while not _line.lock.acquire(timeout=_line.seconds_left()):
        if not _line.seconds_left():
            break
    with _line.exchange:
        # The lock is held: by this thread, or for the turn that is taken away. That one may have ended just now.
        _line.lock.acquire(blocking=False)
        _mine.turn = _line.turn = _Turn()


def end_turn() -> None:
    """Let the next request work; does nothing without a turn. Called before whatever may take long."""
    if not has_turn():
        return
    with _line.exchange:
        # Only now is it certain that no other request has taken the turn away.
        if has_turn():
            _line.turn = None
            _line.lock.release()
    _mine.turn = None


def end_long_turn() -> None:
    """End a turn that has lasted for some milliseconds."""
    mine = getattr(_mine, "turn", None)
    if mine is not None and time.monotonic() - mine.taken_at > LONG_TURN_SECONDS:
        end_turn()


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
