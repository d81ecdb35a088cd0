"""The time limit of a request, and the limit on concurrent long requests of one caller.

    request ──count_for(account)──> RequestTime, one for each thread that answers requests
                │ look() checks the time: in SQLite's progress handler, while waiting for PostgreSQL,
                │ before each statement of a list, and before each request of a batch
                ├── MAX_EXECUTION_TIME after the start: the request is ended
                └── after LONG_WORK: the request is long ──> LongRequests, one for each process: a place or a refusal

No thread ever waits for a place, so places cannot deadlock with turns or locks. See decision 0022.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from typing import Any

from changegate.errors import ChangegateError, TimeExceeded, TooManyLongRequests

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
# For one request in total: all its statements, its rendering, and the requests of its batch.
MAX_EXECUTION_TIME = timedelta(seconds=30)
# Seconds of its own processor time after which a request is long. Waiting for a lock, the disk, or another request does
# not count: otherwise, every request of a burst would become long.
LONG_WORK = 0.05
# If all threads share one processor, their requests become long at the same time, at the latest after this.
LONGEST_START = 0.2
# PostgreSQL works in another process, so the time spent waiting for its reads counts instead.
LONG_WAIT = 0.25
# A request that is out of time cancels its statement, and the database confirms this; after these seconds, it will not.
SECONDS_TO_END = 3.0
_mine = threading.local()


class LongRequests:
    """The places for long requests in a process: half of its threads for each account, all but one for all together."""

    def __init__(self, threads: int) -> None:
        self.after_work = min(LONG_WORK, LONGEST_START / threads)
        self._for_each = max(1, threads // 2)
        self._for_all = max(1, threads - 1)
        self._at_work: Counter[Hashable] = Counter()
        # Accounts that were refused a place since a place was last given back.
        self._refused: set[Hashable] = set()
        self._lock = threading.Lock()

    def take_place(self, account: Hashable) -> ChangegateError | None:
        """Count one more long request of an account, or return why there is no place for it; never waits."""
        with self._lock:
            refusal = self._find_refusal(account)
            if refusal is None:
                self._at_work[account] += 1
            else:
                self._refused.add(account)
            return refusal

    def give_back(self, account: Hashable) -> None:
        """Count one long request less. Any account may now try again, because all share the places."""
        with self._lock:
            self._at_work[account] -= 1
            if not self._at_work[account]:
                del self._at_work[account]
            self._refused.clear()

    def find_search_refusal(self, account: Hashable) -> ChangegateError | None:
        """Return why a request that may become long must not begin, if its account was just refused a place.

        Without this check, each of many connections would occupy a thread until its request is long.
        """
        # Checked without the lock first, because `_refused` is nearly always empty.
        if account not in self._refused:
            return None
        with self._lock:
            return self._find_refusal(account)

    def _find_refusal(self, account: Hashable) -> ChangegateError | None:
        if self._at_work[account] >= self._for_each:
            return TooManyLongRequests(self._for_each)
        return TooManyLongRequests() if self._at_work.total() >= self._for_all else None


class RequestTime:
    """The time of one request, including the requests of its batch; only its own thread changes it."""

    def __init__(self, long_requests: LongRequests) -> None:
        self._long_requests = long_requests
        self._deadline = time.monotonic() + MAX_EXECUTION_TIME.total_seconds()
        self._account: Hashable = None
        self._is_long = False
        # Clock and processor time when the account became known, and the seconds spent waiting for PostgreSQL since.
        self._named_at = self._work_before = self._waited = 0.0
        self.refusal: ChangegateError | None = None

    @property
    def is_counted(self) -> bool:
        """Return whether the work counts for an account, that is, whether the caller is known."""
        return self._account is not None

    def count_for(self, account: Hashable) -> None:
        """Count the work from now on for an account. Later calls change nothing."""
        if not self.is_counted:
            self._account = account
            self._named_at, self._work_before = time.monotonic(), time.thread_time()

    def add_waiting(self, seconds: float) -> None:
        """Add the seconds that a read of PostgreSQL took."""
        self._waited += seconds

    def look(self, waiting: float = 0.0, *, may_refuse: bool = True) -> ChangegateError | None:
        """Return why the request has to end now, or None. A request that has become long takes a place.

        `waiting` is how many seconds PostgreSQL's running statement has taken. With `may_refuse` false, only the time
        limit is checked.
        """
        now = time.monotonic()
        if now > self._deadline:
            self.refusal = TimeExceeded()
            return self.refusal
        if may_refuse and not self._is_long and self.is_counted and self._has_become_long(now, waiting):
            self.refusal = self._long_requests.take_place(self._account)
            self._is_long = self.refusal is None
            return self.refusal
        return None

    def is_over(self) -> bool:
        """Return whether the request should have ended some time ago; any thread may ask."""
        return time.monotonic() > self._deadline + SECONDS_TO_END

    def find_search_refusal(self) -> ChangegateError | None:
        """Return why a request that is not long yet must not begin a search, or None."""
        return None if self._is_long else self._long_requests.find_search_refusal(self._account)

    def end(self) -> None:
        """Give the place back, if the request took one."""
        if self._is_long:
            self._is_long = False
            self._long_requests.give_back(self._account)

    def _has_become_long(self, now: float, waiting: float) -> bool:
        after = self._long_requests.after_work
        # Processor time is at most elapsed time, and reading it is a system call: the cheap clock is checked first.
        if now - self._named_at < after:
            return False
        return self._waited + waiting >= LONG_WAIT or time.thread_time() - self._work_before >= after


class LimitedTime:
    """A WSGI application whose requests have a time limit; a request of a batch shares that of the batch."""

    def __init__(self, app: WsgiApp, long_requests: LongRequests) -> None:
        self._app = app
        self._long_requests = long_requests

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request within its time limit."""
        if find_request_time() is not None:
            return self._app(environ, start_response)
        mine = _mine.time = RequestTime(self._long_requests)
        try:
            return self._app(environ, start_response)
        finally:
            _mine.time = None
            mine.end()


def find_request_time() -> RequestTime | None:
    """Return the time of the request that this thread answers, or None: commands have no time limit."""
    return getattr(_mine, "time", None)


def count_for(account: Hashable) -> None:
    """Count the work of this request for an account."""
    if request := find_request_time():
        request.count_for(account)


def require_time(*, for_search: bool = False) -> None:
    """Check that this request may continue: it is within its time limit and, if it is long, has a place.

    With `for_search`, also refuse to begin if the caller was just refused a place. Raises `TimeExceeded` and
    `TooManyLongRequests`.
    """
    request = find_request_time()
    refusal = request and (request.look() or (request.find_search_refusal() if for_search else None))
    if refusal:
        raise refusal


def find_interruption() -> ChangegateError:
    """Return why a statement of this request was interrupted."""
    request = find_request_time()
    return (request and request.refusal) or TimeExceeded()
