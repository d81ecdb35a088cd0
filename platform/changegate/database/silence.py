"""The watch over connections to PostgreSQL, which ends a wait for a server that is silent.

    thread   DirectConnection: `awaiting` is set ──> libpq waits for the socket
    watch    every WATCH_SECONDS, for each connection that is awaiting an answer:
               ├── the time of its request is over ─────────────────────────────────────────────> cut
               └── for PROBE_AFTER: connects to the same address and asks about the statement
                     ├── no answer: a frozen host, a lost network ──────────────────────────────> cut
                     ├── the server does not run it, and WATCH_SECONDS later there is no answer:
                     │   a proxy forwards to another server now ────────────────────────────────> cut
                     └── its commit waits for a standby for MOST_SECONDS_FOR_STANDBY ───────────> cut
    cut      shutdown(2): libpq reads the end of the connection, and the thread gets an OperationalError;
             if the answer came at this moment, the connection is not used again after the rollback

A frozen host still acknowledges packets, so the limits of TCP (`postgres.LIMITS`) do not apply. See decision 0030.
"""

import logging
import os
import threading
import time
from collections import defaultdict
from contextlib import closing
from select import select
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

if TYPE_CHECKING:
    from changegate.database.postgres import DirectConnection
    from changegate.database.request_time import RequestTime

WATCH_SECONDS = 0.5
# No statement of an API call usually takes that long.
PROBE_AFTER = 2.0
PROBE_SECONDS = 3
MOST_SECONDS_FOR_STANDBY = 5.0
_PROBE = b"SELECT pid, state, wait_event FROM pg_stat_activity WHERE pid IN (pg_backend_pid(), %b)"
log = logging.getLogger(__name__)
# A wait for the server: since when, by the monotonic clock, and for which request, if any. A plain tuple, because each
# statement makes one.
Awaiting = tuple[float, "RequestTime | None"]


class Watch:
    """The open connections of this process, and the thread that looks at them."""

    def __init__(self) -> None:
        self._start_over()
        # The thread of the watch does not exist in a forked process.
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        # Weak, so that a connection that is never closed is still reported when it is collected.
        self._open: WeakValueDictionary[int, DirectConnection] = WeakValueDictionary()
        self._thread: threading.Thread | None = None

    def add(self, opened: "DirectConnection") -> None:
        """Watch a connection until `remove`."""
        with self._lock:
            self._open[id(opened)] = opened
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-watch", daemon=True)
                self._thread.start()

    def remove(self, closed: "DirectConnection") -> None:
        """Stop watching a connection; its descriptor can be closed afterwards."""
        with self._lock:
            self._open.pop(id(closed), None)

    def _run(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            try:
                self.look()
            except Exception as problem:  # the watch must survive anything
                log.error("the watch over the database's connections failed: %s", type(problem).__name__)

    def look(self) -> None:
        """Cut each connection whose server is silent."""
        now = time.monotonic()
        with self._lock:
            waits = [(each, wait) for each in self._open.values() if (wait := each.awaiting) is not None]
        late: defaultdict[str, list[tuple[DirectConnection, Awaiting]]] = defaultdict(list)
        for each, wait in waits:
            since, request = wait
            if request is not None and request.is_over():
                self._cut([(each, wait)])
            elif now - since >= PROBE_AFTER:
                late[each.address].append((each, wait))
        for address, those in late.items():
            self._cut(_find_silent(address, those))

    def _cut(self, silent: "list[tuple[DirectConnection, Awaiting]]") -> None:
        for each, wait in silent:
            # `remove` needs the lock, so the descriptor still belongs to this connection.
            with self._lock:
                if id(each) in self._open and each.awaiting is wait:
                    log.warning("the database has been silent for %.0f seconds", time.monotonic() - wait[0])
                    each.cut()


def _find_silent(
    address: str, waits: "list[tuple[DirectConnection, Awaiting]]"
) -> "list[tuple[DirectConnection, Awaiting]]":
    """Return the waits that no answer will end."""
    try:
        # Any server at this address may answer, even if these connections need one that can write.
        with closing(psycopg.connect(address, connect_timeout=PROBE_SECONDS, target_session_attrs="any")) as probe:
            own, found = probe.info.backend_pid, _ask(probe, [each.pid for each, _ in waits])
    except (psycopg.errors.ConnectionTimeout, TimeoutError):
        return waits
    except psycopg.Error:
        # A server that refuses the probe, for example because it has too many connections, is not silent.
        return []
    if own not in found:
        # A pooler is in between, which gives each client a PID of its own: only the request's time limits the wait.
        return []
    lost = [(each, wait) for each, wait in waits if _is_lost(found.get(each.pid), time.monotonic() - wait[0])]
    if lost:
        # An answer may be on its way, or its thread about to read it: then the wait ends before `_cut`.
        time.sleep(WATCH_SECONDS)
    return lost


def _ask(probe: psycopg.Connection[Any], pids: list[int]) -> dict[int, tuple[str, str]]:
    """Return the state and the wait event of the sessions that the server knows. Raises `TimeoutError`."""
    server, until = probe.pgconn, time.monotonic() + PROBE_SECONDS
    server.send_query(_PROBE % ",".join(map(str, pids)).encode())
    while server.is_busy():
        if not select([server.socket], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        server.consume_input()
    rows = server.get_result()
    if rows is None or rows.status != ExecStatus.TUPLES_OK:
        return {}
    return {int(rows.get_value(row, 0) or 0): (_text(rows, row, 1), _text(rows, row, 2)) for row in range(rows.ntuples)}


def _text(rows: PGresult, row: int, column: int) -> str:
    return (rows.get_value(row, column) or b"").decode()


def _is_lost(found: tuple[str, str] | None, seconds: float) -> bool:
    """Return whether a statement has no session, has been answered, or waits for a standby for too long."""
    if found is None:
        return True
    state, wait_event = found
    return state.startswith("idle") or (wait_event == "SyncRep" and seconds > MOST_SECONDS_FOR_STANDBY)


watch = Watch()
