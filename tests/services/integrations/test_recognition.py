"""Recognition of pasted text, against a real site on loopback."""

import json
import logging
from datetime import timedelta
from unittest import mock

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask

from changegate.errors import JwksFetchFailed
from changegate.private_keys import LEAKED
from changegate.schemas import presets
from changegate.services.integrations import pasted_text, provider_search
from changegate.services.integrations.pasted_text import MAX_PASTED_LENGTH, classify
from changegate.services.integrations.recognition import SIGNED, Recognition, host_of_issuer, recognize_pasted
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.fetches import Fetches
from changegate.services.keys.jwks_fetch import FetchedDocument
from changegate.services.keys.key_store import KeyStore, key_store
from tests.support.certificates import certificate, pem
from tests.support.forge import ec_key, forge, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import reply
from tests.support.provider_site import JWKS, OAUTH, OPENID, ProviderSite

pytestmark = pytest.mark.usefixtures("app_context")
GITHUB = "https://token.actions.githubusercontent.com"
TENANT = "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90"


def recognized(text: str, store: KeyStore | None = None) -> Recognition:
    """Return what a text is, with the catalog of the presets."""
    return recognize_pasted(text, store or key_store(), presets)


def unreachable(app: Flask) -> KeyStore:
    """Return a key store from which no host but loopback can be reached, as where there is no network."""
    store = KeyStore(FetchPolicy(), timedelta(seconds=30), app.config["CLOCK"])
    fetches = mock.Mock(Fetches, is_over=False)
    for name in ("discover", "discover_at", "fetch_document", "probe"):
        getattr(fetches, name).side_effect = JwksFetchFailed("The server could not be reached.")
    store.search = lambda _name, look: look(fetches)  # type: ignore[method-assign]
    return store


@pytest.mark.parametrize("is_token", [True, False])
def test_keys_that_a_provider_does_not_publish_have_a_remedy(app: Flask, is_token: bool) -> None:
    issuer = "https://kubernetes.default.svc.cluster.local"
    found = recognized(forge(None, {"iss": issuer}) if is_token else issuer, unreachable(app))
    assert (found.fields["preset"], found.provider) == ("kubernetes", "Kubernetes")
    assert "kubectl get --raw /openid/v1/jwks" in found.problems[-1]
    assert found.has_keys is False


@pytest.mark.parametrize(
    "issuer",
    [
        "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        "https://container.googleapis.com/v1/projects/shop/locations/europe-west1/clusters/main",
        f"https://westeurope.oic.prod-aks.azure.com/{TENANT}/{TENANT}/",
    ],
)
def test_clusters_whose_keys_are_public_get_no_advice_to_paste_them(app: Flask, issuer: str) -> None:
    found = recognized(issuer, unreachable(app))
    assert found.fields["preset"] == "kubernetes"
    assert not [problem for problem in found.problems if "kubectl" in problem]


def test_a_jwks_url_leads_to_the_discovery_document_beside_it(site: ProviderSite) -> None:
    issuer = site.publish()
    found = recognized(f"  {site.url}{JWKS}\n")
    assert found.kind == "jwks_url"
    assert found.sentence == f"This is the JWKS URL of the issuer {issuer} ({issuer}{OPENID})."
    assert found.fields == {"key_source": "jwks_url", "jwks_url": site.url + JWKS, "issuer": issuer}
    assert found.keys
    assert (found.keys.usable, found.keys.error) == (2, None)
    assert {"RS256", "ES256"} <= {*found.keys.algorithms}
    assert found.problems == ()
    assert site.asked == [JWKS, OPENID]


