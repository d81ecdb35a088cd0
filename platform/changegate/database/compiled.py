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
Inputs = Sequence[BindParameter[Any]]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A parameter of the statement. An IN list has a driver parameter for each of its items, all in `names`."""

    name: str
    names: Sequence[str]
    processor: Processor | None
    is_list: bool
    default: Any

    def fill(self, value: Any) -> list[tuple[str, Any]]:
        """Return (driver parameter, value for the driver) for each of `names`."""
        items = list(value) if self.is_list else [value]
        if self.processor is not None:
            items = [self.processor(item) for item in items]
        return list(zip(self.names, items, strict=True))


class CompiledSelect:
    """One SELECT, compiled for the driver of one dialect; thread-safe.

    `fetch` takes the values of `inputs` in the order given here, and those of every `parameter` by name. A parameter
    without a value keeps the value that the statement was built with.
    """

    def __init__(self, statement: Select[Any], dialect: Dialect, inputs: Inputs = ()) -> None:
        dialect = positional(dialect)
        compiled: Any = statement.compile(dialect=dialect)
        # An IN list is expanded now, to the length that it has in this statement; the length is therefore part of the
        # shape. `positiontup` has the order of the parameters after the expansion.
        expanded = compiled.construct_expanded_state()
        self._text: str = expanded.statement
        self._order: list[str] = expanded.positiontup or []
        slots = {bind: _slot(bind, name, expanded, dialect) for bind, name in compiled.bind_names.items()}
        self._inputs = [slots.pop(bind) for bind in inputs]
        # `parameter()` makes binds whose names callers know. SQLAlchemy's own binds, for literals, are unique: their
        # values are part of the statement and never change.
        self._named = [slots.pop(bind) for bind in list(slots) if not bind.unique]
        self._fixed = [pair for slot in slots.values() for pair in slot.fill(slot.default)]

    def fetch(self, at_work: Connection, named: Mapping[str, Any], inputs: Sequence[Any] = ()) -> Sequence[Row]:
        """Return all rows."""
        pairs = list(self._fixed)
        for slot, value in zip(self._inputs, inputs, strict=True):
            pairs += slot.fill(value)
        for slot in self._named:
            pairs += slot.fill(named.get(slot.name, slot.default))
        values = dict(pairs)
        return fetch_on_driver(at_work, self._text, [values[name] for name in self._order])


def _slot(bind: BindParameter[Any], name: str, expanded: Any, dialect: Dialect) -> _Slot:
    names = expanded.parameter_expansion.get(name, []) if bind.expanding else [name]
    processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return _Slot(bind.key, names, processor, bind.expanding, bind.value)


class CompiledSelects:
    """A cache of the `size` most recently used statements, by shape."""

    def __init__(self, size: int) -> None:
        self._kept = LRUCache[Hashable, CompiledSelect](size)
        # Never held while a statement is compiled: two threads may compile the same shape, and the second result
        # replaces the first.
        self._lock = threading.Lock()

    def fetch(
        self, shape: Hashable, build: Callable[[], Select[Any]], named: Mapping[str, Any], inputs: Inputs = ()
    ) -> Sequence[Row]:
        """Return the rows of the statement of a shape. `build` makes the statement if the shape is not in the cache.

        `inputs` are the parameters whose values differ between statements of the same shape, always in the same order.
        Equal shapes must build equal SQL, apart from these values: otherwise, a caller would get the rows of another
        query.
        """
        at_work = connection()
        key = (at_work.dialect.name, shape)
        with self._lock:
            statement = self._kept.get(key)
        if statement is None:
            statement = CompiledSelect(build(), at_work.dialect, inputs)
            with self._lock:
                self._kept[key] = statement
        return statement.fetch(at_work, named, [bind.effective_value for bind in inputs])
