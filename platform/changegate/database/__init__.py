"""The database: the base of models, units of work, and the settings of every connection.

Begin with `unit_of_work`. `prepared` and `compiled` execute statements; `turns`, `write_queue`, and `request_time`
coordinate threads. docs/data-access.md shows how they work together, and who waits for which lock.
"""

from changegate.database.declarative import Base
from changegate.database.drivers import QueuedConnection, is_interrupted, kind_of, positional
from changegate.database.engine import engine_options, guard_engine
from changegate.database.pool import driver_of, wrapped
from changegate.database.request_time import (
    LimitedTime,
    LongRequests,
    count_for,
    find_interruption,
    require_time,
)
from changegate.database.session import LeanSession
from changegate.database.turns import TakingTurns, end_turn
from changegate.database.unit_of_work import (
    UnitOfWork,
    commit,
    connection,
    end_units_of_work,
    holds_write_lock,
    rollback,
    unit_of_work,
)

__all__ = [
    "Base",
    "LeanSession",
    "LimitedTime",
    "LongRequests",
    "QueuedConnection",
    "TakingTurns",
    "UnitOfWork",
    "commit",
    "connection",
    "count_for",
    "driver_of",
    "end_turn",
    "end_units_of_work",
    "engine_options",
    "find_interruption",
    "guard_engine",
    "holds_write_lock",
    "is_interrupted",
    "kind_of",
    "positional",
    "require_time",
    "rollback",
    "unit_of_work",
    "wrapped",
]
