"""Strict-Transport-Security: for a configured https base URL on a named host, and for no other."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from changegate import create_app
from tests.support.table_api import CHANGES

HEADER = "Strict-Transport-Security"
PATHS = ("/login", "/", "/static/console.css", "/healthz", CHANGES, "/oauth/token", "/nothing", "/api/now/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_it(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        assert answer.headers.getlist(HEADER) == ["max-age=31536000"]


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        "http://change.example.com",
        "https://localhost:8443",
        "https://LOCALHOST",
        "https://changegate.localhost",
        "https://localhost.",
        "https://127.0.0.1:8443",
        "https://192.0.2.7",
        "https://[::1]:8443",
        "https://[2001:db8::7]",
    ],
)
def test_addresses_and_localhost_never_get_it(tmp_path: Path, base_url: str | None) -> None:
    overrides = {"base_url": base_url} if base_url else {}
    with (
        create_app(instance_path=tmp_path / "x", overrides=overrides).test_client().get("/static/console.css") as answer
    ):
        assert answer.status_code == 200
        assert HEADER not in answer.headers
