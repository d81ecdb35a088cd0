"""Whatever is sent: an answer in the usual shape, never a fault of ours, and never more than 50 ms of the processor."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.errors import JwksUnusable
from changegate.services.keys.jwks_answer import MAX_DOCUMENT_BYTES
from changegate.services.keys.key_set import KeySet
from tests.support.forge import b64, ec_key, ed25519_key, forge, header, jwk, key_set_document, rsa_key
from tests.support.processor import assert_cheap
from tests.support.token_desk import JWT_BEARER, RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

# All examples share one server on purpose: the rows of one must not affect the next.
fuzzed = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
CRASHES = pytest.mark.regression("CVE-2019-17195", "CVE-2026-102265", "CVE-2026-101918", "CVE-2026-102274")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
octets = st.binary(max_size=400) | json_values.map(lambda value: as_json(value))
content_types = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=nonsense",
        "application/json",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/xml",
        "",
        ";",
    ]
)
paths = st.sampled_from([SERVICENOW_PATH, RFC_PATH])
NAMES = ["grant_type", "assertion", "client_id", "client_secret", "scope", "username", "refresh_token", "x"]
parameters = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=4), st.binary(max_size=60) | st.text(max_size=60)), max_size=6
)
authorizations = st.none() | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def quoted(text: str | bytes) -> str:
    return quote_from_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))


def assert_answered(desk: TokenDesk, body: Any, path: str, **options: Any) -> None:
    """Send a request and insist on an answer at bearable cost."""

    def send() -> None:
        answer = desk.send(body, path, **options)
        assert answer.status_code < 500, answer.get_data(as_text=True)
        said = answer.get_json()
        assert "access_token" in said if answer.status_code == 200 else {"error", "correlation_id"} <= said.keys()

    assert_cheap(send)


@pytest.fixture
def warm(desk: TokenDesk, integration: Integration) -> Integration:
    """Have the keys fetched and everything imported that an exchange imports."""
    desk.token(integration)
    return integration


@CRASHES
@given(body=st.binary(max_size=2_000), content_type=content_types, path=paths, authorization=authorizations)
@fuzzed
def test_any_bytes_are_answered(
    desk: TokenDesk, warm: Integration, body: bytes, content_type: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert_answered(desk, body, path, content_type=content_type, headers=headers)


@CRASHES
@given(value=json_values, path=paths, content_type=content_types)
@fuzzed
def test_any_json_is_answered(desk: TokenDesk, warm: Integration, value: object, path: str, content_type: str) -> None:
    assert_answered(desk, as_json(value), path, content_type=content_type)


@CRASHES
@given(extra=parameters, left_out=st.sampled_from([None, "grant_type", "client_id", "client_secret"]), path=paths)
@fuzzed
def test_any_parameters_are_answered(
    desk: TokenDesk, warm: Integration, extra: list[tuple[str, str | bytes]], left_out: str | None, path: str
) -> None:
    usual = {"grant_type": JWT_BEARER, **warm.credentials}
    sent = [(name, value) for name, value in usual.items() if name != left_out] + extra
    assert_answered(desk, "&".join(f"{quoted(name)}={quoted(value)}" for name, value in sent), path)


@CRASHES
@given(head=octets, payload=octets, is_signed=st.booleans(), path=paths)
@fuzzed
def test_any_assertion_is_answered(
    desk: TokenDesk, warm: Integration, head: bytes, payload: bytes, is_signed: bool, path: str
) -> None:
    token = forge(header() if is_signed else head, payload)
    assert_answered(desk, desk.form(warm, assertion=token), path)


@CRASHES
@given(
    claims=st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "cnf"]), json_values),
    members=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "x5c"]), json_values, max_size=2),
    path=paths,
)
@fuzzed
def test_any_claims_under_a_good_signature_are_answered(
    desk: TokenDesk, warm: Integration, claims: dict[str, Any], members: dict[str, Any], path: str
) -> None:
    assert_answered(desk, desk.form(warm, assertion=desk.assertion(header(**members), **claims)), path)


member_names = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "alg", "use", "key_ops", "kid", "x5c", "d", "k"])
member_values = json_values | st.sampled_from(["RSA", "EC", "OKP", "P-521", "Ed25519", "sig", "RS256", "AQAB", "oct"])
members = st.builds(
    lambda key, changes: jwk(key) | changes,
    st.sampled_from([rsa_key(), ec_key(), ec_key("ES512"), ed25519_key()]),
    st.dictionaries(member_names, member_values, max_size=3),
)
documents = (
    st.binary(max_size=400)
    | json_values.map(as_json)
    | st.lists(members | json_values, max_size=6).map(lambda keys: as_json({"keys": keys}))
)


def parse(document: bytes) -> None:
    with suppress(JwksUnusable):
        KeySet.parse(document)


@CRASHES
@given(document=documents, position=st.integers(0, 4_000), octet=st.binary(max_size=1))
@settings(fuzzed, max_examples=400)
def test_any_document_is_a_key_set_or_refused(document: bytes, position: int, octet: bytes) -> None:
    place = position % (len(document) + 1)
    for one in (document, document[:place] + octet + document[place + 1 :]):
        assert_cheap(lambda one=one: parse(one))


def filled(start: bytes, middle: bytes, end: bytes) -> bytes:
    """Return a document as large as is read at all."""
    return start + middle * ((MAX_DOCUMENT_BYTES - len(start) - len(end)) // len(middle)) + end


def many(key: dict[str, Any]) -> bytes:
    return key_set_document(*[key | {"kid": str(number)} for number in range(100)])


LARGE_MODULUS = b64((1 << 8191 | 0x5A5A << 4000 | 1).to_bytes(1024))
COSTLY = {
    "empty lists": filled(b'{"keys":[', b"[],", b"[]]}"),
    "empty objects": filled(b'{"keys":[', b"{},", b"{}]}"),
    "zeros": filled(b'{"keys":[', b"0,", b"0]}"),
    "digits": filled(b'{"keys":[', b"7", b"]}"),
    "fractions": filled(b'{"keys":[', b"1.234567890123456789e300,", b"0]}"),
    "one fraction": filled(b'{"keys":[1.', b"7", b"]}"),
    "escapes": filled(b'{"keys":["', rb"\u0041", b'"]}'),
    "backslashes": filled(b'{"keys":["', rb"\\", b'"]}'),
    "brackets in strings": filled(b'{"keys":[', b'"[",', b'""]}'),
    "one string never closed": filled(b'"', rb"[\"", b""),
    "as deep as fits": filled(b'{"keys":', b"[", b""),
    "no UTF-8 at the end": filled(b'{"keys":["', "é".encode(), b"\xff"),
    "one name again and again": filled(b'{"keys":[{', b'"n":0,', b'"n":0}]}'),
    "one member with many names": b'{"keys":[{' + b",".join(b'"%d":0' % number for number in range(25_000)) + b"}]}",
    "a hundred RSA keys of 8192 bits": many(jwk(rsa_key()) | {"n": LARGE_MODULUS}),
    "a hundred moduli too large": many(jwk(rsa_key()) | {"n": "AQ" * 1_200}),
    "one modulus as large as fits": key_set_document(jwk(rsa_key()) | {"n": "w" * 250_000}),
    "a hundred keys on P-521": many(jwk(ec_key("ES512"))),
    "a hundred points off P-521": many(jwk(ec_key("ES512")) | {"y": jwk(ec_key("ES512"))["x"]}),
    "a hundred Ed25519 keys": many(jwk(ed25519_key())),
    "one kid as long as fits": key_set_document(jwk(rsa_key(), "k" * 250_000)),
}


@pytest.mark.regression("CVE-2026-101917")
@pytest.mark.parametrize("document", COSTLY.values(), ids=COSTLY)
def test_no_document_takes_long(document: bytes) -> None:
    assert len(document) <= MAX_DOCUMENT_BYTES
    assert_cheap(lambda: parse(document))
