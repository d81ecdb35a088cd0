"""The request slot of a process: one request at a time runs Python code, until it waits for something.

    request ──take_turn()──> holder of the request slot ──end_turn()──> runs or waits without the slot
               │ waits while another request holds it   │ before the write queue, a commit, a slow client,
               │                                        │ another server, or a password hash
               └── takes the slot away from a holder    ├── after LONG_TURN_SECONDS, during a statement of SQLite
                   that is older than                   └── at the end of the request
                   LONGEST_TURN_SECONDS

    A thread that waits for the slot never holds the write lock of SQLite (write_queue.py), so the two cannot deadlock.

A *turn* is the time for which a request holds the slot. Python runs one thread at a time anyway, but its SQLite driver
releases the interpreter for some microseconds at every call. Without turns, threads take the interpreter from each
other at every call, and spend as much time on waking each other as on their work. See decision 0012.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

# A statement that is still running when its turn is this old ends the turn.
LONG_TURN_SECONDS = 0.003
# While another request waits, no turn lasts longer, whatever the holder does: render, compile, or wait for one slow
# instruction of SQLite.
LONGEST_TURN_SECONDS = 0.1


class _Turn:
    """One turn, with the time at which it began."""

    __slots__ = ("taken_at",)

    def __init__(self) -> None:
        self.taken_at = time.monotonic()


class _RequestSlot:
    """The request slot: `lock` is held exactly while `turn` is set."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.turn: _Turn | None = None
        # Guards `turn`. Without it, a holder that ends its turn while a waiter takes it away could release the lock of
        # the waiter's turn, and two requests would run.
        self.exchange = threading.Lock()

    def seconds_left(self) -> float:
        """Return how many seconds the current turn may still last; 0 if it may be taken away."""
        # Read without `exchange`: a turn that has just changed costs one more round of the loop in `take_turn`.
        turn = self.turn
        age = 0.0 if turn is None else time.monotonic() - turn.taken_at
        return max(0.0, LONGEST_TURN_SECONDS - age)


_slot = _RequestSlot()
# `_mine.turn` is the last turn that this thread took. The thread still has it only while it is also `_slot.turn`.
_mine = threading.local()


def has_turn() -> bool:
    """Return whether this thread holds the request slot."""
    mine = getattr(_mine, "turn", None)
    return mine is not None and mine is _slot.turn


def take_turn() -> None:
    """Wait for the request slot and take it, at the latest when the current turn is `LONGEST_TURN_SECONDS` old."""
    while not _slot.lock.acquire(timeout=_slot.seconds_left()):
        if not _slot.seconds_left():
            break
    with _slot.exchange:
        # After a timeout, the lock is still held for the old turn, and from now on for the new one. If the old turn has
        # ended in the meantime, the lock is free and is taken here. Waiting for it would be a deadlock: the old holder
        # needs `exchange` to release it.
        _slot.lock.acquire(blocking=False)
        _mine.turn = _slot.turn = _Turn()


def end_turn() -> None:
    """Release the request slot if this thread holds it. Call this before any operation that may take long."""
    if not has_turn():
        return
    with _slot.exchange:
        # Another request may have taken the turn away since the check above; the lock is then that request's.
        if has_turn():
            _slot.turn = None
            _slot.lock.release()
    _mine.turn = None


def end_long_turn() -> None:
    """End the turn of this thread if it is older than `LONG_TURN_SECONDS`."""
    mine = getattr(_mine, "turn", None)
    if mine is not None and time.monotonic() - mine.taken_at > LONG_TURN_SECONDS:
        end_turn()


class TakingTurns:
    """A WSGI application whose requests take turns. A request within a request, as in a batch, shares its turn."""

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
