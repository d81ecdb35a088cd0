"""What the Table API refuses, always in its own envelope: docs/reference/table-api.md#errors."""

import gzip
import re
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError, StatementError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import ImATeapot

from tests.conftest import basic
from tests.support.table_api import CHANGES, TableApi, error_of

UNREADABLE = "Exception while reading request"
RECORD_MISSING = ("No Record found", "Record doesn't exist or ACL restricts the record retrieval")
JSON = {"Content-Type": "application/json"}


CREDENTIALS: list[dict[str, str]] = [
    {},
    basic("admin", "wrong wrong"),
    basic("nobody", "wrong wrong"),
    basic("", ""),
    basic("ad\0min", "x"),
    basic("admin", "a\0b"),
    {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic /////w=="},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer cgat_unknown"},
    {"Authorization": "Bearer a\u00e9"},
    {"Authorization": "Digest username=admin"},
    {"Authorization": "rubbish"},
]


@pytest.mark.parametrize("headers", CREDENTIALS, ids=range(len(CREDENTIALS)))
def test_asks_unauthenticated_callers_for_credentials(client: FlaskClient, headers: dict[str, str]) -> None:
    for response in (
        client.get(CHANGES, headers=headers),
        client.get(f"{CHANGES}/{'0' * 32}", headers=headers),
        client.post(CHANGES, json={}, headers=headers),
        client.get("/api/now/table/nonsense", headers=headers),
    ):
        assert response.status_code == 401
        assert error_of(response) == ("User Not Authenticated", "Required to provide Auth information")
        assert response.headers["WWW-Authenticate"] == 'BASIC realm="Service-now"'


@pytest.mark.parametrize("name", ["foo", "sys_tiny_url", "oauth_exchange_figure", "Change_request", "a\0b", "\u00e9"])
def test_answers_400_for_tables_that_are_not_served(api: TableApi, name: str) -> None:
    api.path = f"/api/now/table/{quote(name)}"
    for response in (api.page(), api.get("0" * 32), api.create(), api.update("0" * 32, {}), api.delete("0" * 32)):
        assert response.status_code == 400
        assert error_of(response) == (f"Invalid table {name}", None)


IDS = [
    "0" * 32,
    "nonexistent sys ID",
    "a\0b",
    "\0",
    "\u00e9",
    "\U0001f600",
    "x" * 5000,
    "..",
    "' OR 1=1 --",
    "%00",
    "\n",
]


@pytest.mark.parametrize("sys_id", IDS, ids=range(len(IDS)))
def test_answers_404_for_unknown_sys_ids(api: TableApi, sys_id: str) -> None:
    wanted = quote(sys_id, safe="")
    for response in (api.get(wanted), api.update(wanted, {"state": 0}), api.delete(wanted)):
        assert response.status_code == 404
        assert error_of(response) == RECORD_MISSING
    response = api.client.put(f"{CHANGES}/{wanted}", json={}, headers=api.headers)
    assert (response.status_code, error_of(response)) == (404, RECORD_MISSING)


@pytest.mark.parametrize(
    "path",
    [
        "/api/now/nonsense",
        "/api/now/table",
        "/api/now/v3/table/change_request",
        "/api/x",
        "/api/now//table/change_request",
        "/api/now/import/change_request",
        "/api/now/../now/table/change_request",
        "/api/",
    ],
)
def test_answers_400_for_paths_without_an_api(api: TableApi, path: str) -> None:
    response = api.client.get(path, headers=api.headers)
    assert response.status_code == 400
    assert error_of(response)[0] == "Requested URI does not represent any resource"


@pytest.mark.parametrize(("method", "path"), [("PUT", CHANGES), ("DELETE", CHANGES), ("POST", f"{CHANGES}/{'0' * 32}")])
def test_answers_405_with_the_allowed_methods(api: TableApi, method: str, path: str) -> None:
    response = api.client.open(path, method=method, json={}, headers=api.headers)
    assert response.status_code == 405
    assert error_of(response)[0] == "Method not supported"
    assert re.fullmatch(r"Send one of [A-Z, ]+ instead of [A-Z]+\.", error_of(response)[1])
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "multipart/form-data", "application/json-patch+json"])
def test_answers_415_for_bodies_that_are_neither_json_nor_xml(api: TableApi, kind: str) -> None:
    for method, path in (("POST", CHANGES), ("PUT", f"{CHANGES}/{'0' * 32}"), ("PATCH", f"{CHANGES}/{'0' * 32}")):
        response = api.client.open(path, method=method, data="{}", content_type=kind, headers=api.headers)
        assert response.status_code == 415
        expected = f"{kind} is not application/json or application/xml"
        assert error_of(response) == ("Unsupported media type", expected)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "rubbish"])
