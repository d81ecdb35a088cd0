"""Discovery against a real server on loopback, correct and malicious."""

import json
from contextlib import contextmanager

import pytest

from changegate.errors import JwksFetchFailed
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.discovery import Discovered, discover
from tests.support.misbehaving_jwks import misbehaving_jwks, reply

LOOPBACK = FetchPolicy(allow_loopback=True)
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
JWKS = "https://keys.example.com/jwks"
NOT_FOUND = reply(b"no", 404, content_type="text/html")


@contextmanager
def publishing(documents, path=""):
    """Serve documents by path and answer the issuer; in a document, `...` leaves a member out."""
    with misbehaving_jwks(NOT_FOUND) as server:
        issuer = server.url(path=path)

        def answer(connection, received):
            found = documents.get(received.target)
            if isinstance(found, dict):
                members = {"issuer": issuer, "jwks_uri": JWKS} | found
                body = json.dumps({name: value for name, value in members.items() if value is not ...}).encode()
                found = reply(body)
            (found or NOT_FOUND)(connection, received)

        server.answer = answer
        yield server, issuer


def failure(documents, path="", issuer=None, policy=LOOPBACK):
    with publishing(documents, path) as (_, published), pytest.raises(JwksFetchFailed) as refusal:
        discover(published if issuer is None else issuer.format(published), policy)
    assert refusal.value.message.endswith(".")
    return refusal.value.message


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", OPENID),
        ("/", OPENID),
        ("/realms/ci", f"/realms/ci{OPENID}"),
        ("/tenant/", f"/tenant{OPENID}"),
    ],
)
def test_the_values_are_read_in_one_fetch(path, asked):
    algorithms = ["ES256", "HS256", "none", "RS256"]
    with publishing({asked: {"id_token_signing_alg_values_supported": algorithms}}, path) as (server, issuer):
        found = discover(issuer, LOOPBACK)
        assert found == Discovered(issuer, JWKS, ("RS256", "ES256"), server.url(path=asked))
        assert [request.target for request in server.requests] == [asked]


@pytest.mark.parametrize(("path", "asked"), [("", OAUTH), ("/realms/ci", f"{OAUTH}/realms/ci"), ("/t/", f"{OAUTH}/t")])
def test_the_metadata_of_an_authorization_server_will_do(path, asked):
    with publishing({asked: {}}, path) as (server, issuer):
        assert discover(issuer, LOOPBACK) == Discovered(issuer, JWKS, (), server.url(path=asked))
        assert server.hits == 2


@pytest.mark.parametrize("value", [..., None, "RS256", {"RS256": 1}, [1, ["RS256"]], []])
def test_invalid_algorithms_are_ignored(value):
    with publishing({OPENID: {"id_token_signing_alg_values_supported": value}}) as (_, issuer):
        assert discover(issuer, LOOPBACK).algorithms == ()


@pytest.mark.parametrize(
    ("named", "part"),
    [
        ("https://other.example.com", "another issuer, https://other.example.com."),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "one for many tenants"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", "another issuer, \N{REPLACEMENT CHARACTER}x."),
        (None, "names no issuer"),
        (..., "names no issuer"),
        (["x"], "names no issuer"),
    ],
)
def test_a_document_about_another_issuer_is_refused(named, part):
    assert part in failure({OPENID: {"issuer": named}})


@pytest.mark.parametrize(("path", "typed"), [("/ci", "{}/"), ("/ci/", "{}/"), ("/ci", "{}?a=b"), ("/ci", "{}#f")])
def test_the_issuer_is_compared_byte_for_byte(path, typed):
    told = failure({f"/ci{OPENID}": {}, f"/ci/{OPENID}": {}}, path, typed)
    assert "differ only by a slash" in told or "query" in told or "fragment" in told


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "http://keys.example.com:70000/",
        "ftp://keys.example.com/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/jwks",
        "https://user:secret@keys.example.com/",
        "https://keys.example.com:6379/",
        "https://good.example.com\\@evil.example.com/",
        "",
    ],
)
def test_a_jwks_uri_that_may_not_be_fetched_is_refused(jwks_uri):
    assert "The jwks_uri of the document cannot be used." in failure({OPENID: {"jwks_uri": jwks_uri}})


@pytest.mark.parametrize("jwks_uri", [..., None, 7, [JWKS]])
def test_a_document_without_a_jwks_uri_is_refused(jwks_uri):
    assert failure({OPENID: {"jwks_uri": jwks_uri}}) == "The document names no jwks_uri."


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (reply(b"{}", 403), "answered with status 403."),
        (reply(b"{}", 500), "answered with status 500."),
        (reply(status=204), "answered with status 204."),
        (reply(status=304), "answered with status 304."),
        (reply(status=302, Location="https://internal.example/x"), "redirects (status 302) to internal.example"),
        (reply(b"<html>", content_type="text/html"), "answered with text/html, not with JSON"),
        (reply(content_type="text/\x85x"), "answered with text/\N{REPLACEMENT CHARACTER}x, not with JSON"),
        (reply(b"{"), "cannot be read: not JSON"),
        (reply(b'{"issuer": 1, "issuer": 2}'), "cannot be read: a member name is repeated"),
        (reply(b'{"a":' * 9 + b"1" + b"}" * 9), "cannot be read: nested deeper"),
        (reply(b"[]"), "is not a JSON object"),
        (reply(b" " * 300_000), "larger than 256 KiB"),
    ],
    ids=["403", "500", "204", "304", "redirect", "html", "disguised", "syntax", "repeated", "deep", "list", "large"],
)
def test_a_bad_response_is_reported_and_no_other_url_is_tried(answer, part):
    with publishing({OPENID: answer, OAUTH: {}}) as (server, issuer):
        with pytest.raises(JwksFetchFailed) as refusal:
            discover(issuer, LOOPBACK)
        assert part in refusal.value.message
        assert server.hits == 1


def test_the_refusal_names_both_urls_if_nothing_is_published():
    told = failure({})
    assert OPENID in told
    assert OAUTH in told
    assert "by hand" in told


@pytest.mark.parametrize(
    "issuer",
    ["accounts.google.com", "", "http://10.0.0.1", "https://10.0.0.1", "https://a b", "bot@acme.example"],
)
def test_a_url_that_must_not_be_fetched_is_refused(issuer):
    assert failure({}, issuer=issuer).startswith("Nothing is published under this issuer.")


def test_an_issuer_that_fits_no_column_is_refused():
    assert "longer than 255" in failure({}, issuer="{}/" + "a" * 255)


def test_loopback_is_closed_unless_opened():
    with publishing({OPENID: {}}) as (server, issuer):
        with pytest.raises(JwksFetchFailed):
            discover(issuer, FetchPolicy())
        assert server.connections == 0
