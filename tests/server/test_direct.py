"""Requests that are answered without the event loop, and those that it takes over."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from flask import Flask

from changegate.server import Front
from changegate.server.bodies import SHORT_BODY_BYTES
from changegate.server.direct import Loop
from changegate.server.responses import AT_ONCE_BYTES
from tests.conftest import ADMIN_PASSWORD, NewInstance
from tests.server.test_front import run_by
from tests.support.asgi_client import DISCONNECT, Announced, Client, pieces_of, scope_of
from tests.support.change_rows import count_changes
from tests.support.postponing import CHECKS, Runner
from tests.support.servers import running_changegate

CHANGES = "/api/now/table/change_request"
BODY = b'{"short_description": "Deploy"}'
FORM = b"grant_type=client_credentials&client_id=a"
# A request that reaches the event loop is answered by 500, except for the check that the server has started.
NO_LOOP = """
from changegate.server import Front
answer = Front.__call__
async def refuse(front, scope, *channel):
    assert scope["path"] == "/readyz"
    await answer(front, scope, *channel)
Front.__call__ = refuse
"""


@pytest.fixture
def front(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Front:
    front = Front(app, 2)
    monkeypatch.setattr(Loop, "direct", front.direct)
    return front


def post(path: str, body: bytes, *headers: tuple[str, str]) -> dict[str, Any]:
    kind = "application/json" if path == CHANGES else "application/x-www-form-urlencoded"
    return scope_of("POST", path, [("Content-Type", kind), ("Content-Length", str(len(body))), *headers])


def test_granian_announces_requests_in_the_way_that_is_taken(new_instance: NewInstance) -> None:
    with running_changegate(new_instance(), patches=NO_LOOP) as server:
        ask = partial(requests.request, auth=("admin", ADMIN_PASSWORD), timeout=60)
        assert ask("GET", f"{server.url}{CHANGES}").status_code == 200
        assert ask("POST", f"{server.url}{CHANGES}", json={"short_description": "Deploy"}).status_code == 201
        assert ask("POST", f"{server.url}/oauth/token", data=FORM).status_code == 400
        assert ask("POST", f"{server.url}{CHANGES}", data=bytes(SHORT_BODY_BYTES + 1)).status_code == 500


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_whole", [True, False])
def test_the_event_loop_takes_over_what_has_not_arrived_whole(
    app: Flask, front: Front, admin: dict[str, str], is_whole: bool, is_late: bool
) -> None:
    pieces = [BODY] if is_whole else [BODY[:9], BODY[9:]]
    headers = ("Authorization", admin["Authorization"])
    request = Announced(post(CHANGES, BODY, headers), *pieces_of(*pieces), is_late=is_late)
    assert request.ask(front).status == 201
    assert request.is_in_loop is (is_late or not is_whole)
    assert count_changes(app) == 1


def test_an_unknown_caller_is_refused_before_the_body_has_come(front: Front) -> None:
    request = Announced(post(CHANGES, BODY))
    answered = request.ask(front)
    assert (answered.status, answered.header("connection"), request.is_in_loop) == (401, "close", True)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("path", [CHANGES, "/oauth/token"])
def test_a_client_that_leaves_before_its_body_leaves_nothing(
    app: Flask, front: Front, admin: dict[str, str], path: str, is_late: bool
) -> None:
    request = Announced(post(path, BODY, ("Authorization", admin["Authorization"])), DISCONNECT, is_late=is_late)
    answered = request.ask(front)
    assert (answered.status, answered.header("connection"), count_changes(app)) == (400, "close", 0)


def test_the_event_loop_gets_a_request_once_if_its_body_cannot_be_followed(
    app: Flask, front: Front, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Announced, "add_done_callback")
    request = Announced(post(CHANGES, BODY, ("Authorization", admin["Authorization"])), *pieces_of(BODY))
    assert request.ask(front).status == 201
    assert (request.is_in_loop, [*front.direct._arrivals], count_changes(app)) == (True, [], 1)


def test_a_form_that_is_late_is_read(front: Front) -> None:
    request = Announced(post("/oauth/token", FORM), *pieces_of(FORM), is_late=True)
    assert (request.ask(front).status, request.is_in_loop) == (401, True)
    assert b"invalid_client" in request.client.body


def test_a_response_is_direct_unless_it_is_long(front: Front, app: Flask) -> None:
    for size in (AT_ONCE_BYTES, AT_ONCE_BYTES + 1):
        app.wsgi_app = partial(_answer, bytes(size))  # type: ignore[method-assign]
        request = Announced(scope_of("GET", "/"), *pieces_of())
        assert request.ask(front).body == bytes(size)
        assert request.is_in_loop is (size > AT_ONCE_BYTES)


def _answer(body: bytes, _environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [body]


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
def test_checks_are_answered(front: Front, path: str) -> None:
    request = Announced(scope_of("GET", path))
    assert (request.ask(front).status, request.is_in_loop) == (200, path == "/readyz")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_request_gives_up_its_thread_while_it_waits(
    check: Callable[[Runner], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_directly(front: Front, scope: dict[str, Any], *messages: dict[str, Any]) -> Client:
        monkeypatch.setattr(Loop, "direct", front.direct)
        return Announced(scope, *messages).ask(front)

    check(partial(run_by, ask_directly))
