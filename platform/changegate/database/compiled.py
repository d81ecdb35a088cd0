"""Compiled SELECTs: given to the driver's connection, with rows as it gives them.

Lists are too many to be named as prepared statements: each query and each choice of fields is another. They are
compiled once for each shape, and run with the values of the query at hand (decision 0006).
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Dialect, Select

from changegate.database import connection, positional
from changegate.database.prepared import Processor, fetch_on_driver

Row = Sequence[Any]
Inputs = Sequence[BindParameter[Any]]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in the statement that takes a value; an IN list has a name for each of its items."""

    name: str
    names: Sequence[str]
    processor: Processor | None
    is_list: bool
    default: Any

    def fill(self, value: Any) -> list[tuple[str, Any]]:
        """Return the driver's values with their names."""
        items = list(value) if self.is_list else [value]
        if self.processor is not None:
            items = [self.processor(item) for item in items]
        return list(zip(self.names, items, strict=True))


class CompiledSelect:
    """One SELECT as one dialect's driver takes it; thread-safe.

    `inputs` are the parameters whose values come in their order. Other values come by name, each for a `parameter`; one
    without a value keeps the value with which the statement was built.
    """

    def __init__(self, statement: Select[Any], dialect: Dialect, inputs: Inputs = ()) -> None:
        dialect = positional(dialect)
        compiled: Any = statement.compile(dialect=dialect)
        expanded = compiled.construct_expanded_state()
        self._text: str = expanded.statement
        self._order: list[str] = expanded.positiontup or []
        slots = {bind: _slot(bind, name, expanded, dialect) for bind, name in compiled.bind_names.items()}
        self._inputs = [slots.pop(bind) for bind in inputs]
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
    """Statements by their shape; the oldest is forgotten for one too many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[Hashable, CompiledSelect] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def fetch(
        self, shape: Hashable, build: Callable[[], Select[Any]], named: Mapping[str, Any], inputs: Inputs = ()
    ) -> Sequence[Row]:
        """Return the rows of the statement of a shape, which is built when it is met for the first time.

        `inputs` are the parameters that differ from one statement of the shape to the next, in their order.
        """
        at_work = connection()
        key = (at_work.dialect.name, shape)
        found = self._kept.get(key) or self._keep(key, CompiledSelect(build(), at_work.dialect, inputs))
        return found.fetch(at_work, named, [bind.effective_value for bind in inputs])

    def _keep(self, key: Hashable, statement: CompiledSelect) -> CompiledSelect:
        with self._lock:
            self._kept[key] = statement
            if len(self._kept) > self._size:
                self._kept.pop(next(iter(self._kept)))
        return statement
