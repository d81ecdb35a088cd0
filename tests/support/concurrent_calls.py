"""Many requests at once, on a machine that may be busy with others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

from changegate.services.keys import single_flight


@contextmanager
def concurrent_calls(count: int) -> Iterator[ThreadPoolExecutor]:
    """Provide a pool of threads whose requests wait long for a fetch.

    Outside of `changegate serve`, most requests of a process stop waiting after a second, and on a busy machine many
    requests at once take longer than that.
    """
    with mock.patch.object(single_flight, "SLOW_SECONDS", 10.0), ThreadPoolExecutor(count) as pool:
        yield pool
