"""Record numbers: unique, never reused, and assigned without making writers wait for each other.

    PostgreSQL: a sequence ──nextval──> one number, or BLOCK numbers under heavy load
    SQLite:     a counter row ──UPDATE──> one number, in the transaction of the record
                              └─own transaction──> BLOCK numbers under heavy load
    block ──> NumberBlocks: the threads of this process take numbers from it under a lock, without the database

A thread that takes a block must not hold SQLite's write lock: the transaction of the block waits for that lock in the
write queue, so the thread would wait for itself. The lock of NumberBlocks is never held during a statement.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable

from sqlalchemy import bindparam, func, insert, select, update

from changegate.database import connection, holds_write_lock
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import db
from changegate.models.base import new_sys_id
from changegate.models.task import NUMBER_PREFIXES, NUMBER_SEQUENCES, SysNumberCounter
from changegate.unproxied import current_application

DIGITS = 7
BLOCKS = "number_blocks"
# A process that has assigned this many numbers of a table within a second takes the next ones in blocks.
BURST = 20
BLOCK = 200


def next_number(table: str) -> str:
    """Return the next number of a table, such as CHG0030001; it may grow beyond seven digits.

    Numbers of a transaction that rolls back, and the rest of a block when its process ends, are lost: gaps are normal
    (docs/reference/change-records.md#numbers-and-defaults).
    """
    return f"{NUMBER_PREFIXES[table]}{_blocks().next_number(table):0{DIGITS}d}"


class NumberBlocks:
    """The numbers that this process may assign: reserved one at a time under normal load, in blocks under heavy load.

    With a number from a block, a record is written by a single statement, which can share its commit. On SQLite, which
    has no sequences, a block also saves writing the page of the counter with each record. See decision 0007.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, deque[int]] = {}
        self._recent: dict[str, tuple[float, int]] = {}

    def next_number(self, table: str) -> int:
        """Return a unique number."""
        with self._lock:
            left = self._left.setdefault(table, deque())
            is_burst = self._is_burst(table)
            if left:
                return left.popleft()
        # Without the lock: this may wait for SQLite's write lock, whose holder may be waiting for a number. Two threads
        # may therefore take a block each; both blocks are used.
        first, *others = _draw(table, BLOCK if is_burst else 1)
        if others:
            with self._lock:
                left.extend(others)
        return first

    def _is_burst(self, table: str) -> bool:
        """Count a number, and return whether at least `BURST` were assigned in the last second. Needs the lock."""
        now = time.monotonic()
        since, count = self._recent.get(table, (now, 0))
        if now - since > 1:
            since, count = now, 0
        self._recent[table] = (since, count + 1)
        return count >= BURST


def _blocks() -> NumberBlocks:
    extensions = current_application().extensions
    # setdefault is atomic: two threads at the first number get the same blocks.
    blocks: NumberBlocks = extensions[BLOCKS] if BLOCKS in extensions else extensions.setdefault(BLOCKS, NumberBlocks())
    return blocks


def _draw(table: str, count: int) -> Iterable[int]:
    """Reserve numbers in the database; return `count` of them, or one if a block is not possible now."""
    if connection().dialect.supports_sequences:
        return [row.number for row in _DRAW[table].all({"count": count})]
    return _take_block(table) if count > 1 and not holds_write_lock() else [_count_up(table)]


def _take_block(table: str) -> Iterable[int]:
    # A transaction of its own: it is committed before the record exists, so the counter is not locked until the record
    # is committed, and the numbers are gone even if the record is rolled back.
    with db.engine.begin() as beside:
        statement = update(SysNumberCounter).where(SysNumberCounter.table == table)
        counted = statement.values(number=SysNumberCounter.number + BLOCK).returning(SysNumberCounter.number)
        last: int | None = beside.execute(counted).scalar_one_or_none()
    # The counter does not exist until the first creation has been committed.
    return [_count_up(table)] if last is None else range(last - BLOCK + 1, last + 1)


def _count_up(table: str) -> int:
    """Increment the counter in the transaction of the unit of work; create it for the first number."""
    counter = _COUNT_UP.first({"counted": table})
    if counter is not None:
        return int(counter.number)
    start = int(NUMBER_SEQUENCES[table].start or 1)
    connection().execute(insert(SysNumberCounter).values(sys_id=new_sys_id(), table=table, number=start))
    return start


_DRAW = {
    table: Prepared(
        select(of.next_value().label("number")).select_from(func.generate_series(1, bindparam("count", 1)).alias())
    )
    for table, of in NUMBER_SEQUENCES.items()
}
_COUNT_UP = Prepared(
    update(SysNumberCounter.__table__)
    .where(SysNumberCounter.table == parameter("counted"))
    .values(number=SysNumberCounter.number + 1)
    .returning(SysNumberCounter.number)
)
