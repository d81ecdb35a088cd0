"""The parent of the worker processes, which gives load balancers time to notice that the server will stop.

SIGTERM ──> `draining` is set: readiness checks of all workers fail, and requests are still answered
──> after the drain time, or at the next signal: the workers stop listening, finish their requests, and end
"""

import multiprocessing
import signal
import threading
from datetime import timedelta
from typing import Any

from granian.server.mp import MPServer


class DrainingServer(MPServer):
    """Granian, with a pause between SIGTERM and the end of its workers. Ctrl-C has no pause."""

    def __init__(self, drain_time: timedelta, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.draining = multiprocessing.Event()
        self._drain_time = drain_time
        self._is_terminated = False
        self._is_hurried = threading.Event()

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        """Note the signal; the second one ends the pause."""
        if self.interrupt_signal:
            self._is_hurried.set()
        self._is_terminated = arguments[:1] == (signal.SIGTERM,)
        super().signal_handler_interrupt(*arguments, **options)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """Pause after SIGTERM, then stop the workers."""
        self.draining.set()
        if self._is_terminated:
            self._is_hurried.wait(self._drain_time.total_seconds())
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]
