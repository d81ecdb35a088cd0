"""Postponed: how a request gives up its thread while it waits for a fetch.

    request thread    app raises Postponed(until) ──> server frees the thread
    fetch thread      fetches ──> sets `until`
    request thread    server runs the same request again, from the start

A server that can do this sets `CAN_POSTPONE` to True in the WSGI environment. Everywhere else, as under plain WSGI
servers and within a batch, the app waits on the thread that it has.

For servers: each run gets a copy of the environment and the body from its first byte. `until` ends within 15 seconds
and holds no result; run the request again however it ended. Postpone at most `MOST_TIMES`, then set `CAN_POSTPONE` to
False for the last run. A request is postponed before it starts its response, and leaves no trace: nothing is committed.
"""

from concurrent.futures import Future

from flask.globals import request_ctx

CAN_POSTPONE = "changegate.can_postpone"
# One for the key set and one for an unknown key id; the third is for a fetch of another process that failed.
MOST_TIMES = 3


class Postponed(BaseException):
    """Run this request again once `until` is done; not an `Exception`, so that no error handler answers it."""

    def __init__(self, until: Future[None]) -> None:
        super().__init__("the request waits for a fetch")
        self.until = until


def can_postpone() -> bool:
    """Return whether the request at work may raise `Postponed`; False outside of a request."""
    return bool(request_ctx) and request_ctx.request.environ.get(CAN_POSTPONE) is True


def forbid_postponing() -> None:
    """Keep the thread of the request at work from here on: it has done what must not be done twice."""
    if request_ctx:
        request_ctx.request.environ[CAN_POSTPONE] = False
