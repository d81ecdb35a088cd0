"""The write queue of an SQLite database: one writer at a time, and writes that wait may share a commit.

    thread A ──begin_write()────────> waits for WriteQueue.lock ──> BEGIN IMMEDIATE … COMMIT ──> releases the lock
    thread B ──write_alone(write)──┐
    thread C ──write_alone(write)──┴> join() the list, then wait for WriteQueue.lock
                                        the first of them to get it commits the writes of the whole list (take_all)
                                        each other one gets it later, sees that its write is_done, and releases it

    between processes: SQLite's own write lock, for which BEGIN IMMEDIATE waits up to the busy timeout

A thread that waits here holds no request slot (turns.py). drivers.py has the connections. See decisions 0003 and 0011.
"""

import os
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from changegate.database.checkpoints import Checkpoints

# After these errors of a statement, SQLite continues the transaction as if the statement had not been executed.
_ITS_OWN_FAULTS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError),
    *(OverflowError, TypeError, ValueError),
)

MOVED = "the database file was moved, deleted, or replaced; restart the server"


class SharedWrite:
    """One statement that may be committed together with others. `error` is final once `is_done` is true."""

    __slots__ = ("_parameters", "_text", "error", "is_done")

    def __init__(self, text: str, parameters: Any) -> None:
        self._text = text
        self._parameters = parameters
        self.error: BaseException | None = None
        self.is_done = False

    def run(self, at_work: sqlite3.Connection) -> None:
        """Execute the statement. An error that concerns only this statement is stored in `error`; others are raised."""
        try:
            at_work.execute(self._text, self._parameters).close()
        except _ITS_OWN_FAULTS as problem:
            self.error = problem


class PlacedConnection(sqlite3.Connection):
    """An SQLite connection that no longer writes once its file was moved, deleted, or replaced.

    SQLite itself would commit to the former file, which the server would not find after a restart.
    """

    def __init__(self, database: str | Path, *arguments: Any, **options: Any) -> None:
        super().__init__(database, *arguments, **options)
        self._path = str(Path(database).absolute())
        self._identity = _identify(self._path)

    def is_in_place(self) -> bool:
        """Return whether the path still leads to the opened file; a database in memory has no file."""
        return self._identity is None or _identify(self._path) == self._identity

    def require_in_place(self) -> None:
        """Raise `sqlite3.OperationalError` if the path no longer leads to the opened file."""
        if not self.is_in_place():
            problem = sqlite3.OperationalError(MOVED)
            # SQLite's own code, which it has for databases without a write-ahead log.
            problem.sqlite_errorname = "SQLITE_READONLY_DBMOVED"
            raise problem


def _identify(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


class WriteQueue:
    """The write queue of one database in this process.

    SQLite itself allows one writer at a time. Its busy handler sleeps and polls, so some writers starve under load. A
    lock wakes the next one at once. Between processes, the busy handler still decides.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.checkpoints = Checkpoints()
        # Threads append without `lock`; only the holder of `lock` takes all. Each operation of a deque is atomic.
        self._waiting: deque[SharedWrite] = deque()

    def join(self, write: SharedWrite) -> None:
        """Add a write to the list of those that the next holder of the lock commits."""
        self._waiting.append(write)

    def take_all(self) -> list[SharedWrite]:
        """Remove and return every waiting write; only for the holder of the lock."""
        # Other threads append in the meantime: the length is read once, so that this ends.
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def withdraw(self, write: SharedWrite) -> bool:
        """Remove a write; return False if the holder of the lock has already taken it."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True


def write_together(at_work: PlacedConnection, writes: list[SharedWrite]) -> None:
    """Execute and commit writes; if the commit fails, its error becomes the error of each write."""
    try:
        at_work.require_in_place()
        if len(writes) == 1:
            # In autocommit, one call both writes and commits. With BEGIN and COMMIT, the thread would release the
            # interpreter three times while it holds the lock.
            writes[0].run(at_work)
        else:
            at_work.execute("BEGIN IMMEDIATE")
            for write in writes:
                write.run(at_work)
            at_work.execute("COMMIT")
    except BaseException as problem:
        # Even a KeyboardInterrupt must reach the waiting threads: none of them may report a write as committed that
        # was not.
        for write in writes:
            write.error = write.error or problem
        # This may fail too, for example on a full disk. The caller then gives the connection up, which also rolls back.
        with suppress(sqlite3.Error):
            if at_work.in_transaction:
                at_work.execute("ROLLBACK")
    finally:
        # Only after the commit or rollback: waiting threads read `error` as soon as they see `is_done`.
        for write in writes:
            write.is_done = True


_queues: dict[str, WriteQueue] = {}


def write_queue_of(database: str | Path) -> WriteQueue:
    """Return the write queue of a database file; a database in memory belongs to one connection and has its own."""
    if str(database) in ("", ":memory:"):
        return WriteQueue()
    # setdefault is atomic, so that two threads cannot get two queues for one file.
    return _queues.setdefault(str(Path(database).absolute()), WriteQueue())
