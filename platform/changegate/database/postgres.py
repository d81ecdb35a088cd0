"""PostgreSQL's connections: how they begin to write, and statements that run without a cursor."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import Any, Self

import psycopg
from psycopg import capabilities
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as NewTransformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from changegate.database.request_time import RequestTime, find_request_time

# Of each connection: what is prepared, and what has been run too seldom for that. Each takes memory of the server's.
MOST_STATEMENTS = 200
# A cancellation takes a connection of its own; the server's own timeout ends what could not be cancelled.
CANCEL_SECONDS = 2.0
_SUCCESSES = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
# A statement and the types of its parameters, of which the server makes another plan each.
_Shape = tuple[str, tuple[int, ...]]


class DirectConnection(psycopg.Connection[Any]):
    """A connection that gives compiled statements to libpq by one call each.

    psycopg's cursors do it in many steps, so that they can wait in several ways; that takes half of a statement's time
    in this process. Values become parameters, and results become values and errors, by psycopg's own adapters. A
    statement is prepared when it has been run often enough. See decision 0018.
    """

    prepare_after = 5

    @classmethod
    def connect_alone(cls, *arguments: Any, **options: Any) -> Self:
        """Connect as psycopg does, but let its cursors prepare nothing: after a rollback they would forget ours too."""
        return cls.connect(*arguments, **options, prepare_threshold=None)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._adapter: Transformer | None = None
        # By their last use: how often a statement was run, or its name once it is prepared.
        self._statements: OrderedDict[_Shape, int | bytes] = OrderedDict()
        self._numbers = count()

    def fetch_all(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Return the rows of a statement whose parameters have numbers; raises psycopg's errors."""
        result = self._execute(text, parameters)
        adapter = self._transformer()
        adapter.set_pgresult(result)
        rows = adapter.load_rows(0, result.ntuples, tuple)
        adapter.set_pgresult(None)
        return rows

    def run(self, text: str, parameters: Sequence[Any]) -> int:
        """Run a write and return how many rows it touched; raises psycopg's errors."""
        return self._execute(text, parameters).command_tuples or 0

    def commit(self) -> None:
        """Commit what is open; that nothing is need not be found out step by step."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """Undo what is open."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def begin_write(self) -> None:
        """Open a transaction; does nothing when one is open, or when each statement opens one anyway."""
        if self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self._require_success(self._living().exec_(b"BEGIN"))

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for the server as psycopg does; a request that has to end meanwhile cancels its statement."""
        request = find_request_time()
        return super().wait(gen if request is None else self._looking(gen, request), *arguments, **options)

    def _looking(self, gen: Any, request: RequestTime) -> Any:
        """Run a generator of psycopg, which is sent a false value at each interval in which the server is silent."""
        began = time.monotonic()
        # A request that has begun to write is not refused a place: it would have to be sent again as a whole.
        is_read = self.pgconn.transaction_status != TransactionStatus.INTRANS
        try:
            ready = yield next(gen)
            while True:
                if not ready and request.look(time.monotonic() - began, may_refuse=is_read):
                    self._try_cancel(timeout=CANCEL_SECONDS)
                ready = yield gen.send(ready)
        except StopIteration as end:
            return end.value
        finally:
            if is_read:
                request.add_waiting(time.monotonic() - began)

    def _execute(self, text: str, parameters: Sequence[Any]) -> PGresult:
        adapter = self._transformer()
        values = adapter.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
        types, formats = adapter.types or (), adapter.formats
        name = self._find_name((text, types))
        server, request = self._living(), find_request_time()
        if request is not None and request.is_counted:
            # Waiting as psycopg does takes another 10 µs, and lets the request look at its time.
            if name is None:
                server.send_query_params(text.encode(), values, types, formats)
            else:
                server.send_query_prepared(name, values, formats)
            result = self.wait(execute(server))[-1]
        elif name is None:
            result = server.exec_params(text.encode(), values, types, formats)
        else:
            result = server.exec_prepared(name, values, formats)
        return self._require_success(result)

    def _find_name(self, shape: _Shape) -> bytes | None:
        """Return the name that a statement is prepared under, or None while it has not been run often enough."""
        known = self._statements.get(shape, 0)
        if isinstance(known, bytes):
            self._statements.move_to_end(shape)
            return known
        kept = self._statements[shape] = self._prepare(shape) if known >= self.prepare_after else known + 1
        self._statements.move_to_end(shape)
        while len(self._statements) > MOST_STATEMENTS and self._forgets_oldest():
            pass
        return kept if isinstance(kept, bytes) else None

    def _prepare(self, shape: _Shape) -> bytes:
        text, types = shape
        name = b"changegate_%d" % next(self._numbers)
        self._require_success(self._living().prepare(name, text.encode(), types))
        return name

    def _forgets_oldest(self) -> bool:
        """Forget the statement that was not used for longest; return whether that is possible now.

        libpq's Close is a message of its own. Without it there is DEALLOCATE: a pooler between this connection and the
        server may have the statement under another name, and in a transaction that error would abort it.
        """
        shape, name = next(iter(self._statements.items()))
        can_close = capabilities.has_send_close_prepared()
        if isinstance(name, bytes):
            if can_close:
                self._living().close_prepared(name)
            elif self.pgconn.transaction_status == TransactionStatus.IDLE:
                self._living().exec_(b"DEALLOCATE " + name)
            else:
                return False
        del self._statements[shape]
        return True

    def _transformer(self) -> Transformer:
        # Not made with the connection, for whoever has opened it may still register adapters.
        if self._adapter is None:
            self._adapter = NewTransformer(self)
        return self._adapter

    def _living(self) -> Any:
        """Return libpq's connection; raises `psycopg.OperationalError` for one that has no server any more."""
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is lost")
        return self.pgconn

    def _require_success(self, result: PGresult) -> PGresult:
        if result.status in _SUCCESSES:
            return result
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError(self.pgconn.get_error_message())
        problem = error_from_result(result, encoding=self.info.encoding)
        if isinstance(problem, psycopg.errors.InvalidSqlStatementName):
            # Somebody has dropped what this session had prepared: the next one prepares it anew.
            self._statements.clear()
        raise problem
