"""Incomplete requests under a plain WSGI server are never treated as complete."""

from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.api.whole_body import WHOLE_BODY
from tests.support.change_rows import count_changes

CHANGES = "/api/now/table/change_request"
FORM = "application/x-www-form-urlencoded"


def post(client: FlaskClient, path: str, body: bytes, content_type: str = "application/json", **environ: Any) -> Any:
    """Post as servers do that end a body wherever its sender ends."""
    usual = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    headers = environ.pop("headers", {})
    response: TestResponse = client.post(
        path, content_type=content_type, headers=headers, environ_overrides=usual | environ
    )
    return response


@pytest.mark.parametrize("body", [b"", b"{}", b'{"short_description": "De'])
def test_half_a_record_creates_nothing(either_app: Flask, admin: dict[str, str], body: bytes) -> None:
    client = either_app.test_client()
    assert post(client, CHANGES, body, CONTENT_LENGTH="100", headers=admin).status_code == 400
    assert count_changes(either_app) == 0
    assert post(client, CHANGES, b"{}", headers=admin).status_code == 201


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth_token.do", "/oauth/introspect", "/oauth/revoke", "/login"])
def test_half_a_form_is_refused(client: FlaskClient, path: str) -> None:
    assert post(client, path, b"grant_type=client_credentials", FORM, CONTENT_LENGTH="100").status_code == 400


def test_half_a_form_of_the_console_is_refused(client: FlaskClient) -> None:
    sent = {"data": b"user_name=admin&password=", "content_type": FORM}
    response = client.post("/logout", environ_overrides={"CONTENT_LENGTH": "100"}, **sent)
    assert response.status_code == 400


@pytest.mark.parametrize("path", [CHANGES, "/oauth/token", "/login", "/api/now/v1/batch"])
@pytest.mark.parametrize(
    "unmeasured", [{"HTTP_TRANSFER_ENCODING": "chunked"}, {"SERVER_PROTOCOL": "HTTP/2"}], ids=["chunks", "HTTP/2"]
)
def test_a_body_without_a_length_is_refused_where_its_end_is_not_known(
    app: Flask, client: FlaskClient, admin: dict[str, str], path: str, unmeasured: dict[str, str]
) -> None:
    refused = post(client, path, b"{}", CONTENT_LENGTH="", headers=admin, **unmeasured)
    assert refused.status_code == 411
    assert count_changes(app) == 0


def test_no_header_lets_half_a_body_pass(app: Flask, client: FlaskClient, admin: dict[str, str]) -> None:
    headers = {**admin, "Changegate-Whole-Body": "1", "changegate.whole_body": "1"}
    assert post(client, CHANGES, b"{}", CONTENT_LENGTH="100", headers=headers).status_code == 400
    assert count_changes(app) == 0


@pytest.mark.parametrize("environ", [{}, {WHOLE_BODY: True}], ids=["stream", "whole body"])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_body_is_read_up_to_its_limit(
    app: Flask, client: FlaskClient, admin: dict[str, str], environ: dict[str, Any], excess: int
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    created = post(client, CHANGES, b"{}".ljust(1000 + excess), headers=admin, **environ)
    assert ("Rejected large REST payload" in created.text, count_changes(app)) == ((False, 1), (True, 0))[excess]
    exchanged = post(client, "/oauth/token", b"filler=".ljust(65536 + excess, b"x"), FORM, **environ)
    assert ("grant_type is missing", "the body is over 65536 bytes")[excess] in exchanged.json["error_description"]
