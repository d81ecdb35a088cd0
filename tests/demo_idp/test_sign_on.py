"""Signing people in: what the demo identity provider refuses. Changegate's side is in tests/console/single_sign_on."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from flask.testing import FlaskClient
from jwt.utils import base64url_encode

from demo_idp.sign_on import ATTACKS, CODE_LIFETIME, MOST_CODES, PEOPLE
from tests.demo_idp.conftest import ISSUER

VERIFIER = "v" * 43
BACK = "http://127.0.0.1:8080/single-sign-on/demo/callback"
ASKED = {
    "response_type": "code",
    "client_id": "desk",
    "redirect_uri": BACK,
    "scope": "openid",
    "state": "s",
    "nonce": "n",
    "code_challenge": base64url_encode(hashlib.sha256(VERIFIER.encode()).digest()).decode(),
}
ORIGIN = {"Origin": ISSUER}


def choose(client: FlaskClient, **fields: str) -> dict[str, str]:
    form = {**ASKED, "sub": str(PEOPLE[0]["sub"]), **fields}
    answer = client.post("/authorize", data=form, headers=ORIGIN, base_url=ISSUER)
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def exchange(client: FlaskClient, **fields: str) -> tuple[int, dict[str, str]]:
    form = {"grant_type": "authorization_code", "client_id": "desk", "redirect_uri": BACK, "code_verifier": VERIFIER}
    answer = client.post("/token", data={**form, **fields}, base_url=ISSUER)
    return answer.status_code, answer.get_json()


def test_gives_an_id_token_for_a_code_once(client: FlaskClient) -> None:
    answer = choose(client)
    assert (answer["state"], answer["iss"]) == ("s", ISSUER)
    status, body = exchange(client, code=answer["code"])
    claims = jwt.decode(body["id_token"], options={"verify_signature": False})
    assert status == 200
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (PEOPLE[0]["sub"], "desk", "n")
    assert claims["groups"] == PEOPLE[0]["groups"]
    assert exchange(client, code=answer["code"]) == (
        400,
        {"error": "invalid_grant", "error_description": "The code is unknown, used, or expired."},
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"client_id": "other"},
        {"redirect_uri": "http://127.0.0.1:8080/elsewhere"},
        {"grant_type": "password"},
    ],
)
def test_a_code_is_for_one_client_address_and_verifier(client: FlaskClient, wrong: dict[str, str]) -> None:
    assert exchange(client, code=choose(client)["code"], **wrong)[0] == 400


def test_the_client_may_authenticate_by_basic(client: FlaskClient) -> None:
    form = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": VERIFIER}
    for header, status in (("Basic ZGVzazpzZWNyZXQ=", 200), ("Basic !", 400)):
        sent = {**form, "code": choose(client)["code"]}
        answer = client.post("/token", data=sent, headers={"Authorization": header}, base_url=ISSUER)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": "https://evil.example.com/"},
        {"redirect_uri": "http://127.0.0.1:8080.evil.example.com/"},
        {"response_type": "token"},
        {"scope": "email"},
        {"client_id": ""},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
    ],
)
def test_refuses_requests_that_must_not_be_answered(client: FlaskClient, wrong: dict[str, str]) -> None:
    assert client.get("/authorize", query_string={**ASKED, **wrong}, base_url=ISSUER).status_code == 400


def test_shows_the_people_and_the_attacks(client: FlaskClient) -> None:
    page = client.get("/authorize", query_string=ASKED, base_url=ISSUER)
    assert all(str(person["name"]) in page.text for person in PEOPLE)
    assert all(f'value="{name}"' in page.text for name in ATTACKS)
    assert "form-action 'self' http://127.0.0.1:8080;" in page.headers["Content-Security-Policy"]


def test_a_canceled_request_is_an_error(client: FlaskClient) -> None:
    assert choose(client, sub="")["error"] == "access_denied"


def test_another_site_chooses_nobody(client: FlaskClient) -> None:
    form = {**ASKED, "sub": str(PEOPLE[0]["sub"])}
    assert client.post("/authorize", data=form, base_url=ISSUER).status_code == 403


def test_the_oldest_codes_are_dropped(client: FlaskClient) -> None:
    first = choose(client)["code"]
    for _ in range(MOST_CODES):
        choose(client)
    assert exchange(client, code=first)[0] == 400
    assert CODE_LIFETIME.total_seconds() == 60


def test_sends_people_back_after_logging_out(client: FlaskClient) -> None:
    for url, status in (("http://127.0.0.1:8080/login", 302), ("https://evil.example.com/", 400)):
        query = {"post_logout_redirect_uri": url}
        assert client.get("/end-session", query_string=query, base_url=ISSUER).status_code == status
