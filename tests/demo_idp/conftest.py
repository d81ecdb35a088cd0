"""A provider with a clock that stands still."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from demo_idp import create_app
from tests.demo_idp.stage import Stage, opened

ISSUER = "https://idp.example"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

Post = Callable[..., TestResponse]


@pytest.fixture
def idp() -> Flask:
    return create_app(base_url=f"{ISSUER}/", now=lambda: NOW)


@pytest.fixture
def stage(app: Flask) -> Iterator[Stage]:
    with opened(app) as stage:
        yield stage


@pytest.fixture
def client(idp: Flask) -> FlaskClient:
    return idp.test_client()


@pytest.fixture
def post(client: FlaskClient) -> Post:
    def send(path: str, **body: Any) -> TestResponse:
        return client.post(path, json=body)

    return send


@pytest.fixture
def published(client: FlaskClient) -> Callable[[], list[dict[str, str]]]:
    def fetch() -> list[dict[str, str]]:
        return client.get("/.well-known/jwks.json").get_json()["keys"]

    return fetch


@pytest.fixture
def order(post: Post) -> Callable[..., str]:
    def sign(**body: Any) -> str:
        response = post("/sign", **{"sub": "deploy-bot", "aud": "client-1"} | body)
        assert response.status_code == 200, response.get_json()
        return response.get_json()["assertion"]

    return sign
