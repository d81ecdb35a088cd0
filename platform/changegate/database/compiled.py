"""SELECT statements that are compiled once for each shape, cached, and run directly on the driver's connection.

The statements of lists cannot be named as `Prepared` ones: each query and each choice of fields needs another. Here,
each shape is compiled once and then run with the values of the current query (decision 0006).
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from sqlalchemy import BindParameter, Connection, Dialect, Select

from changegate.database import connection, positional
from changegate.database.prepared import Processor, fetch_on_driver

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A parameter of the statement. An IN list has a driver parameter for each of its items, all in `names`.

    `ask` returns the value of a parameter that callers do not give.
    """

    name: str
    names: Sequence[str]
    processor: Processor | None
    is_list: bool
    ask: Callable[[], Any] | None

    def fill(self, value: Any) -> list[tuple[str, Any]]:
        """Return (driver parameter, value for the driver) for each of `names`."""
        items = list(value) if self.is_list else [value]
        if self.processor is not None:
            items = [self.processor(item) for item in items]
        return list(zip(self.names, items, strict=True))


class CompiledSelect:
    """One SELECT, compiled for the driver of one dialect; thread-safe."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        dialect = positional(dialect)
        compiled: Any = statement.compile(dialect=dialect)
        # An IN list is expanded now, to the length that it has in this statement; the length is therefore part of the
        # shape. `positiontup` has the order of the parameters after the expansion.
        expanded = compiled.construct_expanded_state()
        self._text: str = expanded.statement
        self._order: list[str] = expanded.positiontup or []
        slots = [(bind, _slot(bind, name, expanded, dialect)) for bind, name in compiled.bind_names.items()]
        # Callers know the names of `parameter` and of `Expression.build_named`. SQLAlchemy's own binds, for literals,
        # are unique: their values are part of the statement and never change.
        self._named = [slot for bind, slot in slots if not bind.unique]
        self._fixed = [pair for bind, slot in slots if bind.unique for pair in slot.fill(bind.value)]

    def fetch(self, at_work: Connection, named: Mapping[str, Any]) -> Sequence[Row]:
        """Return all rows. A parameter without a value is NULL."""
        pairs = list(self._fixed)
        for slot in self._named:
            pairs += slot.fill(named.get(slot.name) if slot.ask is None else slot.ask())
        values = dict(pairs)
        return fetch_on_driver(at_work, self._text, [values[name] for name in self._order])


def _slot(bind: BindParameter[Any], name: str, expanded: Any, dialect: Dialect) -> _Slot:
    names = expanded.parameter_expansion.get(name, []) if bind.expanding else [name]
    processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return _Slot(bind.key, names, processor, bind.expanding, bind.callable)


class CompiledSelects:
    """A cache of the `size` most recently used statements, by shape."""

    def __init__(self, size: int) -> None:
        self._kept = LRUCache[Hashable, CompiledSelect](size)
        # Never held while a statement is compiled: two threads may compile the same shape, and the second result
        # replaces the first.
        self._lock = threading.Lock()

    def fetch(self, shape: Hashable, build: Callable[[], Select[Any]], named: Mapping[str, Any]) -> Sequence[Row]:
        """Return the rows of the statement of a shape. `build` makes the statement if the shape is not in the cache.

        Equal shapes must build equal SQL, in which only the values of parameters differ (`named`): otherwise, a caller
        would get the rows of another query.
        """
        at_work = connection()
        key = (at_work.dialect.name, shape)
        with self._lock:
            statement = self._kept.get(key)
        if statement is None:
            statement = CompiledSelect(build(), at_work.dialect)
            with self._lock:
                self._kept[key] = statement
        return statement.fetch(at_work, named)
