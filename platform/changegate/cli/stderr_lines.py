"""The log of a process on stderr, which never waits until its lines are read."""

import logging
import os
from contextlib import suppress
from select import PIPE_BUF, select

STDERR = 2


class StderrLines(logging.Handler):
    """Writes lines to stderr, and drops those for which it has no room.

    A program that reads stderr may be frozen, or a terminal stopped. The pipe in between is full after some hundred
    lines, for example while the database is away, and each thread that logs would wait.
    """

    def __init__(self, descriptor: int = STDERR) -> None:
        super().__init__(logging.WARNING)
        self._descriptor = descriptor
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, after a line about those that were dropped."""
        text = self.format(record)
        if self._dropped:
            text = f"{self._dropped} lines of this log were dropped: stderr was not read\n{text}"
        self._dropped = 0 if self._write(f"{text}\n".encode()) else self._dropped + 1

    def _write(self, line: bytes) -> bool:
        # A descriptor that is ready takes that many bytes without waiting (pipe(7)).
        pieces = [line[start : start + PIPE_BUF] for start in range(0, len(line), PIPE_BUF)]
        with suppress(OSError):  # stderr is closed
            return all(self._has_room() and os.write(self._descriptor, piece) for piece in pieces)
        return False

    def _has_room(self) -> bool:
        return bool(select([], [self._descriptor], [], 0)[1])


def log_without_waiting() -> None:
    """Write the log of this process, which has no other handlers, by `StderrLines`."""
    logging.lastResort = StderrLines()
