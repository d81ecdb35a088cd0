"""Administrators who send their bodies slowly, under a plain WSGI server: other writers do not wait for them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import orjson
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.integration_api import INTEGRATIONS, LEAST, AdminApi

SCOPES = "/api/now/oauth/scopes"


class SlowBody(BytesIO):
    """A body that arrives after another request was answered."""

    def __init__(self, data: bytes, meanwhile: Callable[[], TestResponse]) -> None:
        super().__init__(data)
        self._meanwhile = meanwhile
        self.answers: list[int] = []

    def read(self, *size: Any) -> bytes:
        if not self.answers:
            with ThreadPoolExecutor(1) as other:
                self.answers.append(other.submit(self._meanwhile).result().status_code)
        return super().read(*size)


@pytest.fixture
def api(either_app: Flask, admin: dict[str, str]) -> AdminApi:
    return AdminApi(either_app.test_client(), admin, "")


def send_slowly(app: Flask, api: AdminApi, method: str, path: str, body: Any, version: str) -> tuple[int, list[int]]:
    """Send a body slowly while another request changes the same row; return the status codes of both."""
    sent = orjson.dumps(body)
    other = AdminApi(app.test_client(), api.headers, "")
    stream = SlowBody(sent, lambda: other.send("PATCH", path.removesuffix("/rotate-secret"), {"name": "renamed"}))
    response = api.client.open(
        path,
        method=method,
        content_type="application/json",
        headers={**api.headers, "If-Match": version},
        environ_overrides={"wsgi.input": stream, "CONTENT_LENGTH": str(len(sent))},
    )
    return response.status_code, stream.answers


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_slow_change_of_an_integration_is_checked_against_the_change_made_meanwhile(
    either_app: Flask, api: AdminApi, method: str
) -> None:
    made = api.send("POST", INTEGRATIONS, dict(LEAST))
    path = f"{INTEGRATIONS}/{made.get_json()['result']['client_id']}"
    assert send_slowly(either_app, api, method, path, dict(LEAST), made.headers["ETag"]) == (412, [200])


def test_a_slow_rotation_of_a_secret_keeps_no_writer_waiting(either_app: Flask, api: AdminApi) -> None:
    path = f"{INTEGRATIONS}/{api.result('POST', INTEGRATIONS, dict(LEAST))['client_id']}/rotate-secret"
    assert send_slowly(either_app, api, "POST", path, {}, "*") == (200, [200])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_slow_change_of_a_scope_is_checked_against_the_change_made_meanwhile(
    either_app: Flask, api: AdminApi, method: str
) -> None:
    made = api.send("POST", SCOPES, {"name": "deploy"})
    body = {"name": "deploy", "description": "slow"}
    # The other request renames the scope, so that the slow one no longer finds it.
    assert send_slowly(either_app, api, method, f"{SCOPES}/deploy", body, made.headers["ETag"]) == (404, [200])
