"""Input about a new integration that an issuer, a JWKS URL, or a token completes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.errors import InputInvalid
from changegate.schemas import presets
from changegate.services.integrations.input_completion import Completed, complete_input
from changegate.services.keys.key_store import key_store
from tests.support.provider_site import JWKS, OPENID, ProviderSite, provider_site


@pytest.fixture
def site(app: Flask) -> Iterator[ProviderSite]:
    with provider_site() as found, app.app_context():
        yield found


def completed(given: dict[str, Any], pasted: str | None = None) -> Completed:
    """Return the input, completed with the catalog of the presets."""
    return complete_input(given, key_store(), presets, pasted)


def host_of(site: ProviderSite) -> str:
    return site.url.removeprefix("http://")


@pytest.mark.parametrize("connection_type", [None, "", "jwt-bearer", "ID_TOKEN"])
def test_an_issuer_finds_its_keys(site: ProviderSite, connection_type: str | None) -> None:
    issuer = site.publish()
    given = {"issuer": f" {issuer} ", "name": "Mine", "type": connection_type, "preset": ""}
    found = completed(given)
    assert found.given["jwks_url"] == site.url + JWKS
    assert (found.given["name"], found.given["provider_name"]) == ("Mine", host_of(site))
    assert found.warnings == []


def test_a_jwks_url_finds_its_issuer(site: ProviderSite) -> None:
    issuer = site.publish()
    found = completed({"jwks_url": site.url + JWKS})
    assert (found.given["issuer"], found.given["name"]) == (issuer, host_of(site))


def test_a_jwks_url_without_a_document_leaves_the_issuer_to_the_caller(site: ProviderSite) -> None:
    site.publish()
    del site.documents[OPENID]
    found = completed({"jwks_url": site.url + JWKS})
    assert "issuer" not in found.given
    assert found.warnings == ["The issuer is unknown. Enter the iss of the provider's tokens."]


def test_a_jwks_url_without_keys_is_not_taken_for_an_issuer(site: ProviderSite) -> None:
    given = {"jwks_url": site.url + JWKS}
    found = completed(given)
    assert found.given == given
    assert found.warnings[0] == "The server answered with status 404 instead of a key set."


def test_a_token_gives_audience_and_rules_and_given_values_win(site: ProviderSite) -> None:
    token = site.sign(site.publish(), {"typ": "at+jwt"}, aud=["api://one"])
    found = completed({"required_typ": "jwt", "claim_conditions": []}, token)
    assert found.given["audiences"] == ["api://one"]
    assert found.given["required_typ"] == "jwt"
    assert token not in str(found.given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"issuer": "https://idp.example.com", "jwks_url": "https://idp.example.com/keys"},
        {"issuer": "https://idp.example.com", "jwks": "{}"},
        {"issuer": "https://idp.example.com", "key_source": "certificates"},
        {"issuer": "https://idp.example.com", "preset": "keycloak"},
        {"preset": "keycloak", "placeholders": {"realm": "x"}, "jwks_url": "https://idp.example.com/keys"},
        {"issuer": "https://idp.example.com", "type": "password"},
        {"issuer": "https://idp.example.com", "type": "nothing"},
        {"issuer": 7},
        {"issuer": ["https://idp.example.com"]},
    ],
)
def test_input_that_decides_itself_is_left_alone(app: Flask, given: dict[str, Any]) -> None:
    with app.app_context():
        assert completed(given) == Completed(given)
        assert completed(given).warnings == []


def test_without_keys_the_input_is_refused_with_the_reason(site: ProviderSite) -> None:
    with pytest.raises(InputInvalid) as refusal:
        completed({"issuer": site.url})
    assert [*refusal.value.fields] == ["issuer"]
    assert "No document was found" in " ".join(refusal.value.fields["issuer"])
    assert refusal.value.fields["issuer"][-1] == "Give jwks_url, or the keys themselves."
    with pytest.raises(InputInvalid, match="from: The text was not recognized"):
        completed({}, "nonsense")


def test_an_issuer_is_compared_exactly(site: ProviderSite) -> None:
    issuer = site.publish("/tenant/")
    with pytest.raises(InputInvalid, match="The provider names itself "):
        completed({"issuer": issuer.rstrip("/")})


def test_keys_that_cannot_be_fetched_complete_the_input_all_the_same(site: ProviderSite) -> None:
    issuer = site.publish()
    del site.documents[JWKS]
    found = completed({"issuer": issuer})
    assert found.recognition and found.recognition.keys and found.recognition.keys.error
