"""Pages of other origins, and what they can make a browser send with the login that it keeps (RFC 6454, Fetch)."""

import base64
import io
import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.test_cors import KNOWN, UNKNOWN
from tests.conftest import ADMIN_PASSWORD, BASE_URL, basic
from tests.guards.audiences import Endpoint, list_endpoints
from tests.support.table_api import CHANGES, TableApi, error_of
from tests.support.token_desk import TokenDesk

HOST = "http://localhost"
FOREIGN: list[dict[str, str]] = [
    *({"Origin": origin} for origin in UNKNOWN),
    {"Origin": KNOWN[0], "Sec-Fetch-Site": "cross-site"},
    {"Origin": f"{BASE_URL}:8443"},
    {"Origin": f"{BASE_URL}.evil.example"},
    {"Origin": "http://change.example.com"},
    {"Origin": f"{BASE_URL}, https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "something-new"},
    {"Sec-Fetch-Site": "same-site", "Origin": BASE_URL},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Origin": HOST},
    {"Origin": BASE_URL},
    {"Origin": BASE_URL.upper().replace("HTTPS", "https")},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "Same-Origin", "Origin": HOST},
    # A proxy that rewrites Host; no page can set this header, so the browser knows better.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://in-front.example"},
]
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("sent", FOREIGN, ids=str)
def test_a_write_with_basic_from_another_origin_is_refused(api: TableApi, sent: dict[str, str]) -> None:
    response = api.client.post(CHANGES, json={}, headers=api.headers | sent)
    assert response.status_code == 403
    assert "CHANGEGATE_CORS_ORIGINS" in str(error_of(response)[1])
    assert api.found("") == []


@pytest.mark.parametrize("sent", OWN, ids=str)
def test_a_write_from_the_own_origin_or_without_a_browser_passes(api: TableApi, sent: dict[str, str]) -> None:
    assert api.client.post(CHANGES, json={}, headers=api.headers | sent).status_code == 201


def test_the_refusal_comes_before_the_password_is_checked(client: FlaskClient) -> None:
    headers = basic("admin", "wrong wrong") | {"Origin": "https://evil.example"}
    for _ in range(30):
        assert client.post(CHANGES, json={}, headers=headers).status_code == 403


def test_reads_from_another_origin_are_left_to_cors(api: TableApi) -> None:
    headers = api.headers | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert api.client.get(CHANGES, headers=headers).status_code == 200
    assert api.client.head(CHANGES, headers=headers).status_code == 200
    assert api.client.options(CHANGES, headers=headers).status_code == 204


def test_an_access_token_is_not_a_login_that_a_browser_keeps(desk: TokenDesk) -> None:
    token = {"Authorization": f"Bearer {desk.token(desk.register())}", "Origin": "https://evil.example"}
    assert desk.client.post(CHANGES, json={}, headers=token).status_code == 201
    client = desk.app.test_client(use_cookies=False)
    assert client.post(CHANGES, json={}, headers=token | {"Cookie": "a=b"}).status_code == 403


@pytest.mark.parametrize("credentials", [basic("admin", ADMIN_PASSWORD), {"Cookie": "changegate_session=x"}])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_method_override_changes_nothing(app: Flask, api: TableApi, credentials: dict[str, str], method: str) -> None:
    client = app.test_client(use_cookies=False)
    change = api.created()
    path = f"{CHANGES}/{change['sys_id']}"
    sent = credentials | {"Sec-Fetch-Site": "cross-site"}
    for override in ("DELETE", "PATCH", "delete "):
        response = client.open(path, method=method, headers=sent | {"X-HTTP-Method-Override": override} | JSON)
        assert response.status_code == 403
    assert api.get(change["sys_id"]).status_code == 200


