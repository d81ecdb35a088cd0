"""The server of a key set, or a proxy, answers too much, too slowly, or from another host."""

import gzip
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme

from changegate.errors import JwksFetchFailed
from changegate.extensions import db
from changegate.models import JwksCache
from changegate.services.keys import jwks_fetch
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.jwks_fetch import fetch_jwks
from tests.support.concurrent_calls import concurrent_calls
from tests.support.forge import b64, ed25519_key, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import Answer, after, drip, endless_chunks, hang, misbehaving_jwks, reply
from tests.support.token_desk import FORM, RFC_PATH, Integration, TokenDesk

LOOPBACK = FetchPolicy(allow_loopback=True)
DOCUMENT = key_set_document(jwk(rsa_key()))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CALLS = 50
Resolver = Callable[[str, int], list[str]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> FetchPolicy:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return FetchPolicy(allow_loopback=True, ca_file=str(path))


def tls_of(authority: trustme.CA, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=not_after).configure_cert(context)
    return context


def at(*addresses: str) -> Resolver:
    """Resolve every name to these addresses."""
    return lambda _host, _port: list(addresses)


def failure(url: str, policy: FetchPolicy = LOOPBACK, resolve: Resolver | None = None) -> str:
    with pytest.raises(JwksFetchFailed) as refusal:
        fetch_jwks(url, policy, **({"resolve": resolve} if resolve else {}))
    return refusal.value.message


@pytest.mark.regression("fetch: rebinding")
def test_a_rebinding_name_is_resolved_once_and_its_checked_address_used() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"]])
    with misbehaving_jwks(reply(DOCUMENT)) as server:
        fetch_jwks(server.url("idp.example"), LOOPBACK, resolve=lambda _host, _port: next(answers))
    assert next(answers) == ["127.0.0.2"]
    assert server.requests[0].headers["host"] == f"idp.example:{server.port}"


INTERNAL = ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "100.100.100.200", "0.0.0.0", "fd00:ec2::254"]


@pytest.mark.regression("fetch: several addresses", "CVE-2026-1180")
@pytest.mark.parametrize("bad", INTERNAL)
def test_one_bad_address_refuses_the_host(bad: str) -> None:
    with misbehaving_jwks(reply(DOCUMENT)) as server:
        for addresses in ((bad,), ("127.0.0.1", bad), (bad, "127.0.0.1")):
            assert "is not connected to" in failure(server.url("idp.example"), resolve=at(*addresses))
        assert server.connections == 0