def test_answers_415_for_compressed_bodies(api: TableApi, encoding: str) -> None:
    headers = api.headers | JSON | {"Content-Encoding": encoding}
    response = api.client.post(CHANGES, data=gzip.compress(b"{}"), headers=headers)
    assert response.status_code == 415
    assert error_of(response)[1] == f"Content-Encoding {encoding} is not a body as it is"
    assert api.client.post(CHANGES, data=b"{}", headers=headers | {"Content-Encoding": "identity"}).status_code == 201


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png;q=0.5", "rubbish", "application/json;q=0", ",", ";;;=", "/"]
)
def test_answers_406_in_json_if_no_supported_format_is_accepted(api: TableApi, accept: str) -> None:
    for response in (
        api.client.get(CHANGES, headers=api.headers | {"Accept": accept}),
        api.client.post(CHANGES, json={"short_description": "x"}, headers=api.headers | {"Accept": accept}),
    ):
        assert response.status_code == 406
        expected = ("Unsupported media type", "Only application/json and application/xml are served")
        assert error_of(response) == expected
    assert api.found("") == []


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "",
        "application/json",
        "application/*",
        "text/html, */*;q=0.1",
        "application/json;charset=UTF-8",
        "APPLICATION/JSON",
        "application/xml;q=0.5, application/json",
        "application/xml, application/json",
        "application/json;q=0.1",
    ],
)
def test_serves_callers_who_take_json_among_others(api: TableApi, accept: str) -> None:
    response = api.client.get(CHANGES, headers=api.headers | {"Accept": accept})
    assert (response.status_code, response.content_type) == (200, "application/json;charset=UTF-8")


@pytest.mark.parametrize("kind", ["application/json;charset=utf-8", "APPLICATION/JSON", ""])
def test_takes_json_however_it_is_announced(api: TableApi, kind: str) -> None:
    headers = api.headers | {"Content-Type": kind}
    assert api.client.post(CHANGES, data=b"{}", headers=headers).status_code == 201


def test_takes_harmless_content_types_on_reads(api: TableApi) -> None:
    assert api.client.get(CHANGES, headers=api.headers | JSON).status_code == 200
    assert api.client.delete(f"{CHANGES}/{api.created()['sys_id']}", headers=api.headers | JSON).status_code == 204


BODIES = [
    b"{",
    b"{'state': 1}",
    b"nonsense",
    b'"text"',
    b"1",
    b"null",
    b"[]",
    b"[1]",
    b"[[{}]]",
    b'{"description": "\\ud800"}',
    b'{"description": "\xff\xfe"}',
    b'{"description": NaN}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\0",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_refuses_bodies_that_are_not_objects(api: TableApi, body: bytes) -> None:
    sys_id = api.created(short_description="before")["sys_id"]
    for response in (
        api.client.post(CHANGES, data=body, headers=api.headers | JSON),
        api.client.patch(f"{CHANGES}/{sys_id}", data=body, headers=api.headers | JSON),
    ):
        assert response.status_code == 400
        message, detail = error_of(response)
        assert message == UNREADABLE
        assert detail
    assert api.found("") == ["before"]


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
def test_takes_an_empty_body_for_a_record_of_defaults(api: TableApi, body: bytes) -> None:
    assert api.client.post(CHANGES, data=body, headers=api.headers | JSON).status_code == 201


def test_takes_the_first_of_a_list_and_leaves_the_rest(api: TableApi) -> None:
    assert api.create([{"short_description": "one"}, {"short_description": "two"}]).status_code == 201
    assert api.found("") == ["one"]


def test_refuses_a_body_over_10_mb_with_both_sizes(api: TableApi) -> None:
    body = b'{"description": "' + b"x" * (10 * 1024 * 1024) + b'"}'
    response = api.client.post(CHANGES, data=body, headers=api.headers | JSON)
    assert response.status_code == 400
    sizes = f"content-length = {len(body)} bytes. Max allowed: 10485760 bytes."
    assert error_of(response) == (UNREADABLE, f"Rejected large REST payload with {sizes}")


def test_gives_every_error_a_correlation_id(api: TableApi) -> None:
    first, second = (api.get("0" * 32).headers["X-Request-Id"] for _ in range(2))
    assert first != second
    assert len(first) == 32


HIDDEN = {"password": "hunter2hunter2"}
FAULTS = [
    (DataError("SELECT 1", HIDDEN, ValueError("hunter2hunter2")), 400, UNREADABLE),
    (OperationalError("SELECT 1", HIDDEN, ValueError("hunter2hunter2")), 503, "Service unavailable"),
    (PoolExhausted("no connection"), 503, "Service unavailable"),
    (ProgrammingError("SELECT 1", HIDDEN, ValueError("hunter2hunter2")), 500, "Internal error"),
    (StatementError("cannot bind", "SELECT 1", HIDDEN, ValueError("hunter2hunter2")), 500, "Internal error"),
    (RuntimeError("a defect"), 500, "Internal error"),
    (ImATeapot(), 418, "I'm a teapot"),
]


@pytest.mark.parametrize(("fault", "status", "message"), FAULTS)
def test_an_internal_error_is_reported_without_details(
    app: Flask, caplog: pytest.LogCaptureFixture, fault: Exception, status: int, message: str
) -> None:
    def fail() -> str:
        raise fault

    app.add_url_rule("/api/now/fault", view_func=fail)
    response = app.test_client().get("/api/now/fault")
    assert response.status_code == status
    assert error_of(response)[0] == message
    assert "hunter2" not in response.text + caplog.text
    if status >= 500:
        assert response.headers["X-Request-Id"] in caplog.text
