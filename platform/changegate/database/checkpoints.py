"""Checkpoints of an SQLite database: its write-ahead log is copied into the database file while nobody can write.

SQLite's own checkpoints run after a commit, without the write lock. Before SQLite 3.51.3, 3.50.7, and 3.44.6, such a
checkpoint may begin while another process starts the log again. It then marks commits as copied that it never read, and
they are lost: https://sqlite.org/wal.html#walresetbug. The more of the file is mapped into memory, the longer a
checkpoint takes to begin. So SQLite's own are off, and these hold the write lock from before they begin. See decision
0003.
"""

import os
import sqlite3
from contextlib import closing, suppress

CHECKPOINT_PAGES = 8000
# The caller waits for the write lock after its own commit. If another process has it, the next commit tries again.
LOCK_SECONDS = 0.05
# Sizes in the log, in bytes: https://sqlite.org/fileformat2.html#walformat
_HEADER = 32
_FRAME_HEADER = 24


class Checkpoints:
    """The checkpoints of one database in this process. Only the holder of the write queue's lock may call it."""

    def __init__(self) -> None:
        self._file: str | None = None

    def note_commit(self, writer: sqlite3.Connection) -> None:
        """Copy the log if it has `CHECKPOINT_PAGES` pages. The commit is already durable, so errors are ignored."""
        with suppress(sqlite3.Error, OSError):
            if self._file is None:
                self._file = writer.execute("PRAGMA database_list").fetchone()[2]
            # A database in memory has no file.
            if self._file and _is_long(f"{self._file}-wal"):
                with closing(sqlite3.connect(self._file, timeout=LOCK_SECONDS, isolation_level=None)) as holder:
                    holder.execute("BEGIN IMMEDIATE")
                    writer.execute("PRAGMA wal_checkpoint")


def _is_long(log: str) -> bool:
    """Return whether a log has more than `CHECKPOINT_PAGES` pages since it was last started again.

    Its file keeps its size then, but its header gets other salts than the older pages have. Unlike the database, it has
    no locks that closing it could drop.
    """
    file = os.open(log, os.O_RDONLY)
    try:
        header = os.pread(file, _HEADER, 0)
        page_size = int.from_bytes(header[8:12])
        frame = os.pread(file, _FRAME_HEADER, _HEADER + CHECKPOINT_PAGES * (_FRAME_HEADER + page_size))
        return bool(frame) and frame[8:16] == header[16:24]
    finally:
        os.close(file)
