"""The database: the base of models, a session that costs little, and what must hold for every connection."""

from changegate.database.declarative import Base
from changegate.database.drivers import QueuedConnection, begin_write, is_interrupted
from changegate.database.engine import engine_options, guard_engine
from changegate.database.session import LeanSession
from changegate.database.turns import TakingTurns, end_turn

__all__ = [
    "Base",
    "LeanSession",
    "QueuedConnection",
    "TakingTurns",
    "begin_write",
    "end_turn",
    "engine_options",
    "guard_engine",
    "is_interrupted",
]
