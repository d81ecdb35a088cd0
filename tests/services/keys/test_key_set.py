import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from changegate.errors import JwksUnusable
from changegate.services.keys import public_key
from changegate.services.keys.key_set import KeySet
from tests.support.forge import b64, ec_key, ed25519_key, jwk, key_set_document, rsa_key

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def rsa_with(**numbers):
    """Return our RSA key as a JWK with other numbers."""
    encoded = {name: b64(n.to_bytes((n.bit_length() + 7) // 8)) for name, n in numbers.items()}
    return jwk(rsa_key()) | encoded


def private(key, name):
    return json.loads(RSAAlgorithm.to_jwk(key))[name]


def ed25519_at(y, sign=0):
    return jwk(ed25519_key(), x=b64((y | sign << 255).to_bytes(32, "little")))


MODULUS = rsa_key().public_key().public_numbers().n
LOW_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
OFF_CURVE = b64((1).to_bytes(32))

IGNORED = {
    "not an object": (5, "not an object"),
    "a list": ([], "not an object"),
    "no kty": (jwk(rsa_key(), kty=...), "key type None"),
    "kty of another type": (jwk(rsa_key(), kty=["RSA"]), "`kty` is not a string"),
    "unknown kty": (jwk(rsa_key(), kty="AKP"), "key type AKP"),
    "kty in lower case": (jwk(rsa_key(), kty="rsa"), "key type rsa"),
    "shared secret": ({"kty": "oct", "k": "c2VjcmV0"}, "shared secret"),
    "private RSA key": (jwk(rsa_key(), d=private(rsa_key(), "d")), "private key (d)"),
    "RSA key with a prime": (jwk(rsa_key(), p="AQAB"), "private key (p)"),
    "key with null d": (jwk(rsa_key(), d=None), "private key (d)"),
    "for encryption": (jwk(rsa_key(), use="enc"), "its use is enc"),
    "for SPIFFE": (jwk(rsa_key(), use="jwt-svid"), "its use is jwt-svid"),
    "use null": (jwk(rsa_key(), use=None), "its use is None"),
    "use a list": (jwk(rsa_key(), use=["sig"]), "its use is"),
    "operations without verify": (jwk(rsa_key(), use=..., key_ops=["encrypt"]), "do not include verify"),
    "operations as text": (jwk(rsa_key(), use=..., key_ops="verify"), "do not include verify"),
    "contradiction": (jwk(rsa_key(), key_ops=["verify", "encrypt"]), "contradict"),
    "alg for encryption": (jwk(rsa_key(), alg="RSA-OAEP"), "algorithm RSA-OAEP does not fit"),
    "alg a list": (jwk(rsa_key(), alg=["RS256"]), "`alg` is not a string"),
    "alg null": (jwk(rsa_key(), alg=None), "`alg` is not a string"),
    "alg none": (jwk(rsa_key(), alg="none"), "does not fit"),
    "alg HS256 on RSA": (jwk(rsa_key(), alg="HS256"), "does not fit"),
    "ES256 on P-384": (jwk(ec_key("ES384"), alg="ES256"), "does not fit"),
    "RSA 1024": (jwk(rsa_key("weak", 1024)), "1024 bits"),
    "RSA 16384": (rsa_with(n=1 << 16383 | 1), "16384 bits"),
    "even modulus": (rsa_with(n=MODULUS - 1), "even"),
    "exponent 1": (rsa_with(e=1), "exponent"),
    "even exponent": (rsa_with(e=65536), "exponent"),
    "2047-bit exponent": (rsa_with(e=1 << 2046 | 1), "exponent"),
    "no modulus": (jwk(rsa_key(), n=...), "`n` is missing"),
    "modulus a number": (jwk(rsa_key(), n=7), "`n` is missing"),
    "empty modulus": (jwk(rsa_key(), n=""), "`n` is missing"),
    "leading zero": (jwk(rsa_key(), n=b64(b"\0" + MODULUS.to_bytes(256))), "leading zero"),
    "standard alphabet": (jwk(rsa_key(), n=base64.b64encode(b"\xff" * 256).decode()[:-1]), "not canonical base64url"),
    "one character": (jwk(rsa_key(), e="A"), "not canonical base64url"),
    "padding": (jwk(rsa_key(), e="AQAB=="), "not canonical base64url"),
    "trailing bits": (jwk(ec_key(), x=jwk(ec_key())["x"][:-1] + "B"), "not canonical"),
    "certificate only": ({"kty": "RSA", "x5c": ["MIIB"]}, "no key parameters"),
    "off the curve": (jwk(ec_key(), x=OFF_CURVE, y=OFF_CURVE), "not on the curve"),
    "short coordinate": (jwk(ec_key(), x=b64(b"\1" * 31)), "31 octets instead of 32"),
    "no y": (jwk(ec_key(), y=...), "`y` is missing"),
    "secp256k1": (jwk(ec_key(), crv="secp256k1"), "curve secp256k1"),
    "no curve": (jwk(ec_key(), crv=...), "curve None"),
    "curve a list": (jwk(ec_key(), crv=["P-256"]), "`crv` is not a string"),
    "X25519": (jwk(ed25519_key(), crv="X25519"), "curve X25519"),
    "Ed448": (jwk(ed25519_key(), crv="Ed448"), "curve Ed448"),
    "Ed25519 too short": (jwk(ed25519_key(), x=b64(b"\5" * 31)), "31 octets"),
    "Ed25519 all zero": (ed25519_at(0), "low order"),
    "Ed25519 not canonical": (ed25519_at(P + 3), "low order"),
    "Ed25519 off the curve": (ed25519_at(2), "low order"),
    "kid a number": (jwk(rsa_key(), kid=7), "`kid` is not a string"),
    "kid null": (jwk(rsa_key()) | {"kid": None}, "`kid` is not a string"),
    "kid empty": (jwk(rsa_key(), kid=""), "`kid` is not 1 to 256"),
    "kid too long": (jwk(rsa_key(), kid="k" * 257), "`kid` is not 1 to 256"),
    "kid with an invisible character": (jwk(rsa_key(), kid="a\u202eb"), "printable"),
}


@pytest.mark.parametrize(("member", "reason"), IGNORED.values(), ids=IGNORED.keys())
def test_ignores_an_unusable_member_and_keeps_the_others(member, reason):
    key_set = KeySet.parse(json.dumps({"keys": [member, jwk(ec_key(), "good")]}).encode())
    assert [key.kid for key in key_set.keys] == ["good"]
    assert [reason in ignored.reason for ignored in key_set.ignored] == [True]


@pytest.mark.parametrize(
    ("key", "size", "algorithms"),
    [
        (rsa_key(), 2048, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (ec_key("ES256"), 256, {"ES256"}),
        (ec_key("ES384"), 384, {"ES384"}),
        (ec_key("ES512"), 521, {"ES512"}),
        (ed25519_key(), 256, {"EdDSA", "Ed25519"}),
    ],
)
def test_a_key_can_do_what_its_type_allows(key, size, algorithms):
    (loaded,) = KeySet.parse(key_set_document(jwk(key))).keys
    assert (loaded.kid, loaded.size, loaded.alg, loaded.algorithms) == ("k1", size, None, algorithms)
    assert loaded.public_key == key.public_key()


def test_a_named_algorithm_is_the_only_one():
    (key,) = KeySet.parse(key_set_document(jwk(rsa_key(), alg="PS256"))).keys
    assert key.algorithms == {"PS256"}


def test_use_and_operations_may_both_say_verify():
    assert KeySet.parse(key_set_document(jwk(rsa_key(), key_ops=["verify"]))).keys


def test_thumbprint_is_the_one_of_rfc_7638():
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZC"
        "iFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZ"
        "gnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBni"
        "Iqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    document = key_set_document({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert KeySet.parse(document).keys[0].thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


DISGUISED = "a\u202eX"


@pytest.mark.parametrize(
    "member",
    [
        jwk(rsa_key(), kid=DISGUISED),
        jwk(rsa_key(), kty=DISGUISED),
        jwk(rsa_key(), use=DISGUISED),
        jwk(rsa_key(), alg=DISGUISED),
        jwk(ec_key(), crv=DISGUISED),
        jwk(ed25519_key(), crv=DISGUISED),
    ],
)
def test_unprintable_characters_of_a_key_are_replaced(member):
    (ignored,) = KeySet.parse(key_set_document(member, jwk(ec_key(), "good"))).ignored
    with pytest.raises(JwksUnusable) as refused:
        KeySet.parse(key_set_document(member))
    shown = [ignored.kid, ignored.kty, ignored.reason, refused.value.message]
    assert all(text.isprintable() for text in shown)
    assert any("a\N{REPLACEMENT CHARACTER}X" in text for text in shown)


@pytest.mark.parametrize("member", [{"kty": "oct", "k": "c2VjcmV0"}, jwk(rsa_key(), "leak", d="AQAB")])
def test_a_leaked_secret_raises_the_alarm(member):
    key_set = KeySet.parse(key_set_document(member, jwk(ec_key())))
    assert [ignored.alarm for ignored in key_set.ignored] == [True]
    assert "c2VjcmV0" not in repr(key_set)


def test_an_exception_of_a_library_ignores_one_member_only(monkeypatch):
    def fall_over(*_arguments):
        raise RuntimeError

    monkeypatch.setattr(public_key, "RSAPublicNumbers", fall_over)
    key_set = KeySet.parse(key_set_document(jwk(rsa_key(), "bad"), jwk(ec_key(), "good")))
    assert (key_set.keys[0].kid, key_set.ignored[0].reason) == ("good", "it cannot be read (RuntimeError)")


def ed25519_add(one, other):
    """Add two points of the curve; written down from RFC 8032 §5.1.4 without its speed."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + y1 * x2) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def ed25519_x(y):
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    return root if root * root % P == square else root * pow(2, (P - 1) // 4, P) % P


@pytest.mark.parametrize("y", [0, 1, P - 1, LOW_ORDER_8, P - LOW_ORDER_8])
@pytest.mark.parametrize("sign", [0, 1])
def test_every_low_order_point_is_ignored(y, sign):
    point = ed25519_x(y), y
    for _ in range(3):
        point = ed25519_add(point, point)
    assert point == (0, 1), "eight times a low-order point is the identity"
    with pytest.raises(JwksUnusable):
        KeySet.parse(key_set_document(ed25519_at(y, sign)))


NOT_KEY_SETS = {
    "empty list": (b'{"keys":[]}', "is empty"),
    "no list": (b'{"keys":{}}', "no list named"),
    "no keys": (b"{}", "no list named"),
    "a list": (b"[]", "not a JSON object"),
    "web page": (b"\n<!DOCTYPE html>", "a web page"),
    "nothing": (b"", "not a key set"),
    "byte order mark": (b"\xef\xbb\xbf" + key_set_document(jwk(rsa_key())), "byte order mark"),
    "keys twice": (b'{"keys":[],"keys":[]}', "repeated"),
    "deep": (b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested deeper"),
    "101 keys": (key_set_document(*[jwk(rsa_key(), str(n)) for n in range(101)]), "101 members"),
    "one key": (json.dumps(jwk(rsa_key())).encode(), "single key"),
    "discovery document": (b'{"jwks_uri":"https://idp.example/keys"}', "https://idp.example/keys"),
    "certificates": (b'{"abc":"-----BEGIN CERTIFICATE-----"}', "https://www.googleapis.com/oauth2/v3/certs"),
    "unusable keys": (key_set_document(jwk(rsa_key(), "x", use="enc")), "no usable key (x: its use is enc"),
    "unusable key without kid": (key_set_document({"kty": "AKP"}), "a key without kid: the key type AKP"),
}


@pytest.mark.parametrize(("document", "message"), NOT_KEY_SETS.values(), ids=NOT_KEY_SETS.keys())
def test_reports_errors_of_a_document(document, message):
    with pytest.raises(JwksUnusable) as refusal:
        KeySet.parse(document)
    assert message in refusal.value.message


def test_a_hundred_keys_are_read():
    assert len(KeySet.parse(key_set_document(*[jwk(rsa_key(), str(n)) for n in range(100)])).keys) == 100


def test_same_kid_with_different_keys_keeps_both_and_collapses_copies():
    document = key_set_document(jwk(rsa_key()), jwk(rsa_key()), jwk(rsa_key("theirs")))
    assert [key.kid for key in KeySet.parse(document).keys] == ["k1", "k1"]


def kids(key_set, kid, alg):
    return [key.kid for key in key_set.candidates(kid, alg)]


def test_a_kid_chooses_the_key_that_carries_it():
    members = jwk(rsa_key(), "a"), jwk(rsa_key("theirs"), "b"), jwk(ec_key(), "c")
    key_set = KeySet.parse(key_set_document(*members))
    assert kids(key_set, "b", "RS256") == ["b"]
    assert kids(key_set, "c", "RS256") == []
    assert kids(key_set, "d", "RS256") == []
    assert (key_set.has_kid("c"), key_set.has_kid("d")) == (True, False)


def test_without_a_kid_every_fitting_key_is_a_candidate():
    members = jwk(rsa_key(), "a"), jwk(rsa_key("theirs"), None), jwk(ec_key(), "c")
    key_set = KeySet.parse(key_set_document(*members))
    assert kids(key_set, None, "RS256") == ["a", None]
    assert kids(key_set, None, "ES256") == ["c"]
    assert kids(key_set, None, "HS256") == []


def test_a_key_without_kid_answers_for_a_named_one_only_when_alone():
    sole = KeySet.parse(key_set_document(jwk(rsa_key(), None), jwk(ec_key(), "c")))
    assert kids(sole, "any", "RS256") == [None]
    assert kids(sole, "c", "RS256") == []
    several = KeySet.parse(key_set_document(jwk(rsa_key(), None), jwk(rsa_key("theirs"), "b")))
    assert kids(several, "any", "RS256") == []


def test_no_more_than_four_keys_are_tried():
    curve_keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(6)]
    same = KeySet.parse(key_set_document(*[jwk(key, "same") for key in curve_keys]))
    assert len(same.candidates("same", "ES256")) == 4
    assert same.candidates(None, "ES256") == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBER_NAMES = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "alg", "use", "key_ops", "kid", "x5c", "d"])
VALUES = JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "RS256", "AQAB", "oct"])


@settings(max_examples=150)
@example({"alg": "Ed25519"}, ed25519_key())
@given(st.dictionaries(MEMBER_NAMES, VALUES), st.sampled_from([rsa_key(), ec_key(), ed25519_key()]))
def test_no_member_raises_anything_or_passes_what_pyjwt_cannot_load(changes, key):
    member = jwk(key) | changes
    try:
        key_set = KeySet.parse(json.dumps({"keys": [member]}).encode("utf-8", "surrogatepass"))
    except JwksUnusable:
        return
    for loaded in key_set.keys:
        # PyJWT knows Ed25519 (RFC 9864) by its former name only.
        assert jwt.PyJWK(member, algorithm=min(loaded.algorithms - {"Ed25519"}, default="EdDSA")).key_type == loaded.kty


@settings(max_examples=150)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
def test_no_document_raises_anything_but_unusable(document):
    with pytest.raises(JwksUnusable):
        KeySet.parse(document)
