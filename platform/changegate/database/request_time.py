"""How long a request may work, and how many long requests one caller may have at work.

    request ──count_for(account)──> RequestTime, one for each thread that answers
                │ looks at the time: in SQLite's progress handler, while PostgreSQL is waited for,
                │ before each statement of a list, and before each request of a batch
                ├── MAX_EXECUTION_TIME after its start: the request ends
                └── after LONG_WORK: it is long ──> LongRequests, one for each process: a place, or a refusal

No thread ever waits for a place, so places cannot deadlock with requests or locks. See decision 0022.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from typing import Any

from changegate.errors import ChangegateError, TimeExceeded, TooManyLongRequests

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
# For one request as a whole, however many rows, terms, statements or requests of a batch it is about.
MAX_EXECUTION_TIME = timedelta(seconds=30)
# A request is long after this much processor time of its own, which no lock, disk or other request can add to.
LONG_WORK = 0.05
# On one processor, as many requests as there are threads become long at the same time, at the latest after this.
LONGEST_START = 0.2
# PostgreSQL works in another process: there, what counts is how long its reads were waited for.
LONG_WAIT = 0.25
_mine = threading.local()


class LongRequests:
    """The long requests of a process: half of its threads for each caller, and all but one thread for all callers."""

    def __init__(self, threads: int) -> None:
        self.after_work = min(LONG_WORK, LONGEST_START / threads)
        self._for_each = max(1, threads // 2)
        self._for_all = max(1, threads - 1)
        self._at_work: Counter[Hashable] = Counter()
        self._refused: set[Hashable] = set()
        self._lock = threading.Lock()

    def take_place(self, account: Hashable) -> ChangegateError | None:
        """Count one more long request of an account, or return why there is no place for it."""
        with self._lock:
            refusal = self._find_refusal(account)
            if refusal is None:
                self._at_work[account] += 1
            else:
                self._refused.add(account)
            return refusal

    def give_back(self, account: Hashable) -> None:
        """Count one less."""
        with self._lock:
            self._at_work[account] -= 1
            if not self._at_work[account]:
                del self._at_work[account]
            self._refused.clear()

    def find_crowd(self, account: Hashable) -> ChangegateError | None:
        """Return why a request that may become long is refused at once: the account has just been refused a place.

        Without this, each of many connections would occupy a thread until its request is long.
        """
        if account not in self._refused:
            return None
        with self._lock:
            return self._find_refusal(account)

    def _find_refusal(self, account: Hashable) -> ChangegateError | None:
        if self._at_work[account] >= self._for_each:
            return TooManyLongRequests(self._for_each)
        return TooManyLongRequests() if self._at_work.total() >= self._for_all else None


class RequestTime:
    """The time of one request, with the requests of its batch; only its own thread uses it."""

    def __init__(self, long_requests: LongRequests) -> None:
        self._long_requests = long_requests
        self._deadline = time.monotonic() + MAX_EXECUTION_TIME.total_seconds()
        self._account: Hashable = None
        self._is_long = False
        self._named_at = self._work_before = self._waited = 0.0
        self.refusal: ChangegateError | None = None

    @property
    def is_counted(self) -> bool:
        """Tell whether the work counts for an account, which it does as soon as the caller is known."""
        return self._account is not None

    def count_for(self, account: Hashable) -> None:
        """Let the work from now on count for an account; for the one that was named first."""
        if not self.is_counted:
            self._account = account
            self._named_at, self._work_before = time.monotonic(), time.thread_time()

    def add_waiting(self, seconds: float) -> None:
        """Add what a read of PostgreSQL took."""
        self._waited += seconds

    def look(self, waiting: float = 0.0, *, may_refuse: bool = True) -> ChangegateError | None:
        """Return why the request has to end now, if it has to; `waiting` is what the statement at work has taken."""
        now = time.monotonic()
        if now > self._deadline:
            self.refusal = TimeExceeded()
            return self.refusal
        if may_refuse and not self._is_long and self.is_counted and self._has_become_long(now, waiting):
            self.refusal = self._long_requests.take_place(self._account)
            self._is_long = self.refusal is None
            return self.refusal
        return None

    def find_crowd(self) -> ChangegateError | None:
        """Return why a request that has not been long so far must not begin to search, if there is a reason."""
        return None if self._is_long else self._long_requests.find_crowd(self._account)

    def end(self) -> None:
        """Give the place back, if the request took one."""
        if self._is_long:
            self._is_long = False
            self._long_requests.give_back(self._account)

    def _has_become_long(self, now: float, waiting: float) -> bool:
        after = self._long_requests.after_work
        # The clock of the thread is a call to the system, so the cheap one is asked first.
        if now - self._named_at < after:
            return False
        return self._waited + waiting >= LONG_WAIT or time.thread_time() - self._work_before >= after


class LimitedTime:
    """A WSGI application whose requests have a time; a request of a batch shares that of the batch."""

    def __init__(self, app: WsgiApp, long_requests: LongRequests) -> None:
        self._app = app
        self._long_requests = long_requests

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request within its time."""
        if find_request_time() is not None:
            return self._app(environ, start_response)
        mine = _mine.time = RequestTime(self._long_requests)
        try:
            return self._app(environ, start_response)
        finally:
            _mine.time = None
            mine.end()


def find_request_time() -> RequestTime | None:
    """Return the time of the request that this thread answers; commands have none, and no limit."""
    return getattr(_mine, "time", None)


def count_for(account: Hashable) -> None:
    """Let the work of this request count for an account."""
    if found := find_request_time():
        found.count_for(account)


def require_time(*, for_search: bool = False) -> None:
    """Refuse to go on with a request that has had its time, or for which its caller has no place.

    `for_search` also refuses to begin while the caller has been refused a place. Raises `TimeExceeded`,
    `TooManyLongRequests`.
    """
    found = find_request_time()
    refusal = found and (found.look() or (found.find_crowd() if for_search else None))
    if refusal:
        raise refusal


def find_interruption() -> ChangegateError:
    """Return why a statement of this request was interrupted."""
    found = find_request_time()
    return (found and found.refusal) or TimeExceeded()
