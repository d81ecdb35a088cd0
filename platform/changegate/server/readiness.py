"""The readiness check, beside the threads that answer requests, and with an answer in a few seconds in any case.

/readyz ──> a thread of its own: the app asks the database, once for all checks at the same time
├── no answer within READY_SECONDS ──┐
└── the server drains ───────────────┴──> the thread of health: 503
"""

from asyncio import Future, wait
from collections.abc import Callable
from functools import partial

from flask import Flask

from changegate.api.health import UNREADY
from changegate.server.environ import Environ
from changegate.server.responses import BuiltResponse, build_response
from changegate.server.threads import Threads

READY_SECONDS = 3.0
SILENT = f"The database has not answered for {READY_SECONDS:.0f} seconds."
DRAINING = "The server is being stopped."


class Readiness:
    """Answers readiness checks. Only the event loop uses it."""

    def __init__(self, app: Flask, is_draining: Callable[[], bool], health: Threads) -> None:
        self._app = app
        self._is_draining = is_draining
        self._health = health
        self._threads = Threads(1, "readiness")
        self._check: Future[BuiltResponse] | None = None

    async def run(self, environ: Environ) -> BuiltResponse:
        """Return the response to a check by GET or HEAD."""
        if not self._is_draining():
            # Each check had to wait for all earlier ones otherwise, and many callers could let every one of them fail.
            if self._check is None or self._check.done():
                # Without the headers of this caller, since others get the answer too.
                asked = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
                asked["REQUEST_METHOD"] = "GET"
                self._check = self._threads.run(partial(build_response, self._app, asked))
            check = self._check
            if (await wait({check}, timeout=READY_SECONDS))[0]:
                made = check.result()
                body = () if environ["REQUEST_METHOD"] == "HEAD" else (made.body,)
                return BuiltResponse(made.status, [*made.headers], body)
        environ[UNREADY] = DRAINING if self._is_draining() else SILENT
        refused: BuiltResponse = await self._health.run(partial(build_response, self._app, environ))
        return refused