@pytest.mark.regression("fetch: slow drip")
@pytest.mark.parametrize(
    "answer",
    [
        drip(OK + b"Content-Length: 5000\r\n\r\n", b" "),
        drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(OK + b"X: ", b"x"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        hang(),
    ],
    ids=["body", "chunks", "head", "interim answers", "silence"],
)
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_a_slow_drip_ends_at_the_deadline(
    answer: Answer, is_tls: bool, authority: trustme.CA, trusting: FetchPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_fetch, "TOTAL_SECONDS", 0.4)
    tls = tls_of(authority, "127.0.0.1") if is_tls else None
    with misbehaving_jwks(answer, tls) as server:
        told = failure(server.url(), trusting)
    assert "took longer than" in told


TOO_MUCH = {
    "gzip bomb": (reply(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"), "compressed"),
    "10 MB": (reply(b" " * 10_000_000), "256 KiB"),
    "endless chunks": (endless_chunks(), "256 KiB"),
    "endless body": (drip(OK + b"\r\n", b" " * 65536, pause=0), "256 KiB"),
    "length too long": (reply(DOCUMENT, Content_Length="5000"), "is incomplete or is not HTTP"),
    "length far too long": (reply(DOCUMENT, Content_Length="5000000"), "256 KiB"),
    "redirect loop": (reply(status=302, Location="/jwks.json"), "redirects (status 302)"),
    "304 without prior": (reply(status=304, ETag='"1"'), "304"),
}


@pytest.mark.parametrize(
    ("answer", "message"),
    [pytest.param(*case, id=name, marks=pytest.mark.regression(f"fetch: {name}")) for name, case in TOO_MUCH.items()],
)
def test_a_bad_answer_ends_the_fetch_before_the_deadline(answer: Answer, message: str) -> None:
    with misbehaving_jwks(answer) as server:
        assert message in failure(server.url())
    assert server.hits == 1


@pytest.mark.regression("fetch: bad certificate name")
def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, trusting: FetchPolicy) -> None:
    with misbehaving_jwks(reply(DOCUMENT), tls_of(authority, "other.example", "127.0.0.1")) as server:
        told = failure(server.url("idp.example"), trusting, at("127.0.0.1"))
        assert server.hits == 0
    assert told.startswith("The certificate of idp.example")


@pytest.mark.regression("fetch: expired certificate")
def test_an_expired_certificate_is_refused(authority: trustme.CA, trusting: FetchPolicy) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with misbehaving_jwks(reply(DOCUMENT), tls_of(authority, "idp.example", not_after=yesterday)) as server:
        assert "expired" in failure(server.url("idp.example"), trusting, at("127.0.0.1"))
        assert server.hits == 0


@pytest.mark.regression("fetch: netrc", "fetch: HTTP_PROXY")
def test_nothing_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password secret\ndefault login admin password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("NO_PROXY", "")
    with misbehaving_jwks(reply(DOCUMENT)) as server, misbehaving_jwks(reply(status=500)) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(path=""))
            monkeypatch.setenv(name.lower(), proxy.url(path=""))
        assert fetch_jwks(server.url(), LOOPBACK).status == 200
        assert proxy.connections == 0
    assert not {"authorization", "cookie", "proxy-authorization"} & server.requests[0].headers.keys()


@pytest.mark.regression("fetch: ETag 304")
def test_asks_conditionally_and_takes_304() -> None:
    with misbehaving_jwks(reply(status=304, ETag='"1"')) as server:
        document = fetch_jwks(server.url(), LOOPBACK, etag='"1"', last_modified="Thu, 01 Jan 2026 00:00:00 GMT")
    assert (document.status, document.body) == (304, b"")
    asked = server.requests[0].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"1"', "Thu, 01 Jan 2026 00:00:00 GMT")


SHORTEST, LONGEST = timedelta(minutes=1), timedelta(minutes=60)


@pytest.mark.regression("fetch: max-age")
@pytest.mark.parametrize(
    ("headers", "fresh_for"),
    [
        ({"Cache_Control": "max-age=0"}, SHORTEST),
        ({"Cache_Control": "max-age=-1"}, SHORTEST),
        ({"Cache_Control": "max-age=soon"}, SHORTEST),
        ({"Cache_Control": "max-age=300", "Age": "301"}, SHORTEST),
        ({"Cache_Control": "no-store"}, SHORTEST),
        ({"Cache_Control": "max-age=300", "Age": "100"}, timedelta(seconds=200)),
        ({"Cache_Control": "max-age=1000000000000"}, LONGEST),
        ({}, LONGEST),
    ],
)
def test_keys_are_fresh_for_as_long_as_is_reasonable(
    desk: TokenDesk, integration: Integration, headers: dict[str, str], fresh_for: timedelta
) -> None:
    desk.jwks.answer = reply(DOCUMENT, **headers)
    desk.token(integration)
    with desk.app.app_context():
        [row] = db.session.query(JwksCache).all()
        assert row.fresh_until - row.fetched_at == fresh_for


KEY = json.dumps(jwk(rsa_key())).encode()
BAD_DOCUMENTS = {
    "charset bom": (b"\xef\xbb\xbf" + DOCUMENT, "byte order mark"),
    "duplicate keys member": (b'{"keys": [], "keys": [' + KEY + b"]}", "repeated"),
    "101 keys": (key_set_document(*[jwk(rsa_key(), str(number)) for number in range(101)]), "101 members"),
    "key with d": (key_set_document(jwk(rsa_key(), d="AQAB")), "private key (d)"),
    "oct key": (key_set_document({"kty": "oct", "kid": "k1", "k": b64(b"s" * 32)}), "shared secret"),
    "Ed25519 all-zero key": (key_set_document(jwk(ed25519_key(), x=b64(bytes(32)))), "low order"),
}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.regression(f"fetch: {name}"))
        for name, case in BAD_DOCUMENTS.items()
    ],
)
def test_an_invalid_key_set_is_refused_and_reported(
    desk: TokenDesk, integration: Integration, document: bytes, message: str
) -> None:
    desk.jwks.answer = reply(document)

    assert desk.exchange(integration).status_code == 503
    assert desk.last_event().reason == "jwks_fetch_failed"
    assert message in desk.last_event().detail


@pytest.mark.regression("fetch: thundering herd")
def test_fifty_first_requests_are_one_fetch(desk: TokenDesk, integration: Integration) -> None:
    desk.jwks.answer = after(0.3, reply(DOCUMENT))
    forms = [urlencode(desk.form(integration)) for _ in range(CALLS)]

    def send(form: str) -> int:
        return desk.app.test_client().post(RFC_PATH, data=form, content_type=FORM).status_code

    with concurrent_calls(CALLS) as pool:
        assert list(pool.map(send, forms)) == [200] * CALLS
    assert desk.jwks.hits == 1
