"""Which client may use which grant: each is for one connection type, whatever else would be right about a request."""

from typing import Any

import pytest

from changegate.services.oauth import jwt_bearer_grant
from changegate.services.users import verified_passwords
from tests.support.grant_desk import MARIA, PASSWORD, GrantDesk
from tests.support.token_desk import JWT_BEARER, RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

METADATA = "/.well-known/oauth-authorization-server"
FORMS: dict[str, dict[str, Any]] = {
    JWT_BEARER: {},
    "client_credentials": {},
    "password": {"username": MARIA, "password": PASSWORD},
    "refresh_token": {},
}
GRANT_OF = {"jwt_bearer": {JWT_BEARER}, "client_credentials": {"client_credentials"}, "id_token": set()}
GRANTS_OF: dict[str, set[str]] = {**GRANT_OF, "password": {"password", "refresh_token"}}
OFFERED = [JWT_BEARER, "client_credentials"]


@pytest.fixture
def settings() -> dict[str, str]:
    return {"password_grant_enabled": "1"}


@pytest.fixture
def clients(grants: GrantDesk, desk: TokenDesk) -> dict[str, Integration]:
    """A client of each type; that of an ID token trusts the same provider as that of the JWT bearer grant."""
    trust = {"issuer": "https://ci.example.com", "audiences": ["https://change.example.com"], "algorithms": ["RS256"]}
    return {
        "jwt_bearer": desk.register(),
        "client_credentials": grants.register("client_credentials"),
        "password": grants.register("password", issue_refresh_tokens=True),
        "id_token": grants.register("id_token", **trust, jwks_url=desk.jwks.url()),
    }


def a_good_request(grants: GrantDesk, clients: dict[str, Integration], grant: str) -> dict[str, Any]:
    """Return a request that the grant would accept from a client that may use it."""
    if grant == JWT_BEARER:
        return {"assertion": grants.desk.assertion()}
    return {"refresh_token": grants.both_tokens(clients["password"])[1]} if grant == "refresh_token" else FORMS[grant]


@pytest.mark.parametrize("grant", FORMS)
def test_a_grant_is_for_one_type_of_client_only(
    grants: GrantDesk, clients: dict[str, Integration], grant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = a_good_request(grants, clients, grant)
    for type_, client in clients.items():
        with monkeypatch.context() as patch:
            if grant not in GRANTS_OF[type_]:
                # Neither a signature nor a password is checked for a client that may not use the grant.
                patch.setattr(jwt_bearer_grant, "verify_for", lambda *_: pytest.fail("an assertion was verified"))
                patch.setattr(
                    verified_passwords, "check_password_hash", lambda *_: pytest.fail("a password was checked")
                )
            answer = grants.send(grant, client, **form)
        if grant in GRANTS_OF[type_]:
            assert answer.status_code == 200
            continue
        assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")
        assert grants.desk.last_event().reason == "grant_not_allowed"
        assert grants.rules() == {"grant allowed": False}
        assert "access_token" not in answer.get_json()


def test_servicenows_path_refuses_it_like_every_other_request(
    grants: GrantDesk, clients: dict[str, Integration]
) -> None:
    answer = grants.send("client_credentials", clients["jwt_bearer"], SERVICENOW_PATH)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "server_error")


def test_a_public_client_is_not_found_by_an_issuer_that_another_type_trusts(desk: TokenDesk, grants: GrantDesk) -> None:
    trust = {"issuer": "https://ci.example.com", "jwks_url": desk.jwks.url(), "public_client": True}
    grants.register("id_token", **trust)
    public = desk.register("Public", public_client=True)

    assert desk.exchange(public, client_id=...).status_code == 200


def test_a_client_of_another_type_is_not_found_by_an_assertion(desk: TokenDesk, grants: GrantDesk) -> None:
    trust = {"issuer": "https://ci.example.com", "jwks_url": desk.jwks.url(), "public_client": True}
    client = grants.register("id_token", **trust)

    assert desk.exchange(client, client_id=..., client_secret=...).status_code == 401
    assert desk.last_event().reason == "client_unknown"


@pytest.mark.parametrize("grant", ["authorization_code", "implicit", "Password", "urn:ietf:params:oauth:grant-type:x"])
def test_an_unsupported_grant_is_reported_as_such(
    grants: GrantDesk, clients: dict[str, Integration], grant: str
) -> None:
    answer = grants.send(grant, clients["password"], username=MARIA, password=PASSWORD)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unsupported_grant_type")


def test_metadata_lists_the_enabled_grant_types(desk: TokenDesk) -> None:
    assert desk.client.get(METADATA).get_json()["grant_types_supported"] == [*OFFERED, "password", "refresh_token"]


class TestSwitchedOff:
    """The default of CHANGEGATE_PASSWORD_GRANT_ENABLED."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {}

    def test_metadata_does_not_offer_passwords(self, desk: TokenDesk) -> None:
        assert desk.client.get(METADATA).get_json()["grant_types_supported"] == OFFERED

    @pytest.mark.parametrize("grant", ["password", "refresh_token"])
    @pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
    def test_a_password_is_not_even_looked_at(
        self, grants: GrantDesk, monkeypatch: pytest.MonkeyPatch, grant: str, path: str
    ) -> None:
        monkeypatch.setattr(verified_passwords, "check_password_hash", lambda *_: pytest.fail("a password was checked"))
        client = grants.register("password", issue_refresh_tokens=True)
        form = FORMS["password"] if grant == "password" else {"refresh_token": "cgrt_" + "A" * 43}

        answer = grants.send(grant, client, path, **form)

        expected = (400, "unauthorized_client") if path == RFC_PATH else (401, "server_error")
        assert (answer.status_code, answer.get_json()["error"]) == expected
        assert grants.desk.last_event().reason == "grant_not_allowed"