@pytest.mark.parametrize(
    ("path", "jwks"),
    [
        ("", "/oauth/discovery/keys"),
        ("/realms/shop", "/realms/shop/protocol/openid-connect/certs"),
        ("/id/cluster-1", "/id/cluster-1/openid/v1/jwks"),
        ("/tenant/v2.0", "/tenant/v2.0/keys"),
        ("/tenant/", "/tenant/.well-known/jwks.json"),
        ("/a/b", "/a/b/.well-known/keys/jwks.json"),
    ],
)
def test_the_issuer_is_found_up_the_path_of_its_keys(site: ProviderSite, path: str, jwks: str) -> None:
    issuer = site.publish(path, jwks)
    found = recognized(site.url + jwks)
    assert found.fields["issuer"] == issuer
    assert len(site.asked) <= provider_search.MOST_PLACES + 1


def test_a_discovery_document_that_names_other_keys_is_not_the_one(site: ProviderSite) -> None:
    site.publish()
    site.documents["/mine/keys"] = site.documents[JWKS]
    found = recognized(f"{site.url}/mine/keys")
    assert found.kind == "jwks_url"
    assert "issuer" not in found.fields
    assert found.problems == ("The issuer is unknown. Enter the iss of the provider's tokens.",)
    assert found.keys
    assert found.keys.usable == 2


def test_a_document_for_the_issuer_of_another_site_is_not_the_one(site: ProviderSite) -> None:
    site.publish(issuer=GITHUB)
    assert "issuer" not in recognized(site.url + JWKS).fields
    found = recognized(site.url + OPENID)
    assert found.problems == (
        f"The document is about the issuer {GITHUB}, which publishes elsewhere. Paste that issuer if you trust it.",
    )
    assert not found.is_usable


@pytest.mark.parametrize(
    ("jwks_url", "issuer"),
    [
        (f"{GITHUB}/.well-known/jwks", GITHUB),
        (f"{GITHUB}/acme-inc/.well-known/jwks", f"{GITHUB}/acme-inc"),
        ("https://gitlab.com/oauth/discovery/keys", "https://gitlab.com"),
        (
            f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys",
            f"https://login.microsoftonline.com/{TENANT}/v2.0",
        ),
        (f"https://login.microsoftonline.com/{TENANT}/discovery/keys", f"https://sts.windows.net/{TENANT}/"),
        ("https://acme.eu.auth0.com/.well-known/jwks.json", "https://acme.eu.auth0.com/"),
        ("https://sso.example.com/realms/shop/protocol/openid-connect/certs", "https://sso.example.com/realms/shop"),
        ("https://www.googleapis.com/oauth2/v3/certs", "https://accounts.google.com"),
        ("https://acme.okta.com/oauth2/default/v1/keys", "https://acme.okta.com/oauth2/default"),
    ],
)
def test_presets_recognize_their_jwks_urls(jwks_url: str, issuer: str) -> None:
    assert issuer in presets.list_issuers_of(jwks_url)
    assert presets.list_issuers_of("x" * 3000) == ()


@pytest.mark.parametrize("path", ["", "/realms/shop", "/tenant/"])
def test_an_issuer_leads_to_its_keys(site: ProviderSite, path: str) -> None:
    issuer = site.publish(path)
    found = recognized(issuer)
    assert found.kind == "issuer"
    assert found.sentence == f"This is the issuer {issuer}. Its keys are at {site.url}{JWKS}."
    assert found.fields == {"key_source": "jwks_url", "jwks_url": site.url + JWKS, "issuer": issuer}
    assert found.problems == ()


def test_the_discovery_document_decides_about_the_slash_at_the_end_of_an_issuer(site: ProviderSite) -> None:
    issuer = site.publish("/tenant/")
    assert recognized(issuer.rstrip("/")).fields["issuer"] == issuer


@pytest.mark.parametrize("well_known", [OPENID, OAUTH])
def test_a_discovery_url_leads_to_issuer_and_keys(site: ProviderSite, well_known: str) -> None:
    issuer = site.publish()
    site.documents[well_known] = site.documents[OPENID]
    found = recognized(issuer + well_known)
    assert found.kind == "discovery_url"
    assert found.sentence == (
        f"This is the discovery document of the issuer {issuer}. Its keys are at {site.url}{JWKS}."
    )
    assert found.fields["issuer"] == issuer
    assert found.keys
    assert found.keys.usable == 2


