"""Which statements a piece of work runs, whichever way they take to the database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from sqlalchemy import event

from changegate.database import connection
from changegate.database.prepared import Prepared
from changegate.extensions import db


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Collect the text of every statement that runs inside; needs an application context."""
    statements: list[str] = []
    defer = Prepared.execute_with_commit

    def note(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        statements.append(text)

    def noting(run: Callable[[Prepared, Mapping[str, Any]], Any]) -> Callable[[Prepared, Mapping[str, Any]], Any]:
        def run_noted(prepared: Prepared, values: Mapping[str, Any]) -> Any:
            statements.append(str(prepared._statement.compile(dialect=connection().dialect)))
            return run(prepared, values)

        return run_noted

    def defer_noted(prepared: Prepared, values: Mapping[str, Any], **options: Any) -> None:
        statements.append(str(prepared._statement.compile(dialect=connection().dialect)))
        defer(prepared, values, **options)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        with (
            mock.patch.object(Prepared, "fetch", noting(Prepared.fetch)),
            mock.patch.object(Prepared, "execute", noting(Prepared.execute)),
            mock.patch.object(Prepared, "execute_with_commit", defer_noted),
        ):
            yield statements
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
