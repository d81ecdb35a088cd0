"""PostgreSQL connections that run compiled statements directly on libpq, without a cursor."""

import logging
import os
import socket
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as NewTransformer
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from changegate.database.request_time import RequestTime, find_request_time
from changegate.database.silence import Awaiting, watch

log = logging.getLogger(__name__)
# For each address of the URL.
CONNECT_TIMEOUT = 3
# `tcp_user_timeout` is in milliseconds: how long sent bytes may stay unacknowledged.
LIMITS = {
    "connect_timeout": CONNECT_TIMEOUT,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_REFUSAL = "unsupported startup parameter"
ENCODING = "UTF8"
# Per connection: prepared statements, and those counted until they are. Each prepared one takes memory of the server.
MOST_STATEMENTS = 200
# A cancellation opens another connection. If it fails, the server's statement_timeout ends the statement.
CANCEL_SECONDS = 2.0
# psycopg looks up ten times a second. A request of many statements, each shorter than that, would have no time limit.
LOOK_SECONDS = 0.01
# Statements that split a list are never prepared: after some runs, PostgreSQL would plan them without the list, and
# then split it again for each row.
_SPLITS = "string_to_array("
_SUCCESSES = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
# The text of a statement and the OIDs of its parameter types: the server makes another plan for other types.
_Shape = tuple[str, tuple[int, ...]]


class Connector:
    """Opens the connections of an engine, with the options of its URL, and with `LIMITS` where the URL has none."""

    def __init__(self) -> None:
        # A pooler that refuses `options`, as PgBouncer does, gets none after the first attempt.
        self._without: frozenset[str] = frozenset()

    def connect(self, options: dict[str, Any]) -> "DirectConnection":
        """Open a connection. Raises psycopg's errors."""
        sent = {name: value for name, value in (LIMITS | options).items() if name not in self._without}
        try:
            # After a rollback, psycopg's own preparation may deallocate all statements, also ours.
            return _in_unicode(DirectConnection.connect(**sent, prepare_threshold=None))
        except psycopg.OperationalError as refused:
            if "options" not in sent or _REFUSAL not in str(refused):
                raise
        self._without = frozenset({"options"})
        log.warning("the pooler refuses the time limit of statements: see docs/configuration.md, PostgreSQL")
        return self.connect(options)


class DirectConnection(psycopg.Connection[Any]):
    """A connection that passes each compiled statement to libpq in one call.

    psycopg's cursors need many steps, so that they can wait in several ways. That takes half of the time that a
    statement costs this process. psycopg's own adapters convert values, results, and errors. A statement is prepared
    after `prepare_after` runs. See decision 0018.

        _execute ──not counted for a caller──> exec_params, exec_prepared: libpq blocks until the result is there
                 └─counted──> send_query_… ──> wait(): the socket, and at each interval RequestTime.look()
                                                 └── the request has to end: cancel, then wait for the error

    While it waits, `awaiting` is set: `silence.py` ends the wait if the server will not answer.
    Each connection is used by one thread at a time.
    """

    prepare_after = 5

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._adapter: Transformer | None = None
        # In the order of their last use: how often a statement was run, or its name if it is prepared.
        self._statements: OrderedDict[_Shape, int | bytes] = OrderedDict()
        self._numbers = count()
        self.awaiting: Awaiting | None = None
        self.pid, self.address = self.info.backend_pid, make_conninfo(self.info.dsn, password=self.info.password)
        # A descriptor of its own: libpq may close its descriptor, and another thread open a file with the same number,
        # just when the watch shuts this connection down.
        self._socket = socket.socket(fileno=os.dup(self.pgconn.socket))
        self._is_cut = False
        watch.add(self)

    def close(self) -> None:
        """Close the connection."""
        watch.remove(self)
        try:
            super().close()
        finally:
            self._socket.close()

    def cut(self) -> None:
        """End the connection for a thread that waits for it; only the watch calls this, on a thread of its own."""
        self._is_cut = True
        with suppress(OSError):  # it was lost in the meantime
            self._socket.shutdown(socket.SHUT_RDWR)

    def fetch_all(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Return all rows of a statement with numbered parameters. Raises psycopg's errors."""
        result = self._execute(text, parameters)
        adapter = self._transformer()
        adapter.set_pgresult(result)
        rows = adapter.load_rows(0, result.ntuples, tuple)
        adapter.set_pgresult(None)
        return rows

    def run(self, text: str, parameters: Sequence[Any]) -> int:
        """Run a write and return how many rows it changed. Raises psycopg's errors."""
        return self._execute(text, parameters).command_tuples or 0

    def begin_write(self) -> None:
        """Begin a transaction; does nothing if one is open, or if autocommit is off and each statement begins one."""
        if self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self._begin()

    def commit(self) -> None:
        """Commit the transaction, if one is open. psycopg would find out in the steps in which it waits."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """Roll the transaction back, if one is open. Raises `psycopg.OperationalError` if the connection was cut.

        libpq may have read an answer that came just before the cut, and would notice the cut at the next statement.
        """
        if self._is_cut:
            raise psycopg.OperationalError("the connection was cut")
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def _begin(self) -> None:
        self.awaiting = (time.monotonic(), find_request_time())
        try:
            self._require_success(self._living().exec_(b"BEGIN"))
        finally:
            self.awaiting = None

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for the server as psycopg does, but cancel the statement if the request has to end."""
        request = find_request_time()
        self.awaiting = (time.monotonic(), request)
        try:
            if request is None:
                return super().wait(gen, *arguments, **options)
            return super().wait(self._looking(gen, request), *arguments, **({"interval": LOOK_SECONDS} | options))
        except psycopg.InternalError as problem:
            # A server that ends and the pooler in front of it may both answer a COMMIT, which psycopg does not expect.
            self._require_primary(problem)
            raise
        finally:
            self.awaiting = None

    def _looking(self, gen: Any, request: RequestTime) -> Any:
        """Run a generator of psycopg and check the time of the request after each interval without an answer."""
        began = time.monotonic()
        # A request that has begun to write is never refused a place: the caller would have to send all of it again.
        is_read = self.pgconn.transaction_status != TransactionStatus.INTRANS
        try:
            ready = yield next(gen)
            while True:
                # `ready` is false after an interval without an answer. After the cancellation the loop continues: the
                # connection can be used again only when the server's error has been read.
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
        request = find_request_time()
        self.awaiting = (time.monotonic(), request)
        try:
            return self._require_success(self._sent(text, values, adapter.types or (), adapter.formats, request))
        finally:
            self.awaiting = None

    def _sent(self, text: str, values: Any, types: tuple[int, ...], formats: Any, request: RequestTime | None) -> Any:
        """Send a statement and return its result, which may be an error."""
        name = self._find_name((text, types))
        server = self._living()
        if request is not None and request.is_counted:
            # Waiting as psycopg does takes another 10 µs. Only then can the request check its time while it waits.
            if name is None:
                server.send_query_params(text.encode(), values, types, formats)
            else:
                server.send_query_prepared(name, values, formats)
            return self.wait(execute(server))[-1]
        if name is None:
            return server.exec_params(text.encode(), values, types, formats)
        return server.exec_prepared(name, values, formats)

    def _find_name(self, shape: _Shape) -> bytes | None:
        """Return the name of a prepared statement, or None if it has not been run often enough, or is never prepared.

        The first run after `prepare_after` runs prepares it.
        """
        known = self._statements.get(shape, 0)
        if isinstance(known, bytes):
            self._statements.move_to_end(shape)
            return known
        if _SPLITS in shape[0]:
            return None
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
        """Drop the least recently used statement; return False if that is not possible now.

        libpq closes a prepared statement with a protocol message if it is new enough. Older versions need DEALLOCATE,
        which fails if a pooler in between has renamed the statement, and a failure in a transaction would abort it.
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
        # Not made with the connection: the code that opened the connection may still register adapters.
        if self._adapter is None:
            self._adapter = NewTransformer(self)
        return self._adapter

    def _living(self) -> Any:
        """Return libpq's connection. Raises `psycopg.OperationalError` if it has lost its server."""
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is lost")
        return self.pgconn

    def _require_primary(self, problem: psycopg.Error) -> None:
        """Raise `psycopg.OperationalError` if the server is lost, or refuses writes since it became a standby."""
        if isinstance(problem, psycopg.errors.ReadOnlySqlTransaction):
            self.close()
        self._living()

    def _require_success(self, result: PGresult) -> PGresult:
        if result.status in _SUCCESSES:
            return result
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError(self.pgconn.get_error_message())
        problem = error_from_result(result, encoding=self.info.encoding)
        self._require_primary(problem)
        if isinstance(problem, psycopg.errors.InvalidSqlStatementName):
            # The session has lost its prepared statements, for example by a pooler's DISCARD ALL. This statement fails;
            # later ones are counted and prepared again.
            self._statements.clear()
        raise problem


def _in_unicode(connection: DirectConnection) -> DirectConnection:
    """Return a connection to a database that stores every text. Raises `psycopg.OperationalError` for others."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in {ENCODING, None}:  # a pooler need not send it
        connection.close()
        raise psycopg.OperationalError(f"its encoding is {encoding}. Create it with ENCODING '{ENCODING}'.")
    return connection
