"""Numbers: unique, never reused, and handed out without making PostgreSQL's writers wait for each other."""

from sqlalchemy import bindparam, insert, update

from changegate.extensions import connection
from changegate.models.base import new_sys_id
from changegate.models.task import NUMBER_SEQUENCES, SysNumberCounter
from changegate.services.prepared import Prepared

DIGITS = 7


def next_number(table: str, prefix: str) -> str:
    """Return the next number of a table, such as CHG0030001; it grows past seven digits.

    A number taken by a transaction that rolls back is lost on PostgreSQL: gaps are normal (rest_api.md §5.1).
    """
    sequence = NUMBER_SEQUENCES[table]
    if connection().dialect.supports_sequences:
        number = connection().scalar(sequence)
    else:
        number = _count_up(table, int(sequence.start or 1))
    return f"{prefix}{number:0{DIGITS}d}"


def _count_up(table: str, start: int) -> int:
    """Count in a row: SQLite has one writer at a time anyway."""
    counted = _COUNT_UP.first({"counted": table})
    if counted is None:
        connection().execute(insert(SysNumberCounter).values(sys_id=new_sys_id(), table=table, number=start))
        return start
    return int(counted.number)


_COUNT_UP = Prepared(
    update(SysNumberCounter.__table__)
    .where(SysNumberCounter.table == bindparam("counted", None))
    .values(number=SysNumberCounter.number + 1)
    .returning(SysNumberCounter.number)
)