def test_a_discovery_document_at_another_url_leads_to_the_issuer_that_it_names(site: ProviderSite) -> None:
    issuer = site.publish()
    site.documents["/metadata"] = site.documents[OPENID]
    found = recognized(f"{site.url}/metadata")
    assert found.kind == "discovery_url"
    assert found.fields["issuer"] == issuer


def test_a_pasted_discovery_document_is_compared_with_the_published_one(site: ProviderSite) -> None:
    issuer = site.publish()
    found = recognized(site.documents[OPENID].decode())
    assert found.sentence == f"This is a discovery document. Its keys are at {site.url}{JWKS}."
    assert found.problems == ()
    other = json.dumps({"issuer": issuer, "jwks_uri": "https://evil.example/keys"})
    found = recognized(other)
    assert found.fields["jwks_url"] == site.url + JWKS
    assert "evil.example" in found.problems[0]
    assert recognized('{"jwks_uri": "https://idp.example.com/keys"}').problems == ("The document names no issuer.",)


def test_a_pasted_discovery_document_that_is_not_published_is_accepted_with_a_problem(site: ProviderSite) -> None:
    site.publish()
    del site.documents[OPENID]
    found = recognized(json.dumps({"issuer": site.url, "jwks_uri": site.url + JWKS}))
    assert found.fields["jwks_url"] == site.url + JWKS
    assert "No document was found" in found.problems[0]


@pytest.mark.parametrize("document", [key_set_document(jwk(rsa_key())).decode(), json.dumps(jwk(rsa_key()))])
def test_a_pasted_key_set_or_key_is_the_source_of_keys(document: str) -> None:
    found = recognized(document)
    assert found.kind == "key_set"
    assert found.fields["key_source"] == "jwks"
    assert json.loads(found.fields["jwks"])["keys"][0]["kid"] == "k1"
    assert found.keys
    assert found.keys.usable == 1
    assert "iss of the provider" in found.problems[0]


def test_a_key_set_without_a_usable_key_is_a_problem_of_the_keys() -> None:
    found = recognized('{"keys": []}')
    assert found.keys
    assert found.keys.error == "The key set is empty."


def test_a_public_key_in_pem_becomes_a_key_set() -> None:
    text = ec_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    found = recognized(text)
    assert found.kind == "public_key"
    assert json.loads(found.fields["jwks"])["keys"][0]["kty"] == "EC"
    assert found.keys
    assert found.keys.algorithms == ("ES256",)
    broken = recognized("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
    assert broken.problems == ("The key cannot be used: it is not a public key in PEM.",)
    assert not broken.is_usable


def test_a_certificate_becomes_a_verifier_map() -> None:
    found = recognized(pem(certificate(rsa_key())))
    assert found.kind == "certificate"
    assert found.fields["key_source"] == "certificates"
    assert found.fields["verifier_maps"][0]["certificate"].startswith("-----BEGIN CERTIFICATE")
    assert found.keys
    assert found.keys.usable == 1
    broken = recognized("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    assert not broken.is_usable
    assert broken.problems == ("This is not a certificate in PEM, nor one in DER as base64.",)


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "Bearer {}",
        "Authorization: bearer {}",
        '"{}"',
        "\N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}\n",
        "Bearer {broken}",
        '{{"value": "{}"}}',
        '{{"access_token": "{}", "token_type": "Bearer"}}',
    ],
)
def test_a_token_is_recognized_however_it_was_copied(site: ProviderSite, written: str) -> None:
    issuer = site.publish()
    token = site.sign(issuer, aud=["https://desk.example.com"], repository="acme/shop")
    found = recognized(written.format(token, broken=token[:40] + "\r\n  " + token[40:]))
    assert found.kind == "token"
    assert found.fields == {"key_source": "jwks_url", "jwks_url": site.url + JWKS, "issuer": issuer}
    assert found.audiences == ("https://desk.example.com",)
    assert found.subject == "repo:shop"
    assert found.claims["repository"] == "acme/shop"
    assert found.signature == SIGNED


