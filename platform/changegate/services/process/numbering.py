"""Numbers: unique, never reused, and handed out without making writers wait for each other."""

import threading
import time
from collections import deque
from collections.abc import Iterable

from sqlalchemy import bindparam, func, insert, select, update

from changegate.database import connection, holds_write_lock
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import current_application, db
from changegate.models.base import new_sys_id
from changegate.models.task import NUMBER_SEQUENCES, SysNumberCounter

DIGITS = 7
BLOCKS = "number_blocks"
# A process that hands out this many numbers of a table within a second takes its next ones in blocks.
RUSH = 20
BLOCK = 200


def next_number(table: str, prefix: str) -> str:
    """Return the next number of a table, such as CHG0030001; it grows past seven digits.

    A number taken by a transaction that rolls back, or a block that a process had not used up when it ended, is
    lost: gaps are normal (docs/reference/change-records.md#numbers-and-defaults).
    """
    return f"{prefix}{_blocks().next_number(table):0{DIGITS}d}"


class NumberBlocks:
    """Numbers that this process may hand out: one by one while that is no hurry, and in a rush a block at once.

    A record is then written by one statement. SQLite, which has no sequences, counts in a row: a block is taken in a
    transaction of its own, and the counter's page is not written with each record.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, deque[int]] = {}
        self._recent: dict[str, tuple[float, int]] = {}

    def next_number(self, table: str) -> int:
        """Return a number that nobody else has."""
        with self._lock:
            left = self._left.setdefault(table, deque())
            is_rush = self._is_rush(table)
            if left:
                return left.popleft()
        # Without the lock: who waits here for the database may wait for one who waits for a number.
        first, *others = _draw(table, BLOCK if is_rush else 1)
        if others:
            with self._lock:
                left.extend(others)
        return first

    def _is_rush(self, table: str) -> bool:
        """Count, and tell whether this second has seen many already."""
        now = time.monotonic()
        since, count = self._recent.get(table, (now, 0))
        if now - since > 1:
            since, count = now, 0
        self._recent[table] = (since, count + 1)
        return count >= RUSH


def _blocks() -> NumberBlocks:
    extensions = current_application().extensions
    found: NumberBlocks = extensions[BLOCKS] if BLOCKS in extensions else extensions.setdefault(BLOCKS, NumberBlocks())
    return found


def _draw(table: str, wanted: int) -> Iterable[int]:
    """Return numbers of the database's: as many as wanted, or just one."""
    if connection().dialect.supports_sequences:
        return [drawn.number for drawn in _DRAW[table].all({"wanted": wanted})]
    return _take_block(table) if wanted > 1 and not holds_write_lock() else [_count_up(table)]


def _take_block(table: str) -> Iterable[int]:
    with db.engine.begin() as beside:
        statement = update(SysNumberCounter).where(SysNumberCounter.table == table)
        counted = statement.values(number=SysNumberCounter.number + BLOCK).returning(SysNumberCounter.number)
        last: int | None = beside.execute(counted).scalar_one_or_none()
    # There is no counter as long as every creation has been taken back.
    return [_count_up(table)] if last is None else range(last - BLOCK + 1, last + 1)


def _count_up(table: str) -> int:
    """Count in a row, in the session's transaction."""
    counted = _COUNT_UP.first({"counted": table})
    if counted is not None:
        return int(counted.number)
    start = int(NUMBER_SEQUENCES[table].start or 1)
    connection().execute(insert(SysNumberCounter).values(sys_id=new_sys_id(), table=table, number=start))
    return start


_DRAW = {
    table: Prepared(
        select(of.next_value().label("number")).select_from(func.generate_series(1, bindparam("wanted", 1)).alias())
    )
    for table, of in NUMBER_SEQUENCES.items()
}
_COUNT_UP = Prepared(
    update(SysNumberCounter.__table__)
    .where(SysNumberCounter.table == parameter("counted"))
    .values(number=SysNumberCounter.number + 1)
    .returning(SysNumberCounter.number)
)
