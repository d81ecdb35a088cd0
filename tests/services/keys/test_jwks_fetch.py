"""Fetching key sets; the attacks are in tests/regressions/test_fetch.py."""

import errno
import socket
import ssl
import threading
import time
from datetime import timedelta
from ipaddress import ip_network
from unittest import mock

import pytest
import trustme

from changegate.errors import JwksFetchFailed
from changegate.services.keys import guarded_connection, jwks_fetch
from changegate.services.keys.jwks_fetch import FetchPolicy, fetch_jwks
from tests.support import misbehaving_jwks as badly
from tests.support.forge import jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import misbehaving_jwks, reply

LOOPBACK = FetchPolicy(allow_loopback=True)
DOCUMENT = key_set_document(jwk(rsa_key()))
GOOD = reply(DOCUMENT)
INCOMPLETE = "is incomplete or is not HTTP"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def server():
    with misbehaving_jwks(GOOD) as running:
        yield running


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return FetchPolicy(allow_loopback=True, ca_file=str(path))


@pytest.fixture
def hurried(monkeypatch):
    """Let the deadline be one that a test can wait for."""
    monkeypatch.setattr(jwks_fetch, "TOTAL_SECONDS", 0.8)


def tls_of(authority, *names, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def at(*addresses):
    """Resolve every name to these addresses."""
    return lambda _host, _port: list(addresses)


def failure(url, policy=LOOPBACK, **options):
    with pytest.raises(JwksFetchFailed) as refusal:
        fetch_jwks(url, policy, **options)
    return refusal.value.message


def test_fetches_a_key_set(server):
    server.answer = reply(DOCUMENT, Cache_Control="max-age=60", ETag='"1"', Last_Modified="Thu, 01 Jan 2026")
    document = fetch_jwks(server.url(), LOOPBACK)
    assert (document.status, document.body, document.content_type) == (200, DOCUMENT, "application/json")
    assert (document.etag, document.last_modified) == ('"1"', "Thu, 01 Jan 2026")
    assert (document.max_age, document.warnings) == (timedelta(seconds=60), ())


def test_sends_the_documented_request_headers(server):
    fetch_jwks(server.url(path="/a?b=c"), LOOPBACK)
    (asked,) = server.requests
    assert asked.target == "/a?b=c"
    assert asked.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "application/jwk-set+json, application/json",
        "accept-encoding": "identity",
        "user-agent": "changegate",
        "connection": "close",
    }