def test_the_result_never_has_the_token(site: ProviderSite, caplog: pytest.LogCaptureFixture) -> None:
    issuer = site.publish()
    token = site.sign(issuer)
    with caplog.at_level(logging.DEBUG):
        found = recognized(token)
        del site.documents[OPENID]
        failed = recognized(token)
    kept = "".join(repr(getattr(result, name)) for result in (found, failed) for name in Recognition.__slots__)
    for part in token.split("."):
        assert part not in kept
        assert part not in caplog.text
        assert part not in repr(found)
        assert not [request for request in site.server.requests if part in repr(request)]


def test_a_token_signed_by_another_key_is_not_verified(site: ProviderSite) -> None:
    issuer = site.publish()
    found = recognized(site.sign(issuer, key="another"))
    assert found.signature.startswith("The signature could not be verified: ")
    unknown = recognized(site.sign(issuer, {"kid": "new"}))
    assert unknown.signature.startswith("The signature could not be verified: ")
    assert recognized(site.sign(issuer, {"alg": "none"})).signature != SIGNED
    assert recognized(site.sign(issuer, {"alg": "HS256"})).signature != SIGNED


def test_keys_in_the_header_of_a_token_are_never_used(site: ProviderSite) -> None:
    issuer = site.publish()
    mine = jwk(rsa_key("attacker"), "rsa-1")
    header = {"jwk": mine, "jku": f"{site.url}/attacker", "x5u": f"{site.url}/attacker"}
    found = recognized(site.sign(issuer, header, key="attacker"))
    assert found.signature != SIGNED
    assert "/attacker" not in site.asked


def test_a_token_brings_the_rules_that_it_needs(site: ProviderSite) -> None:
    issuer = site.publish()
    token = site.sign(issuer, {"typ": "at+jwt", "alg": "PS256"}, jti=..., exp=9_000_000_000, iat=9_000_000_000 - 7200)
    found = recognized(token)
    assert found.fields["required_typ"] == "at+jwt"
    assert found.fields["replay_policy"] == "once-if-present"
    assert found.fields["max_assertion_lifetime_seconds"] == 7200
    assert found.fields["algorithms"] == ["RS256", "ES256", "PS256"]


def test_a_token_without_an_issuer_leads_nowhere(site: ProviderSite) -> None:
    site.publish()
    assert recognized(site.sign("", iss=...)).problems == ("The token names no issuer (iss).",)
    assert recognized(site.sign("", iss=7)).problems == ("The token names no issuer (iss).",)
    assert site.asked == []


def test_a_shared_issuer_is_recognized_by_its_preset_even_if_it_cannot_be_reached(app: Flask) -> None:
    claims = {"iss": GITHUB, "sub": "repo:acme/shop:ref:refs/heads/main", "aud": "x", "repository_id": "42"}
    found = recognized(forge(None, claims), unreachable(app))
    assert found.fields["issuer"] == GITHUB
    assert found.fields["preset"] == "github-actions"
    assert found.fields["jwks_url"] == f"{GITHUB}/.well-known/jwks"
    assert found.provider == "GitHub Actions"
    assert found.problems == ("The server could not be reached.",)
    assert found.keys
    assert found.keys.error == "The server could not be reached."
    assert found.signature == "The signature was not verified, since there are no keys."


@pytest.mark.parametrize(
    ("url", "issuer", "preset"),
    [
        (f"{GITHUB}/.well-known/jwks", GITHUB, "github-actions"),
        ("https://gitlab.com/oauth/discovery/keys", "https://gitlab.com", "gitlab"),
        (
            f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys",
            f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "entra-id",
        ),
    ],
)
def test_the_jwks_url_of_a_preset_is_known_even_if_it_cannot_be_reached(
    app: Flask, url: str, issuer: str, preset: str
) -> None:
    found = recognized(url, unreachable(app))
    assert found.kind == "jwks_url"
    assert found.fields == {"key_source": "jwks_url", "jwks_url": url, "issuer": issuer, "preset": preset}
    assert found.sentence == f"This is the JWKS URL that the provider documents for the issuer {issuer}."
    assert found.keys
    assert found.keys.error == "The server could not be reached."


