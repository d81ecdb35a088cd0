"""The parent of the worker processes, which gives load balancers time to notice that the server will stop.

SIGTERM ──> `is_draining` is true: readiness checks of all workers fail, and requests are still answered
──> after the drain time, or at the next signal, STOP: the workers stop listening, finish their requests, and end

Service managers send SIGTERM to the workers too, and terminals Ctrl-C. Workers ignore both: only the parent stops them.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_bool
from datetime import timedelta
from functools import partial
from multiprocessing.sharedctypes import RawValue
from typing import Any

from granian.server.mp import MPServer, WorkerProcess

from changegate.server.direct import STOP


class DrainingServer(MPServer):
    """Granian, with a pause between SIGTERM and the end of its workers. Ctrl-C has no pause."""

    def __init__(self, drain_time: timedelta, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Not an Event: a worker that is killed while it holds the lock of an Event would stop all others.
        self._is_draining = RawValue(c_bool, False)
        self._drain_time = drain_time
        self._is_terminated = False
        self._pause_ends = threading.Event()

    @property
    def is_draining(self) -> Callable[[], bool]:
        """Return the function by which every worker finds out whether the server drains."""
        return partial(getattr, self._is_draining, "value")

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        """Note the signal; the second one ends the pause."""
        if os.getpid() != self.pid:  # a worker that has not yet blocked the signals
            return
        self._is_terminated = arguments[:1] == (signal.SIGTERM,)
        if self.interrupt_signal:
            self._pause_ends.set()
        super().signal_handler_interrupt(*arguments, **options)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """Pause after SIGTERM, then stop the workers."""
        self._is_draining.value = True
        if self._is_terminated:
            self._pause_ends.wait(self._drain_time.total_seconds())
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def _spawn_worker(self, *arguments: Any, **options: Any) -> WorkerProcess:
        worker = super()._spawn_worker(*arguments, **options)
        worker.terminate = partial(_stop, worker)  # type: ignore[method-assign]
        return worker


def _stop(worker: WorkerProcess) -> None:
    worker.interrupt_by_parent = True
    if worker.inner.is_alive():
        with suppress(ProcessLookupError):  # it has ended at this moment
            os.kill(worker.inner.pid, STOP)
