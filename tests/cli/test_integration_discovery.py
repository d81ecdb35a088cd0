"""`changegate integration create` with only an issuer, a JWKS URL, or a token."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.provider_site import JWKS, ProviderSite

CREATE = ("integration", "create", "--run-as", "admin", "--public", "--json")


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def test_an_issuer_is_enough(run: Run, site: ProviderSite) -> None:
    issuer = site.publish()
    made = run(*CREATE, "--issuer", issuer)
    assert made.code == 0, made.err
    shown = json.loads(made.out)
    assert (shown["issuer"], shown["jwks_url"]) == (issuer, site.url + JWKS)
    assert shown["name"] == issuer.removeprefix("http://")
    assert f"This is the issuer {issuer}. Its keys are at {site.url}{JWKS}." in made.err
    assert "2 usable keys: ES256, " in made.err


def test_a_token_from_a_file_is_enough_and_is_shown_nowhere(run: Run, site: ProviderSite, tmp_path: Path) -> None:
    token = site.sign(site.publish(), aud="https://desk.example.com")
    file = tmp_path / "token.txt"
    file.write_text(f"Bearer {token}\n")
    made = run(*CREATE, "--from", str(file))
    assert made.code == 0, made.err
    assert json.loads(made.out)["audiences"] == ["https://desk.example.com"]
    assert "The token was signed by one of these keys." in made.err
    for segment in token.split("."):
        assert segment not in made.out + made.err


def test_a_token_of_another_signer_and_missing_keys_are_warnings(run: Run, site: ProviderSite, tmp_path: Path) -> None:
    issuer = site.publish()
    file = tmp_path / "token.txt"
    file.write_text(site.sign(issuer, key="another"))
    assert "! The signature could not be verified" in run(*CREATE, "--from", str(file)).err
    del site.documents[JWKS]
    assert "! Its keys have never been fetched (1 attempt)" in run(*CREATE, "--issuer", issuer).err


def test_what_leads_nowhere_is_refused(run: Run, site: ProviderSite, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text('{"kty": "EC", "d": "c2VjcmV0"}')
    refused = run(*CREATE, "--from", str(file))
    assert refused.code != 0
    assert "This is a private key." in refused.err
    assert "c2VjcmV0" not in refused.out + refused.err
    assert run(*CREATE, "--issuer", site.url).code != 0