@pytest.mark.parametrize(
    "issuer", ["https://login.microsoftonline.com/common/v2.0", "kubernetes/serviceaccount", "https://acme.okta.com"]
)
def test_issuers_that_cannot_be_trusted_are_refused_without_a_fetch(issuer: str) -> None:
    found = recognized(forge(None, {"iss": issuer, "sub": "x"}))
    assert found.problems == (presets.find_refusal(issuer, None),)
    assert "jwks_url" not in found.fields


@pytest.mark.parametrize(
    "issuer",
    [
        *("http://169.254.169.254/latest", "https://10.0.0.1", "https://[::1]:22", "file:///etc/passwd"),
        *("https://user:secret@idp.example.com", "gopher://127.0.0.1:6379/_FLUSHALL", "https://idp\x00.example.com"),
        *("https://0x7f.1/", "ftp://idp.example.com", "javascript:alert(1)"),
    ],
)
def test_a_token_makes_the_server_fetch_nothing_that_the_guard_refuses(issuer: str, site: ProviderSite) -> None:
    for text in (forge(None, {"iss": issuer, "sub": "x"}), issuer):
        found = recognized(text)
        assert found.keys is None
        assert "jwks_url" not in found.fields
        assert found.problems
    document = json.dumps({"issuer": "https://[", "jwks_uri": issuer})
    inner = recognized(document)
    assert inner.keys is None or inner.keys.error
    assert site.asked == []


def test_loopback_is_refused_unless_it_is_allowed(site: ProviderSite, app: Flask) -> None:
    site.publish()
    strict = KeyStore(FetchPolicy(), timedelta(seconds=30), app.config["CLOCK"])
    for text in (site.url, site.url + JWKS, site.url + OPENID, site.sign(site.url)):
        assert recognized(text, strict).keys is None
    assert site.asked == []


@pytest.mark.parametrize(
    "key",
    [
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        json.dumps({"kty": "EC", "crv": "P-256", "d": "secret"}),
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}',
    ],
)
def test_a_private_key_is_leaked(key: str) -> None:
    found = recognized(key)
    assert (found.kind, found.sentence) == ("private_key", LEAKED)
    assert not found.is_usable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Paste a JWKS URL"),
        (" \n ", "Paste a JWKS URL"),
        ("hello world", "blanks within it"),
        ("hello", "not recognized"),
        ("x" * (MAX_PASTED_LENGTH + 1), "longer than"),
        ("[" * 50_000, "cannot be read: more than 10000 objects and lists"),
        ('{"a":' * 5_000, "cannot be read: nested deeper"),
        ("[1]", "a JSON list"),
        ('{"name": "x"}', "neither a key set"),
        ('{"keys": [', "cannot be read: not JSON"),
        ("eyJhbGciOiJub25lIn0.e30.a.b.c", "encrypted token"),
        ("eyJhbGciOiJub25lIn0.e30", "2 segments"),
        ("." * 60_000, "not recognized"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAA\n-----END CERTIFICATE REQUEST-----", "neither a public key"),
        ("\x00\ud800", "not recognized"),
    ],
)
def test_anything_else_says_what_to_paste_and_never_what_was_pasted(text: str, words: str) -> None:
    found = recognized(text)
    assert found.kind == "unknown"
    assert words in found.sentence
    assert not found.is_usable
    assert "hello" not in found.sentence


@pytest.mark.parametrize("segments", ["eyJ.eyJ.eyJ", "eyJhbGciOiJub25lIn0..", "eyJ" + "a" * 20_000 + ".e30.AA"])
def test_a_broken_token_is_explained(segments: str) -> None:
    found = recognized(segments)
    assert found.kind == "token"
    assert found.problems[0].startswith("The token cannot be read: ")


