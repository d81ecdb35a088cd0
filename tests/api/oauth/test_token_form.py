"""What the body of a token request may look like (docs/reference/token-endpoint.md#requests, RFC 6749 §3.2)."""

from urllib.parse import urlencode

import pytest

from tests.support.token_desk import (
    FORM,
    JWT_BEARER,
    RFC_PATH,
    SERVICENOW_PATH,
    Integration,
    TokenDesk,
)

KNOWN = ("grant_type", "client_id", "client_secret", "assertion", "scope")


def _reason(desk: TokenDesk) -> tuple[str | None, str | None]:
    event = desk.last_event()
    return event.reason, event.detail


@pytest.mark.parametrize("charset", ["; charset=UTF-8", ";charset=utf-8", "; foo=bar"])
def test_accepts_parameters_of_the_content_type(desk: TokenDesk, integration: Integration, charset: str) -> None:
    answer = desk.send(urlencode(desk.form(integration)), content_type=f"{FORM}{charset}")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data; boundary=x", "text/plain", "application/xml", "", None, "form"],
)
@pytest.mark.parametrize(("path", "status"), [(RFC_PATH, 400), (SERVICENOW_PATH, 401)])
def test_refuses_every_other_content_type(
    desk: TokenDesk, integration: Integration, content_type: str | None, path: str, status: int
) -> None:
    answer = desk.client.post(path, data=urlencode(desk.form(integration)), content_type=content_type)

    assert answer.status_code == status
    assert _reason(desk) == ("body_malformed", f"the body must be {FORM}")


def test_refuses_a_multipart_form_that_flask_would_read(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.client.post(RFC_PATH, data=desk.form(integration), content_type="multipart/form-data")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_refuses_json(desk: TokenDesk, integration: Integration) -> None:
    assert desk.client.post(RFC_PATH, json=desk.form(integration)).status_code == 400


@pytest.mark.parametrize("name", KNOWN)
def test_refuses_a_parameter_given_twice(desk: TokenDesk, integration: Integration, name: str) -> None:
    form = desk.form(integration, scope="change_request.create")
    answer = desk.send(f"{urlencode(form)}&{urlencode({name: form[name]})}")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert _reason(desk) == ("param_duplicate", f"{name} is given more than once")


@pytest.mark.parametrize("name", ["client_secret", "assertion", "password", "code", "refresh_token"])
@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
def test_refuses_a_secret_in_the_query(desk: TokenDesk, integration: Integration, name: str, path: str) -> None:
    answer = desk.exchange(integration, f"{path}?{name}=sEcReT")

    assert answer.status_code in {400, 401}
    assert "sEcReT" not in answer.get_data(as_text=True)
    assert _reason(desk) == ("body_malformed", "secrets are not allowed in the query string")


def test_a_parameter_in_the_query_is_ignored(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, f"{RFC_PATH}?grant_type={JWT_BEARER}", grant_type=...)

    assert answer.status_code == 400
    assert _reason(desk) == ("body_malformed", "grant_type is missing")


def test_refuses_a_body_over_the_limit(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, filler="x" * 65536)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert _reason(desk) == ("body_malformed", "the body is over 65536 bytes")


def test_refuses_too_many_parameters(desk: TokenDesk, integration: Integration) -> None:
    answer = desk.exchange(integration, **{f"extra{n}": "x" for n in range(50)})

    assert answer.status_code == 400
    assert _reason(desk) == ("body_malformed", "more than 50 parameters")


@pytest.mark.parametrize(("name", "length"), [("client_id", 256), ("client_secret", 4097), ("scope", 4097)])
def test_refuses_an_overlong_parameter(desk: TokenDesk, integration: Integration, name: str, length: int) -> None:
    assert desk.exchange(integration, **{name: "x" * length}).status_code == 400
    assert _reason(desk) == ("body_malformed", f"{name} is too long")


def test_ignores_unknown_parameters(desk: TokenDesk, integration: Integration) -> None:
    junk = {"{'a': 1}": "", "resource_owner": ["one", "two"], "undefined": "undefined"}

    assert desk.exchange(integration, **junk).status_code == 200


@pytest.mark.parametrize("name", ["scope", "client_assertion", "client_assertion_type"])
def test_an_empty_parameter_is_an_absent_one(desk: TokenDesk, integration: Integration, name: str) -> None:
    assert desk.exchange(integration, **{name: ""}).status_code == 200


@pytest.mark.parametrize("grant_type", [..., "", " \n"])
def test_refuses_a_request_without_a_grant_type(desk: TokenDesk, integration: Integration, grant_type: object) -> None:
    answer = desk.exchange(integration, grant_type=grant_type)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("assertion", [..., "", " \n"])
def test_refuses_a_request_without_an_assertion(desk: TokenDesk, integration: Integration, assertion: object) -> None:
    answer = desk.exchange(integration, assertion=assertion)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert _reason(desk)[0] == "assertion_missing"


@pytest.mark.parametrize(
    "grant_type",
    ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange", JWT_BEARER.upper(), "jwt-bearer", "é"],
)
def test_refuses_every_other_grant(desk: TokenDesk, integration: Integration, grant_type: str) -> None:
    answer = desk.exchange(integration, grant_type=grant_type)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unsupported_grant_type")
    assert _reason(desk)[0] == "grant_not_allowed"
    assert desk.last_event().detail == f"{grant_type} was sent"


def test_trims_what_was_pasted_from_pretty_printed_documentation(desk: TokenDesk, integration: Integration) -> None:
    body = (
        f"grant_type={JWT_BEARER}\n&client_id={integration.client_id}\r\n"
        f"&client_secret={integration.secret}&assertion= {desk.assertion()}\n"
    )

    assert desk.send(body, SERVICENOW_PATH).status_code == 200


def test_never_trims_a_secret(desk: TokenDesk, integration: Integration) -> None:
    assert desk.exchange(integration, client_secret=f"{integration.secret}\n").status_code == 401
    assert desk.exchange(integration, client_secret=f" {integration.secret}").status_code == 401


def test_trims_only_ascii_whitespace(desk: TokenDesk, integration: Integration) -> None:
    assert desk.exchange(integration, assertion=f"\N{NO-BREAK SPACE}{desk.assertion()}").status_code == 400


def test_refuses_white_space_inside_an_assertion(desk: TokenDesk, integration: Integration) -> None:
    broken = desk.assertion().replace(".", ".\n", 1)

    assert desk.exchange(integration, assertion=broken).get_json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "body",
    [b"", b"&&&", b"=", b"grant_type", b"%", b"%00=%00", b"\xff\xfe=\xff", b"grant_type=%ff", b"a" * 65536],
)
def test_no_body_is_a_fault_of_the_server(desk: TokenDesk, body: bytes) -> None:
    assert desk.send(body).status_code in {400, 401}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("value", ["\0", "a\0b", "\ud83d".encode("utf-16", "surrogatepass"), "💥", "%", "\x7f\u202e"])
def test_no_value_is_a_fault_of_the_server(
    desk: TokenDesk, integration: Integration, name: str, value: str | bytes
) -> None:
    answer = desk.exchange(integration, **{name: value})

    assert answer.status_code in {400, 401}
    assert answer.get_json()["error"].isascii()
    assert all(event.reason for event in desk.events())
