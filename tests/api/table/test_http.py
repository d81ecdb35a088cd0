"""HTTP around records: methods and how they are overridden, headers both ways, versions.

See docs/reference/table-api.md#paths-and-methods and #headers.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from tests.conftest import basic
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

VERSIONS = ["/api/now", "/api/now/v1", "/api/now/v2"]
MISSING = "0" * 32


@pytest.fixture
def change(api: TableApi) -> dict[str, Any]:
    return api.created(short_description="before")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_version_does_everything_with_and_without_a_slash_at_the_end(
    api: TableApi, version: str, slash: str
) -> None:
    api.path = f"{version}/table/change_request{slash}"
    made = api.create({"short_description": "one"})
    sys_id = result_of(made)["sys_id"]
    path = f"{version}/table/change_request/{sys_id}"
    assert made.headers["Location"] == f"https://change.example.com{path}"
    for method, status in (("GET", 200), ("HEAD", 200), ("PUT", 200), ("PATCH", 200), ("DELETE", 204), ("GET", 404)):
        sent = {"json": {"short_description": method}} if method in {"PUT", "PATCH"} else {}
        response = api.client.open(path + slash, method=method, headers=api.headers, **sent)
        assert response.status_code == status, method


@pytest.mark.parametrize("path", [CHANGES, f"{CHANGES}/"])
def test_head_answers_what_get_would_without_the_body(api: TableApi, change: dict[str, Any], path: str) -> None:
    for wanted in (path, f"{CHANGES}/{change['sys_id']}", f"{CHANGES}/{MISSING}", "/api/now/table/nonsense"):
        got = api.client.get(wanted, headers=api.headers)
        head = api.client.head(wanted, headers=api.headers)
        assert (head.status_code, head.data) == (got.status_code, b"")
        for name in ("X-Total-Count", "Content-Type", "Content-Length"):
            assert head.headers.get(name) == got.headers.get(name)


def test_options_lists_the_methods_for_every_caller(client: FlaskClient) -> None:
    for path, methods in {
        CHANGES: "GET, HEAD, OPTIONS, POST",
        f"{CHANGES}/x": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    }.items():
        response = client.options(path)
        assert (response.status_code, response.data) == (204, b"")
        assert ", ".join(sorted(response.allow)) == methods
        assert "Content-Type" not in response.headers
    assert client.options("/api/now/nonsense").status_code == 400
    assert client.options("/login").status_code == 204


@pytest.mark.parametrize("name", ["PATCH", "patch", " Patch ", "PUT"])
@pytest.mark.parametrize("sent", ["POST", "GET"])
def test_a_header_overrides_the_method_of_post_and_get(
    api: TableApi, change: dict[str, Any], sent: str, name: str
) -> None:
    response = api.client.open(
        f"{CHANGES}/{change['sys_id']}",
        method=sent,
        json={"short_description": "after"},
        headers=api.headers | {"X-HTTP-Method-Override": name},
    )
    assert response.status_code == 200
    assert api.found("") == ["after"]


def test_an_overridden_method_needs_what_the_method_itself_needs(
    app: Flask, api: TableApi, change: dict[str, Any], add_user: Callable[..., str]
) -> None:
    add_user("reader", "sn_change_read")
    reader = TableApi(app.test_client(), basic("reader", "itil itil itil") | {"X-HTTP-Method-Override": "DELETE"})
    assert reader.client.get(f"{CHANGES}/{change['sys_id']}", headers=reader.headers).status_code == 403
    assert api.found("") == ["before"]
    api.headers = api.headers | {"X-HTTP-Method-Override": "DELETE"}
    assert api.client.post(f"{CHANGES}/{change['sys_id']}", headers=api.headers).status_code == 204


@pytest.mark.parametrize("name", ["DELETE", "GET", "nonsense"])
def test_only_post_and_get_are_overridden(api: TableApi, change: dict[str, Any], name: str) -> None:
    headers = api.headers | {"X-HTTP-Method-Override": name}
    path = f"{CHANGES}/{change['sys_id']}"
    assert api.client.patch(path, json={"short_description": "after"}, headers=headers).status_code == 200
    assert api.found("") == ["after"]


@pytest.mark.parametrize("name", ["HEAD", "OPTIONS", "TRACE", "nonsense", "DELETE", "P\xe4TCH", "x" * 5000])
def test_an_override_to_an_unsupported_method_changes_nothing(api: TableApi, name: str) -> None:
    response = api.client.post(CHANGES, json={}, headers=api.headers | {"X-HTTP-Method-Override": name})
    assert response.status_code == 405
    assert error_of(response)[0] == "Method not supported"
    assert api.found("") == []


def test_an_empty_override_and_one_of_a_page_count_for_nothing(api: TableApi) -> None:
    assert api.client.post(CHANGES, json={}, headers=api.headers | {"X-HTTP-Method-Override": ""}).status_code == 201
    assert api.client.get("/login", headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 200


@pytest.mark.parametrize("word", ["true", "TRUE", " True "])
def test_omits_the_body_of_a_write_on_request(api: TableApi, word: str) -> None:
    api.headers = api.headers | {"X-no-response-body": word}
    made = api.create({"short_description": "quiet"})
    assert (made.status_code, made.data) == (201, b"")
    assert "Content-Type" not in made.headers
    path = made.headers["Location"].removeprefix("https://change.example.com")
    for method in ("PUT", "PATCH"):
        changed = api.client.open(path, method=method, json={"short_description": method}, headers=api.headers)
        assert (changed.status_code, changed.data) == (200, b"")
    assert api.found("") == ["PATCH"]
    assert error_of(api.update(MISSING, {}))[0] == "No Record found"


@pytest.mark.parametrize("word", ["false", "", "1"])
def test_keeps_the_body_of_a_write_otherwise(api: TableApi, word: str) -> None:
    api.headers = api.headers | {"X-no-response-body": word}
    assert result_of(api.create({}))["number"]


def test_every_answer_forbids_caching_and_sniffing(api: TableApi, change: dict[str, Any]) -> None:
    for response in (
        api.page(),
        api.get(change["sys_id"]),
        api.get(MISSING),
        api.create({}),
        api.update(change["sys_id"], {}),
        api.delete(change["sys_id"]),
    ):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Is-Logged-In"] == "true"
        assert "Set-Cookie" not in response.headers


def test_an_unauthenticated_answer_says_not_logged_in(client: FlaskClient) -> None:
    response = client.get(CHANGES)
    assert response.status_code == 401
    assert response.headers["X-Is-Logged-In"] == "false"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_deletion_has_neither_body_nor_type(api: TableApi, change: dict[str, Any]) -> None:
    response = api.delete(change["sys_id"])
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers


def test_wants_no_header_but_the_credentials(api: TableApi, change: dict[str, Any]) -> None:
    path = f"{CHANGES}/{change['sys_id']}"
    body = b'{"short_description": "after"}'
    for method, target, status in (("GET", CHANGES, 200), ("POST", CHANGES, 201), ("PUT", path, 200)):
        response = api.client.open(target, method=method, data=body, headers=api.headers)
        assert response.status_code == status
    assert api.client.delete(path, headers=api.headers).status_code == 204


@pytest.mark.parametrize("name", ["exclude_reference_link", "exclude_ref_link"])
def test_leaves_out_links_by_either_name_of_the_parameter(api: TableApi, name: str) -> None:
    made = api.create({"requested_by": "admin"}, fields="requested_by", **{name: "True"})
    assert result_of(made) == {"requested_by": "6816f79cc0a8016401c5a33be04be441"}


def test_counts_unless_the_caller_asks_not_to(api: TableApi, change: dict[str, Any]) -> None:
    for word in ("false", "False", "", "nonsense"):
        assert api.page(no_count=word).headers["X-Total-Count"] == "1"
    assert "X-Total-Count" not in api.page(no_count="True").headers


def test_shows_every_field_whatever_the_view(api: TableApi, change: dict[str, Any]) -> None:
    for view in ("", "desktop", "nonsense"):
        assert result_of(api.get(change["sys_id"], view=view)) == result_of(api.get(change["sys_id"]))


def test_takes_the_parameters_of_lists_for_nothing_on_single_records(api: TableApi, change: dict[str, Any]) -> None:
    params = {"query": "number=nothing^ORDERBYsys_id", "limit": "0", "offset": "7", "fields": "sys_id"}
    for response in (api.get(change["sys_id"], **params), api.update(change["sys_id"], {}, **params)):
        assert result_of(response) == {"sys_id": change["sys_id"]}
        assert "X-Total-Count" not in response.headers


def test_links_keep_every_parameter_but_those_of_the_page(api: TableApi) -> None:
    for _ in range(3):
        api.created(short_description="a b&c")
    query = "sysparm_query=short_description%3Da+b%26c&sysparm_offset=1&sysparm_view=&active=true&sysparm_limit=1"
    header = api.client.get(f"{CHANGES}?{query}", headers=api.headers).headers["Link"]
    first = header.partition(">")[0].removeprefix("<https://change.example.com")
    kept = "sysparm_query=short_description%3Da+b%26c&sysparm_view=&active=true"
    assert first == f"{CHANGES}?{kept}&sysparm_limit=1&sysparm_offset=0"
    assert api.client.get(first, headers=api.headers).status_code == 200
    long = f"{query}&sysparm_fields={'number,' * 200}"
    assert "number%2Cnumber" in api.client.get(f"{CHANGES}?{long}", headers=api.headers).headers["Link"]


@pytest.mark.parametrize("raw", ["\xff", "\xed\xa0\x80", "\xc3\xa9", "a=\xff\x00%", "'=\xe9"])
@pytest.mark.parametrize("path", [CHANGES, "/oauth/token", "/login", "/api/now/nonsense"])
def test_answers_whatever_the_bytes_of_a_query_string(app: Flask, path: str, raw: str) -> None:
    """Not through the client, which would encode them."""
    environ = EnvironBuilder(path=path, method="POST" if path == "/oauth/token" else "GET").get_environ()
    response = Response.from_app(app, environ | {"QUERY_STRING": raw}, buffered=True)
    assert response.status_code in {200, 400, 401}
    assert response.mimetype == ("text/html" if path == "/login" else "application/json")


def test_text_beyond_ascii_means_the_same_encoded_or_not(app: Flask, api: TableApi) -> None:
    api.created(short_description="caf\u00e9")
    environ = EnvironBuilder(path=CHANGES, headers=api.headers).get_environ()
    query = "sysparm_fields=short_description&sysparm_query=short_description%3Dcaf\u00e9".encode().decode("latin-1")
    response = Response.from_app(app, environ | {"QUERY_STRING": query}, buffered=True)
    assert response.json == {"result": [{"short_description": "caf\u00e9"}]}
