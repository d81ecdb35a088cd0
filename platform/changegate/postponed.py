"""Requests that give up their thread while they wait for a fetch.

    request thread    app raises Postponed(until) ──> server frees the thread
    fetch thread      fetches ──> sets `until`
    request thread    server runs the same request again, from the start

A server that supports this sets `CAN_POSTPONE` to True in the WSGI environment. Without it, as under plain WSGI servers
and within a batch, the app blocks its thread until the fetch is done.

For servers: each run gets a copy of the environment and the body from its first byte. `until` ends within 15 seconds
and holds no result; run the request again however it ended. Postpone at most `MOST_TIMES`, then set `CAN_POSTPONE` to
False for the last run. A request is postponed before it starts its response, and leaves no trace: nothing is committed.
"""

from concurrent.futures import Future

from flask import has_request_context

from changegate.unproxied import current_request

CAN_POSTPONE = "changegate.can_postpone"
# One for the key set, one for an unknown key ID, and one for a failed fetch of another process.
MOST_TIMES = 3


class Postponed(BaseException):
    """Run this request again once `until` is done; not an `Exception`, so that no error handler answers it."""

    def __init__(self, until: Future[None]) -> None:
        super().__init__("the request waits for a fetch")
        self.until = until


def can_postpone() -> bool:
    """Return whether the current request may raise `Postponed`; False outside a request."""
    return has_request_context() and current_request().environ.get(CAN_POSTPONE) is True


def forbid_postponing() -> None:
    """Forbid the current request to raise `Postponed` after it has done something that must not be done twice."""
    if has_request_context():
        current_request().environ[CAN_POSTPONE] = False
