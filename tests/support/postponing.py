"""What a server owes the app when a request is postponed: a reference at the level of WSGI, and checks for any server.

A server is tested by `CHECKS`: each one takes how the server answers one request, a `Runner`.
"""

import io
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import BoundedSemaphore, Event, Timer
from typing import Any

from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

from changegate.postponed import CAN_POSTPONE, MOST_TIMES, Postponed

WAIT_SECONDS = 60.0
BODY = b"grant_type=a&" * 200
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
# Takes the app, the environment without `wsgi.input`, and the body; returns status and body of the answer.
Runner = Callable[[WsgiApp, dict[str, Any], bytes], tuple[str, bytes]]


class PostponingServer:
    """A WSGI app that answers as a server does which can postpone; it has as many threads as it is given.

    `postponed` counts how often a request gave up its thread.
    """

    def __init__(self, app: WsgiApp, threads: int = 4) -> None:
        self.postponed = 0
        self._app = app
        self._threads = BoundedSemaphore(threads)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, with one of the threads whenever the app is at work."""
        body = environ["wsgi.input"].read()
        for times in range(MOST_TIMES + 1):
            run = environ | {"wsgi.input": io.BytesIO(body), CAN_POSTPONE: times < MOST_TIMES}
            try:
                with self._threads:
                    return self._app(run, start_response)
            except Postponed as postponed:
                self.postponed += 1
                until = postponed.until
            # Whether it succeeded, failed or was canceled is for the next run to find out.
            until.exception(WAIT_SECONDS)
        raise AssertionError("the app postponed a request that it may not postpone")


def served(app: Flask) -> PostponingServer:
    """Serve an application, and whatever its test clients send, by the reference."""
    server = PostponingServer(app.wsgi_app)
    app.wsgi_app = server  # type: ignore[method-assign]
    return server


def run_postponing(app: WsgiApp, environ: dict[str, Any], body: bytes) -> tuple[str, bytes]:
    """Answer one request by the reference."""
    answer, status, _headers = run_wsgi_app(PostponingServer(app), environ | {"wsgi.input": io.BytesIO(body)})
    return status, b"".join(answer)


def example_request() -> dict[str, Any]:
    """Return the environment of a POST."""
    environ = create_environ("/oauth/token?a=b", method="POST", headers={"X-Example": "yes"})
    return environ | {"CONTENT_LENGTH": str(len(BODY))}


class Postponing:
    """A WSGI app that postpones its requests as often as it may, and keeps what it was given at each run."""

    def __init__(self, times: int, end: Callable[[Future[None]], object]) -> None:
        self.runs: list[tuple[Any, ...]] = []
        self.was_done: list[bool] = []
        self._times = times
        self._end = end
        self._until: Future[None] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer, or postpone."""
        if self._until is not None:
            self.was_done.append(self._until.done())
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_X_EXAMPLE", "CONTENT_LENGTH")
        self.runs.append((*(environ[name] for name in names), environ["wsgi.input"].read()))
        # What an app or a middleware writes into the environment must not reach the next run.
        assert environ.setdefault("changegate.example", self) is self and "changegate.seen" not in environ
        environ["changegate.seen"] = True
        if environ[CAN_POSTPONE] is True and len(self.runs) <= self._times:
            self._until = Future()
            Timer(0.05, self._end, [self._until]).start()
            raise Postponed(self._until)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answered"]


def check_runs_the_same_request_again(run: Runner) -> None:
    app = Postponing(2, lambda until: until.set_result(None))
    assert run(app, example_request(), BODY) == ("200 OK", b"answered")
    assert app.runs == [("POST", "/oauth/token", "a=b", "yes", str(len(BODY)), BODY)] * 3


def check_waits_until_the_future_is_done(run: Runner) -> None:
    app = Postponing(2, lambda until: until.set_result(None))
    run(app, example_request(), BODY)
    assert app.was_done == [True, True]


def check_runs_again_after_a_failure(run: Runner) -> None:
    app = Postponing(1, lambda until: until.set_exception(OSError("no fetch")))
    assert run(app, example_request(), BODY) == ("200 OK", b"answered")


def check_ends_by_letting_the_app_wait(run: Runner) -> None:
    app = Postponing(1000, lambda until: until.set_result(None))
    assert run(app, example_request(), BODY) == ("200 OK", b"answered")
    assert len(app.runs) == MOST_TIMES + 1


def check_answers_without_a_wait_where_none_is_asked_for(run: Runner) -> None:
    app = Postponing(0, lambda _until: Event().wait())
    assert run(app, example_request(), BODY) == ("200 OK", b"answered")
    assert len(app.runs) == 1


CHECKS: tuple[Callable[[Runner], None], ...] = (
    check_runs_the_same_request_again,
    check_waits_until_the_future_is_done,
    check_runs_again_after_a_failure,
    check_ends_by_letting_the_app_wait,
    check_answers_without_a_wait_where_none_is_asked_for,
)