def test_a_form_of_another_site_attaches_no_file(api: TableApi) -> None:
    change = api.created()
    form: dict[str, Any] = {"table_name": "change_request", "table_sys_id": change["sys_id"]}
    for sent in ({"Origin": "http://localhost:19083"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
        files = {"uploadFile": (io.BytesIO(b"x"), "csrf-form.txt")}
        response = api.client.post("/api/now/attachment/upload", data=form | files, headers=api.headers | sent)
        assert response.status_code == 403
    assert api.client.get("/api/now/attachment", headers=api.headers).get_json()["result"] == []


def writes(app: Flask) -> list[Endpoint]:
    return [endpoint for endpoint in list_endpoints(app) if endpoint.method != "GET"]


@pytest.mark.parametrize("credentials", [basic("admin", ADMIN_PASSWORD), {"Cookie": "changegate_session=x"}])
@pytest.mark.parametrize("sent", [{"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_every_write_that_the_application_serves_is_refused(
    app: Flask, credentials: dict[str, str], sent: dict[str, str]
) -> None:
    client = app.test_client(use_cookies=False)
    answers = {
        endpoint.name: client.open(endpoint.path, method=endpoint.method, headers=credentials | sent).status_code
        for endpoint in writes(app)
    }
    assert len(answers) > 60
    assert set(answers.values()) == {403}, answers


def test_every_api_answers_the_refusal_in_its_own_envelope(app: Flask, admin: dict[str, str]) -> None:
    headers = admin | {"Origin": "https://evil.example"}
    client = app.test_client()
    assert client.post("/oauth/token", headers=headers).get_json()["error"] == "invalid_request"
    assert client.post(CHANGES, headers=headers).get_json()["status"] == "failure"
    assert client.post("/logout", headers=headers).mimetype == "text/html"


def test_revocation_by_get_counts_as_a_write(app: Flask, admin: dict[str, str]) -> None:
    """It is the only GET that writes on behalf of its caller; ServiceNow's clients need it."""
    for path in ("/oauth_revoke_token.do", "/oauth_revoke.do"):
        response = app.test_client().get(f"{path}?token=x", headers=admin | {"Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 403


class TestWithOriginsOfTheSetting:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"cors_origins": "https://ops.example.com, http://localhost:3000, https://*.tools.example.com"}

    @pytest.mark.parametrize("origin", KNOWN)
    @pytest.mark.parametrize("site", ["cross-site", "same-site", None])
    def test_their_scripts_write(self, api: TableApi, origin: str, site: str | None) -> None:
        sent = {"Origin": origin} | ({"Sec-Fetch-Site": site} if site else {})
        assert api.client.post(CHANGES, json={}, headers=api.headers | sent).status_code == 201

    @pytest.mark.parametrize("origin", UNKNOWN)
    def test_others_do_not(self, api: TableApi, origin: str) -> None:
        headers = api.headers | {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert api.client.post(CHANGES, json={}, headers=headers).status_code == 403


class TestWithoutContentType:
    """A page can send bytes of no type anywhere; of these, only programs may expect that they are read as JSON."""

    @pytest.mark.parametrize("path", [CHANGES, "/api/now/tinyurl", "/api/now/batch", "/api/now/oauth/scopes"])
    @pytest.mark.parametrize("sent", [{"Origin": BASE_URL}, {"Sec-Fetch-Site": "same-origin"}])
    def test_a_browser_is_refused(self, api: TableApi, path: str, sent: dict[str, str]) -> None:
        response = api.client.post(path, data=b"{}", headers=api.headers | sent)
        assert response.status_code == 415
        assert "Content-Type" in str(error_of(response)[1])

    def test_a_browser_is_refused_with_a_token_too(self, desk: TokenDesk) -> None:
        token = {"Authorization": f"Bearer {desk.token(desk.register())}", "Origin": "https://evil.example"}
        assert desk.client.post(CHANGES, data=b"{}", headers=token).status_code == 415

    def test_a_program_is_taken_to_send_json(self, api: TableApi) -> None:
        response = api.client.post(CHANGES, data=b'{"short_description": "typeless"}', headers=api.headers)
        assert response.status_code == 201
        assert api.found("") == ["typeless"]

    def test_a_deletion_needs_none(self, api: TableApi) -> None:
        change = api.created()
        headers = api.headers | {"Sec-Fetch-Site": "same-origin"}
        assert api.client.delete(f"{CHANGES}/{change['sys_id']}", headers=headers).status_code == 204

    def test_a_request_in_a_batch_needs_none_even_from_a_browser(self, api: TableApi) -> None:
        body = base64.b64encode(json.dumps({"short_description": "part"}).encode()).decode()
        request = {"id": "1", "method": "POST", "url": CHANGES, "body": body}
        headers = api.headers | {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}
        response = api.client.post("/api/now/batch", json={"rest_requests": [request]}, headers=headers)
        assert response.get_json()["serviced_requests"][0]["status_code"] == 201

    @pytest.mark.parametrize("kind", ["text/plain", ";charset=utf-8", "application", "multipart/form-data; boundary=x"])
    def test_unknown_content_types_are_refused_for_every_caller(self, api: TableApi, kind: str) -> None:
        for path in (CHANGES, "/api/now/tinyurl", "/api/now/batch", "/api/now/oauth/scopes"):
            response = api.client.post(path, data=b"{}", headers=api.headers | {"Content-Type": kind})
            assert response.status_code == 415
