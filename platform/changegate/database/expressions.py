"""SQL expressions as data: a shape, which equal SQL has in common, and the values in which it differs.

An `Expression` is a function and its arguments, so it is known without SQLAlchemy what it will build:

    Expression(operator.eq, column, Value(3))
        shape          (operator.eq, column, (Value, None))
        parameters     {"value_0": 3}
        build_named()  column = :value_0

The function gets parameters instead of values, so expressions of the same shape build the same SQL. It must be defined
at module level and depend on its arguments alone. Arguments that are neither expressions nor values are part of the
shape, and hashable. SQLAlchemy's elements count by identity: a shape recurs only if they are the same objects each
time, such as the columns of a table.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import count, repeat
from typing import Any

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.types import NullType, TypeEngine


class Value:
    """A value, passed as a parameter; a list is the list of an IN.

    Without `type_`, its type is that of the expression with which it is compared.
    """

    __slots__ = ("_type", "shape", "size", "value")

    def __init__(self, value: Any, type_: type[TypeEngine[Any]] = NullType) -> None:
        self.value = value
        self._type = type_
        is_list = isinstance(value, list)
        self.size: int = len(value) if is_list else 1
        # A list is expanded when the statement is compiled, so its length decides the SQL.
        self.shape: Hashable = (Value, type_, self.size) if is_list else (Value, type_)

    def bind(self, name: str | None) -> BindParameter[Any]:
        """Return a parameter with this value; without a name, a new name that no other parameter has."""
        is_list = isinstance(self.value, list)
        return bindparam(name, self.value, self._type(), expanding=is_list, unique=name is None)


class Expression:
    """A function and its arguments, which build an SQL expression. `size` is the number of its parts."""

    __slots__ = ("_arguments", "_make", "shape", "size", "values")

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self._make = make
        self._arguments = arguments
        self.size = 1
        self.values: list[Any] = []
        shape: list[Hashable] = [make]
        for argument in arguments:
            if isinstance(argument, Expression):
                self.values += argument.values
            elif isinstance(argument, Value):
                self.values.append(argument.value)
            else:
                shape.append(argument)
                continue
            self.size += argument.size
            shape.append(argument.shape)
        self.shape: Hashable = tuple(shape)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the values by the names of the parameters in `build_named`."""
        return dict(zip(_names(), self.values, strict=False))

    def build(self) -> Any:
        """Return the SQL expression with its values."""
        return self._build(repeat(None))

    def build_named(self) -> Any:
        """Return the SQL expression for any expression of this shape: its parameters are named by their order.

        Only one such expression can be in a statement.
        """
        return self._build(_names())

    def _build(self, names: Iterator[str | None]) -> Any:
        return self._make(*(_built(argument, names) for argument in self._arguments))


def _built(argument: Any, names: Iterator[str | None]) -> Any:
    if isinstance(argument, Expression):
        return argument._build(names)
    return argument.bind(next(names)) if isinstance(argument, Value) else argument


def _names() -> Iterator[str]:
    return map("value_{}".format, count())
