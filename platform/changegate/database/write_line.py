"""The line in front of an SQLite database: one writer at a time, and writes that wait may share a commit."""

import sqlite3
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

# After these SQLite goes on with the transaction as if the statement had not been.
_ITS_OWN_FAULTS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError),
    *(OverflowError, TypeError, ValueError),
)


# A commit that need not wait for the disk: everybody sees it at once, and the next one that waits takes it along.
_DISK_LATER, _DISK_FIRST = "PRAGMA synchronous = NORMAL", "PRAGMA synchronous = FULL"


class SharedWrite:
    """A write that may be committed with others; what became of it is known once it `is_done`.

    One that `must_last` is on the disk by then; another may be forgotten if the machine loses power in that second.
    """

    __slots__ = ("_parameters", "_text", "error", "is_done", "must_last")

    def __init__(self, text: str, parameters: Any, *, must_last: bool = True) -> None:
        self._text = text
        self._parameters = parameters
        self.must_last = must_last
        self.error: BaseException | None = None
        self.is_done = False

    def run(self, at_work: sqlite3.Connection) -> None:
        """Execute it; what is wrong with it alone is its own error, and undoes nothing but itself."""
        try:
            at_work.execute(self._text, self._parameters).close()
        except _ITS_OWN_FAULTS as problem:
            self.error = problem


class WriteLine:
    """Who waits to write to one database, in this process.

    One writer at a time is SQLite's own rule. A lock is fair and wakes at once, where SQLite's busy handler sleeps and
    lets the unlucky starve; between processes the busy handler still decides.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Appended to by whoever wants to write, emptied by whoever has the lock.
        self._waiting: deque[SharedWrite] = deque()

    def join(self, write: SharedWrite) -> None:
        """Let a write wait for somebody who takes it along."""
        self._waiting.append(write)

    def take_all(self) -> list[SharedWrite]:
        """Return every write that waits; for whoever has the lock."""
        # Others go on appending meanwhile.
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def withdraw(self, write: SharedWrite) -> bool:
        """Take a write back; False when somebody has taken it along."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True


def write_together(at_work: sqlite3.Connection, writes: list[SharedWrite]) -> None:
    """Carry writes out and commit them; what goes wrong with the commit is the error of each."""
    waits_for_disk = any(write.must_last for write in writes)
    try:
        if not waits_for_disk:
            at_work.execute(_DISK_LATER)
        if len(writes) == 1:
            writes[0].run(at_work)
        else:
            at_work.execute("BEGIN IMMEDIATE")
            for write in writes:
                write.run(at_work)
            at_work.execute("COMMIT")
    except BaseException as problem:
        # Whatever it was: nobody is told that a write was committed which was not.
        for write in writes:
            write.error = write.error or problem
        # On a full disk this may fail too. Whoever has the connection gives it up, which undoes the same.
        with suppress(sqlite3.Error):
            if at_work.in_transaction:
                at_work.execute("ROLLBACK")
    finally:
        for write in writes:
            write.is_done = True
        if not waits_for_disk:
            at_work.execute(_DISK_FIRST)


_lines: dict[str, WriteLine] = {}


def line_of(database: str | Path) -> WriteLine:
    """Return the line in front of a database file; one in memory is its connection's own."""
    if str(database) in ("", ":memory:"):
        return WriteLine()
    # setdefault is one step to other threads.
    return _lines.setdefault(str(Path(database).absolute()), WriteLine())
