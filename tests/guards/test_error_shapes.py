"""Whatever goes wrong, each audience is answered in its own shape: never in another's, never with a traceback."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.guards.audiences import EXAMPLES, MACHINES, METHODS, list_endpoints

UNKNOWN_TO_MACHINES = (
    "/api/now/tables",
    "/api/",
    "/api/now/table/change_request/a/b",
    "/oauth/authorize",
    "/oauth_auth.do",
)
UNKNOWN_TO_PEOPLE = ("/nowhere", "/change-requests/a/b", "/static/nothing.css")
TELLTALES = ("Traceback", 'File "', "werkzeug", "sqlalchemy", "<html", "<!doctype")


def is_machine(path: str) -> bool:
    return path.startswith(MACHINES)


def wrong_methods(app: Flask) -> list[tuple[str, str]]:
    """Return every path with each method that is not taken there, by whichever rule."""
    paths = sorted({endpoint.path for endpoint in list_endpoints(app)})
    urls = app.url_map.bind("desk.example.com")
    return [(method, path) for path in paths for method in METHODS if method not in urls.allowed_methods(path)]


def require_shape(response: TestResponse, path: str) -> None:
    """Insist on the shape of the audience of a path."""
    where = f"{response.request.method} {path} answered {response.status_code}: {response.text[:300]}"
    assert 400 <= response.status_code < 500, where
    if not is_machine(path):
        assert response.mimetype == "text/html", where
        assert "Traceback" not in response.text, where
        return
    assert response.content_type == "application/json;charset=UTF-8", where
    assert not [word for word in TELLTALES if word.lower() in response.text.lower()], where
    if path.startswith("/oauth"):
        require_oauth_shape(response, where)
    else:
        require_table_shape(response, where)


def require_oauth_shape(response: TestResponse, where: str) -> None:
    """RFC 6749 §5.2: two strings, and nothing that a cache may keep."""
    body = response.get_json()
    assert body.keys() >= {"error", "error_description"}, where
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "error_description")), where
    assert response.headers["Cache-Control"] == "no-store", where


def require_table_shape(response: TestResponse, where: str) -> None:
    body = response.get_json()
    assert body.keys() == {"error", "status"}, where
    assert body["status"] == "failure", where
    assert body["error"].keys() == {"message", "detail"}, where
    assert isinstance(body["error"]["message"], str), where


def test_a_wrong_method_is_refused_with_the_allowed_ones(app: Flask, client: FlaskClient) -> None:
    cases = wrong_methods(app)
    assert {method for method, _ in cases} == set(METHODS)
    # Forms would be refused for their token before the method is checked.
    app.config["WTF_CSRF_ENABLED"] = False
    for method, path in cases:
        response = client.open(path, method=method)
        assert response.status_code == 405, f"{method} {path}"
        assert response.headers.get("Allow"), f"{method} {path} does not say what is allowed"
        require_shape(response, path)


@pytest.mark.parametrize("path", [*UNKNOWN_TO_MACHINES, *UNKNOWN_TO_PEOPLE])
def test_an_unknown_path_is_refused_in_shape(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == (400 if path.startswith("/api/") else 404)
    require_shape(response, path)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("record", ["", f"/{EXAMPLES['sys_id']}"])
@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_an_unknown_table_is_a_bad_request(
    client: FlaskClient, admin: dict[str, str], version: str, record: str, method: str
) -> None:
    path = f"/api/now{version}/table/no_such_table{record}"
    response = client.open(path, method=method, headers=admin)
    assert response.status_code in {400, 405}
    require_shape(response, path)
    if response.status_code == 400:
        assert response.get_json()["error"]["message"] == "Invalid table no_such_table"


@pytest.mark.parametrize(
    "header", [None, "Basic !", "Basic YQ==", "Basic bm86Ym9keQ==", "Bearer", "Bearer cgat_no", "Digest x=1", "\xff"]
)
def test_no_good_credentials_are_refused_in_shape(app: Flask, client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    apis = [endpoint for endpoint in list_endpoints(app) if endpoint.path.startswith("/api/")]
    assert apis
    # One version has the views of all; twenty failures of one address would be told to wait.
    for endpoint in apis[:6]:
        response = client.open(endpoint.path, method=endpoint.method, headers=headers)
        assert response.status_code == 401
        assert "realm=" in response.headers["WWW-Authenticate"]
        require_shape(response, endpoint.path)


@pytest.mark.parametrize("path", ["/oauth_token.do", "/oauth/token"])
@pytest.mark.parametrize("body", [b"", b"grant_type=none", b"\xff\x00", b"grant_type=" + b"x" * 100_000])
def test_the_token_endpoint_refuses_in_the_shape_of_oauth(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/x-www-form-urlencoded")
    require_shape(response, path)
    assert response.get_json()["correlation_id"] == response.headers["X-Request-Id"]


def test_an_internal_error_shows_only_the_correlation_id(
    app: Flask, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fall_over(*_: object) -> None:
        raise LookupError("a secret detail")

    monkeypatch.setattr("changegate.api.table.get_table", fall_over)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/api/now/table/change_request", headers=admin)
    assert response.status_code == 500
    require_table_shape(response, response.text)
    assert "a secret detail" not in response.text
    assert response.headers["X-Request-Id"] in response.text
    assert response.headers["X-Request-Id"] in caplog.text