def test_a_payload_that_is_no_object_is_explained() -> None:
    assert "payload is not a JSON object" in recognized(forge(None, b"[1]")).problems[0]
    assert "payload is not a JSON object" in recognized(forge(None, b'{"a":' * 1000)).problems[0]


def test_a_host_name_gets_its_scheme(app: Flask) -> None:
    assert classify("idp.example.com/realms/x").kind == pasted_text.HOST
    found = recognized("idp.example.com", unreachable(app))
    assert found.sentence == "This has no https://, which was added. This is a URL, but it leads to no keys."
    assert found.problems


def test_a_site_without_keys_is_reported_with_its_response(site: ProviderSite) -> None:
    found = recognized(f"{site.url}/jwks.json")
    assert found.sentence == "This is a URL, but it leads to no keys."
    assert "The server answered with status 404 instead of a key set." in found.problems
    site.server.answer = reply(b"<html>", content_type="text/html")
    assert "text/html" in recognized(f"{site.url}/jwks.json").problems[0]


def test_keys_that_cannot_be_fetched_are_an_error_of_the_test(site: ProviderSite) -> None:
    issuer = site.publish()
    del site.documents[JWKS]
    found = recognized(issuer)
    assert found.keys
    assert found.keys.error == "The server answered with status 404 instead of a key set."
    assert found.fields["jwks_url"] == site.url + JWKS


def test_the_search_beside_a_jwks_url_is_bounded(site: ProviderSite, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/a" * 40 + "/keys"
    site.documents[path] = key_set_document(jwk(rsa_key()))
    recognized(site.url + path)
    assert len(site.asked) == provider_search.MOST_PLACES + 1
    monkeypatch.setattr(Fetches, "is_over", True)
    before = len(site.asked)
    recognized(site.url + path)
    assert len(site.asked) == before + 1


@pytest.mark.parametrize(
    ("issuer", "host"),
    [
        ("https://idp.example.com/realms/x", "idp.example.com"),
        ("https://idp.example.com:8443", "idp.example.com:8443"),
        ("https://idp.example.com:443/", "idp.example.com"),
        ("https://github.com@evil.example/", "evil.example"),
        ("https://idp.example.com:port", ""),
        ("https://[", ""),
        ("shop", ""),
    ],
)
def test_the_host_of_an_issuer_is_plain(issuer: str, host: str) -> None:
    assert host_of_issuer(issuer) == host


def test_other_json_and_text_are_not_recognized(site: ProviderSite) -> None:
    for body in (b'{"hello": "world"}', b"hello", b"[1]"):
        site.documents["/x"] = body
        assert not recognized(f"{site.url}/x").is_usable


def test_keys_of_a_preset_are_known_without_a_discovery_document(monkeypatch: pytest.MonkeyPatch) -> None:
    document = FetchedDocument(200, key_set_document(jwk(rsa_key())))
    monkeypatch.setattr(Fetches, "fetch_document", mock.Mock(return_value=document))
    monkeypatch.setattr(Fetches, "discover_at", mock.Mock(side_effect=JwksFetchFailed("Not found.")))
    found = recognized("https://gitlab.com/oauth/discovery/keys")
    assert (found.fields["issuer"], found.fields["preset"]) == ("https://gitlab.com", "gitlab")
    assert found.keys
    assert found.keys.usable == 1


@pytest.mark.parametrize("end", ["?tenant=1", "#x"])
def test_an_issuer_with_a_query_or_fragment_gets_no_second_try(site: ProviderSite, end: str) -> None:
    site.publish()
    assert not recognized(f"{site.url}{end}").is_usable


def test_a_token_keeps_its_own_spelling_of_the_issuer(site: ProviderSite) -> None:
    issuer = site.publish("/tenant/")
    found = recognized(site.sign(issuer.rstrip("/")))
    assert found.fields["issuer"] == issuer.rstrip("/")
    assert found.signature == SIGNED
