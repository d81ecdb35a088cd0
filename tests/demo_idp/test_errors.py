"""Bad input: one shape, never a 500."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.demo_idp.conftest import Post

SIGN = {"sub": "deploy-bot", "aud": "client-1"}
POST_ROUTES = ["/sign", "/send", "/behaviors/retire"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/sign", {"layout": "unknown"}, "layout"),
        ("/sign", SIGN | {"sub": 7}, "sub"),
        ("/sign", SIGN | {"aud": 7}, "aud"),
        ("/sign", SIGN | {"aud": ["client-1", 7]}, "aud"),
        ("/sign", SIGN | {"claims": []}, "claims"),
        ("/sign", SIGN | {"alg": "none"}, "alg"),
        ("/sign", SIGN | {"alg": "HS256"}, "alg"),
        ("/sign", SIGN | {"kid": 7}, "kid"),
        ("/sign", SIGN | {"typ": {}}, "typ"),
        ("/sign", SIGN | {"lifetime_seconds": 0}, "lifetime_seconds"),
        ("/sign", SIGN | {"lifetime_seconds": 10**12}, "lifetime_seconds"),
        ("/sign", SIGN | {"lifetime_seconds": 0.5}, "lifetime_seconds"),
        ("/sign", SIGN | {"expires": 1}, "expires"),
        ("/sign", {"client_id": "1"}, "client_id"),
        ("/send", {"url": "https://elsewhere.example"}, "url"),
        ("/send", {"client_id": 1}, "client_id"),
        ("/behaviors/retire", {"send": "perhaps"}, "send"),
        ("/behaviors/retire", {"changegate": "https://elsewhere.example"}, "changegate"),
    ],
    ids=str,
)
def test_names_the_field_it_refuses(post: Post, path: str, body: dict[str, Any], field: str) -> None:
    response = post(path, **body)
    assert response.status_code == 400
    assert response.get_json()["error"] == "invalid_request"
    assert response.get_json()["error_description"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", POST_ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"7",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"sub": NaN}',
        b'{"sub": 1e999}',
        b'{"sub": -Infinity}',
        b'{"claims": ' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a":' * 8_000 + b"1" + b"}" * 8_000,
        b"[" * 60_000,
        b'{"sub": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_refuses_a_body_it_cannot_read(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/json")
    assert response.status_code == 400
    assert response.get_json()["error_description"].startswith("body: ")


def test_takes_nesting_as_deep_as_it_says(post: Post) -> None:
    value: list[Any] = []
    for _ in range(29):
        value = [value]
    assert post("/sign", **SIGN, claims={"deep": value}).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_refuses_json_a_browser_could_send_from_elsewhere(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/sign", data=json.dumps(SIGN), content_type=content_type)
    assert response.status_code == 400
    assert "application/json" in response.get_json()["error_description"]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/.well-known/nowhere", 404, "not_found"),
        ("GET", "/sign", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("POST", "/behaviors/explode", 404, "not_found"),
        ("GET", "/elsewhere/.well-known/openid-configuration", 404, "not_found"),
    ],
)
def test_answers_json_where_there_is_no_route(
    client: FlaskClient, method: str, path: str, status: int, error: str
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.get_json()["error"]) == (status, error)
    assert ("Allow" in response.headers) == (status == 405)


def test_refuses_a_body_of_more_than_64_kib(client: FlaskClient) -> None:
    response = client.post("/sign", data=b" " * 65_537, content_type="application/json")
    assert response.status_code == 413
    assert response.get_json()["error"] == "request_entity_too_large"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["layout", "sub", "aud", "claims", "lifetime_seconds", "alg", "typ", "kid", "client_id", "send"]


# The client keeps nothing from one example to the next that another could trip over.
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/sign", "/behaviors/no-kid"]),
    body=st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_no_json_at_all_makes_it_fail(client: FlaskClient, path: str, body: dict[str, Any]) -> None:
    # Nothing is sent: there is no Changegate.
    whole = SIGN | body | ({} if path == "/sign" else {"send": False})
    response = client.post(path, data=json.dumps(whole), content_type="application/json")
    assert response.status_code in {200, 400}
    json.loads(response.data, parse_constant=pytest.fail)