def test_reads_chunks(server):
    server.answer = badly.raw(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert fetch_jwks(server.url(), LOOPBACK).body == b"{}"


BAD_ANSWERS = {
    "one huge chunk": (
        badly.raw(OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n" + b" " * 400_000),
        "256",
    ),
    "chunk not a number": (badly.raw(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), INCOMPLETE),
    "two lengths": (
        badly.raw(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        f"{INCOMPLETE}|failed",
    ),
    "no HTTP": (badly.raw(b"SSH-2.0-OpenSSH\r\n"), INCOMPLETE),
    "nothing": (badly.raw(b""), INCOMPLETE),
    "head too long": (badly.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), INCOMPLETE),
    "too many headers": (badly.raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 500 + b"\r\n"), INCOMPLETE),
    "status not a number": (badly.raw(b"HTTP/1.1 abc OK\r\n\r\n"), INCOMPLETE),
    "web page": (reply(b"<html>", content_type="text/html"), "not with JSON"),
    "error": (reply(b"{}", 503), "status 503"),
}


@pytest.mark.parametrize(("answer", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_response_is_a_failure_with_a_sentence(server, answer, message):
    server.answer = answer
    told = failure(server.url())
    assert any(part in told for part in message.split("|"))
    assert told.endswith(".")


def test_a_handshake_that_never_comes_ends_at_the_deadline(hurried):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert "took longer than" in told


def test_a_resolver_that_never_answers_ends_at_the_deadline(hurried):
    given_up = threading.Event()

    def resolve(_host, _port):
        given_up.wait(5)
        return ["127.0.0.1"]

    told = failure("https://idp.example/", resolve=resolve)
    given_up.set()
    assert "could not be resolved in time" in told


def test_a_read_may_not_pause_for_long(server, monkeypatch):
    monkeypatch.setattr(jwks_fetch, "READ_SECONDS", 0.2)
    server.answer = badly.hang()
    told = failure(server.url())
    assert told == f"The server {server.url().split('/')[2]} did not answer in time."


def test_a_server_that_is_down_is_named_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    assert failure(f"http://{host}/") == (
        f"Could not connect to the server {host}: it refused the connection. Check the host and port, and whether the "
        "provider's server is running and can be reached from here."
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EHOSTUNREACH, "there is no route to it"),
        (errno.ENETUNREACH, "there is no route to it"),
        (errno.EPERM, "the connection failed"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_terms_of_a_library(monkeypatch, number, reason):
    monkeypatch.setattr(socket.socket, "connect", mock.Mock(side_effect=OSError(number, "no")))
    told = failure("http://127.0.0.1:8443/")
    assert told.startswith(f"Could not connect to the server 127.0.0.1:8443: {reason}. Check the host and port")


def test_fetches_of_a_search_share_one_deadline(server):
    told = failure(server.url(), deadline=time.monotonic())
    assert told == f"The search ended after 8 seconds, before the server {server.url().split('/')[2]} had answered."
    assert server.hits == 0


@pytest.mark.parametrize("problem", [OSError, UnicodeError])
def test_a_name_that_does_not_resolve_is_reported(problem):
    def resolve(_host, _port):
        raise problem

    assert "idp.example could not be resolved" in failure("https://idp.example/", resolve=resolve)


@pytest.mark.parametrize("addresses", [(), ("nonsense",), ("127.0.0.1", "nonsense")])
def test_a_name_without_usable_addresses_is_reported(addresses):
    assert "no address that can be used" in failure("https://idp.example/", resolve=at(*addresses))


def test_http_goes_to_loopback_only():
    assert "http is for this machine only" in failure("http://idp.example:8081/", resolve=at("8.8.8.8"))


def test_http_to_a_named_network_is_refused_too():
    policy = FetchPolicy(allow_loopback=True, allowed_networks=(ip_network("10.0.0.0/8"),))
    assert "http is for this machine only" in failure("http://idp.example:8081/", policy, resolve=at("10.0.0.1"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://localhost:{port}/"])
def test_loopback_is_closed_unless_opened(server, url):
    failure(url.format(port=server.port), FetchPolicy())
    assert server.connections == 0


def test_addresses_are_tried_in_order(server):
    document = fetch_jwks(server.url("idp.example"), LOOPBACK, resolve=at("127.0.0.2", "127.0.0.1"))
    assert document.status == 200


def test_the_system_resolver_lists_each_address_once():
    assert guarded_connection.resolve_host("localhost", 443).count("127.0.0.1") == 1


def test_tls_asks_for_and_checks_the_name_in_the_url(authority, trusting):
    context, asked = tls_of(authority, "idp.example"), []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with misbehaving_jwks(GOOD, context) as server:
        assert fetch_jwks(server.url("idp.example"), trusting, resolve=at("127.0.0.1")).body == DOCUMENT
    assert asked == ["idp.example"]


def test_tls_checks_an_address_in_the_url(authority, trusting):
    with misbehaving_jwks(GOOD, tls_of(authority, "127.0.0.1")) as server:
        assert fetch_jwks(server.url(), trusting).body == DOCUMENT


def test_an_unknown_authority_is_refused(trusting):
    with misbehaving_jwks(GOOD, tls_of(trustme.CA(), "idp.example")) as server:
        assert "The certificate of" in failure(server.url("idp.example"), trusting, resolve=at("127.0.0.1"))


def test_old_tls_is_refused(authority, trusting):
    context = tls_of(authority, "127.0.0.1")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with misbehaving_jwks(GOOD, context) as server:
        assert "No TLS connection" in failure(server.url(), trusting)


def test_plain_http_behind_https_is_reported(server):
    url = server.url().replace("http:", "https:")
    assert "No TLS connection" in failure(url)


def test_cookies_are_not_kept(server):
    server.answer = reply(DOCUMENT, Set_Cookie="session=1")
    for _ in range(2):
        fetch_jwks(server.url(), LOOPBACK)
    assert "cookie" not in server.requests[1].headers


def test_an_exception_of_a_library_is_a_failure(server, monkeypatch):
    def fall_over(*_arguments, **_options):
        raise RuntimeError("inner detail")

    monkeypatch.setattr(jwks_fetch, "read_answer", fall_over)
    assert failure(server.url()) == f"Fetching from 127.0.0.1:{server.port} failed (RuntimeError)."
