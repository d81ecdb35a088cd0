"""Health and readiness while the database is silent, while all threads are busy, and while the server drains."""

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import text

from changegate.api import health
from changegate.config import DATABASE_FILE
from changegate.database import connection, silence
from changegate.server import Front, readiness
from changegate.server.draining import DrainingServer
from tests.conftest import ADMIN_PASSWORD
from tests.support.asgi_client import Client, ask, ask_at_once, finish, scope_of
from tests.support.faulty_route import FaultyRoute

CHECK = scope_of("GET", "/readyz")


def test_readiness_is_refused_while_the_database_is_silent_and_health_is_not(
    routed_app: Flask, route: FaultyRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The watch would end the wait; here, nothing does before the test resets the connections.
    monkeypatch.setattr(silence.Watch, "look", lambda _: None)
    server = Front(routed_app, 1)

    async def answer(path: str = "/readyz") -> Client:
        client = Client()
        await server(scope_of("GET", path), client.receive, client.send)
        return client

    async def scenario() -> None:
        assert (await answer()).status == 200
        monkeypatch.setattr(readiness, "READY_SECONDS", 0.2)
        route.is_passing = False
        for _ in range(3):
            answered = await answer()
            assert (answered.status, answered.header("retry-after") is not None) == (503, True)
            assert readiness.SILENT.encode() in answered.body
            assert (await answer("/healthz")).status == 200
        route.is_passing = True
        route.reset_all()
        monkeypatch.setattr(readiness, "READY_SECONDS", 60.0)
        while (await answer()).status != 200:
            await asyncio.sleep(0.05)
        assert (await answer()).status == 200

    finish(scenario())


def test_a_server_is_not_ready_until_a_connection_leads_to_a_database_that_accepts_writes(postgres_app: Flask) -> None:
    caller = postgres_app.test_client()
    assert caller.get("/readyz").status_code == 200
    with postgres_app.app_context():
        # As if its server had become a standby.
        connection().execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    refused = caller.get("/readyz")
    assert (refused.status_code, refused.get_json()["error"]["detail"]) == (503, health.READ_ONLY)
    assert caller.get("/readyz").status_code == 200


def test_a_server_is_not_ready_and_writes_nothing_once_its_database_file_is_gone(app: Flask) -> None:
    caller, file = app.test_client(), Path(app.instance_path) / DATABASE_FILE
    assert caller.get("/readyz").status_code == 200
    moved = file.rename(file.with_suffix(".moved"))
    refused = caller.get("/readyz")
    assert (refused.status_code, refused.get_json()["error"]["detail"]) == (503, health.READ_ONLY)
    create: dict[str, Any] = {"json": {"name": "Night shift"}, "auth": ("admin", ADMIN_PASSWORD)}
    unavailable = caller.post("/api/now/table/sys_user_group", **create)
    assert (unavailable.status_code, "Retry-After" in unavailable.headers) == (503, True)
    moved.rename(file)
    assert caller.get("/readyz").status_code == 200
    assert caller.post("/api/now/table/sys_user_group", **create).status_code == 201


def test_checks_at_the_same_time_share_one_question_to_the_database(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = mock.Mock(side_effect=health.read_schema)
    monkeypatch.setattr(health, "read_schema", asked)
    server = Front(app, 1)
    checks = [(scope_of("HEAD", "/readyz"), Client()), *((CHECK, Client()) for _ in range(20))]
    # One of another method, and one that is refused whatever it asks.
    others = [(scope_of("POST", "/readyz"), Client()), (scope_of("GET", "/readyz", [("Host", "b")]), Client())]
    ask_at_once(server, *others, *checks)
    assert [client.status for _, client in (*others, *checks)] == [405, 400, *[200] * len(checks)]
    [head, *bodies] = [client.body for _, client in checks]
    assert (head, {json.loads(body)["status"] for body in bodies}) == (b"", {"ready"})
    assert asked.call_count == 1
    assert ask(server, CHECK).status == 200
    assert asked.call_count == 2


def test_readiness_is_answered_while_all_threads_are_busy(app: Flask) -> None:
    assert ask(Front(app, 0), CHECK).status == 200


def test_a_draining_server_is_not_ready_and_answers_requests(app: Flask) -> None:
    server = Front(app, 1, is_draining=lambda: True)
    answered = ask(server, CHECK)
    assert answered.status == 503
    assert readiness.DRAINING.encode() in answered.body
    assert ask(server, scope_of("GET", "/healthz")).status == 200
    assert ask(server, scope_of("GET", "/login")).status == 200


def test_workers_that_are_killed_while_they_look_leave_the_state_readable() -> None:
    server = DrainingServer(timedelta(), "unused")
    for _ in range(30):
        looked, tell = multiprocessing.Pipe(duplex=False)
        worker = multiprocessing.get_context("fork").Process(target=_look_forever, args=(server.is_draining, tell))
        worker.start()
        is_looking = looked.poll(30)
        worker.kill()
        worker.join()
        assert is_looking
    assert not server.is_draining()


def _look_forever(is_draining: Callable[[], bool], tell: Any) -> None:
    for look in count():
        is_draining()
        if look == 100:
            tell.send(None)
