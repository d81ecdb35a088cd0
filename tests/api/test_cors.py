"""Scripts of other origins: docs/reference/other-apis.md#tiny-urls."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.table_api import CHANGES, TableApi

KNOWN = [
    "https://ops.example.com",
    "http://localhost:3000",
    "https://a.tools.example.com",
    "https://a-1.tools.example.com",
]
UNKNOWN = [
    "https://evil.example",
    "http://ops.example.com",
    "https://ops.example.com:8443",
    "https://ops.example.com.evil.example",
    "https://opsxexample.com",
    "https://tools.example.com",
    "https://a.b.tools.example.com",
    "https://.tools.example.com",
    "https://evil.example/.tools.example.com",
    "https://ops.example.com\t",
    "HTTPS://OPS.EXAMPLE.COM",
    "null",
    "*",
    "",
]
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
def settings() -> dict[str, str]:
    return {"cors_origins": "https://ops.example.com, http://localhost:3000, https://*.tools.example.com"}


def cors_headers(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith("Access-Control-")}


def words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")}


@pytest.mark.parametrize("origin", KNOWN)
@pytest.mark.parametrize("path", [CHANGES, f"{CHANGES}/{'0' * 32}", "/api/now/v1/batch", "/api/now/tinyurl"])
def test_a_preflight_of_a_known_origin_gets_all_that_is_allowed(client: FlaskClient, origin: str, path: str) -> None:
    response = client.options(path, headers={"Origin": origin, **PREFLIGHT})
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert words(response.headers["Access-Control-Allow-Methods"]) >= {"GET", "POST", "PUT", "PATCH", "DELETE"}
    allowed = words(response.headers["Access-Control-Allow-Headers"])
    assert allowed >= {"Authorization", "Content-Type", "Accept", "Idempotency-Key"}
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    assert response.headers["Vary"] == "Origin"


def test_a_known_origin_may_read_answers_and_their_headers(api: TableApi) -> None:
    api.headers = api.headers | {"Origin": KNOWN[0]}
    for response in (
        api.page(),
        api.get("0" * 32),
        api.create({}),
        api.client.get(CHANGES, headers={"Origin": KNOWN[0]}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == KNOWN[0]
        exposed = words(response.headers["Access-Control-Expose-Headers"])
        assert exposed >= {"X-Total-Count", "Link", "Location", "Retry-After", "X-Changegate-Ignored-Fields"}
        assert "Access-Control-Allow-Methods" not in response.headers


def test_no_origin_may_send_credentials_of_the_browser(api: TableApi) -> None:
    for origin in (*KNOWN, *UNKNOWN):
        response = api.client.options(CHANGES, headers={"Origin": origin, **PREFLIGHT})
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", UNKNOWN)
def test_an_unknown_origin_gets_no_header_that_lets_it_read(api: TableApi, origin: str) -> None:
    headers = api.headers | {"Origin": origin}
    for response in (
        api.client.get(CHANGES, headers=headers),
        api.client.options(CHANGES, headers=headers | PREFLIGHT),
    ):
        assert response.status_code in {200, 204}
        assert cors_headers(response) == {}
        assert response.headers["Vary"] == "Origin"


def test_pages_are_not_opened_to_other_origins(client: FlaskClient) -> None:
    response = client.get("/login", headers={"Origin": KNOWN[0]})
    assert cors_headers(response) == {}


class TestWithoutTheSetting:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {}

    def test_no_origin_is_allowed(self, api: TableApi) -> None:
        for origin in KNOWN:
            response = api.client.options(CHANGES, headers={"Origin": origin, **PREFLIGHT})
            assert response.status_code == 204
            assert cors_headers(response) == {}
            assert cors_headers(api.client.get(CHANGES, headers=api.headers | {"Origin": origin})) == {}
