"""What belongs to each key source, and what must never be saved as a key."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from marshmallow import ValidationError

from changegate.models.integration_choices import ALGORITHMS
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration import SCHEMAS
from tests.support.attack_forms import SPELLINGS
from tests.support.certificates import certificate, pem
from tests.support.forge import ec_key, ed25519_key, jwk, key_set_document, rsa_key

LEAST = {"name": "Pipeline", "provider_name": "CI", "issuer": "https://ci.example.com", "run_as": "bot"}
SECRET = "correct-horse-battery-staple-0123456789"
PEM_PRIVATE = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _load(**changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = SCHEMAS["jwt_bearer"].load(LEAST | changes)
    return loaded


def _refused(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refused:
        _load(**changes)
    return field_errors(refused.value)


def _with_secret(secret: Any = SECRET, **changes: Any) -> dict[str, Any]:
    maps = [{"name": "Signer", "kid": "k1", "shared_key": secret}]
    return {"key_source": "shared_key", "verifier_maps": maps, **changes}


def _with_certificate(**changes: Any) -> dict[str, Any]:
    return {"key_source": "certificates", "verifier_maps": [{"name": "Signer", "certificate": "x"} | changes]}


def test_a_map_has_safe_defaults() -> None:
    assert _load(**_with_certificate())["verifier_maps"] == [
        {"name": "Signer", "kid": None, "certificate": "x", "shared_key": None, "enforce_dates": True, "active": None}
    ]
    assert _load(**_with_secret())["algorithms"] == ["HS256"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"key_source": "certificates"}, "Add at least one map."),
        ({"key_source": "shared_key", "verifier_maps": []}, "Add at least one map."),
        (_with_certificate(certificate=""), "Map Signer: give the certificate."),
        (_with_certificate(shared_key=SECRET), "Map Signer: leave the shared key empty, or change the key source."),
        (
            {"key_source": "shared_key", "verifier_maps": [{"name": "A", "certificate": "x"}]},
            "Map A: leave the certificate empty, or change the key source.",
        ),
        ({"jwks_url": "https://ci", "verifier_maps": [{"name": "A"}]}, "Leave this empty: the key source is JWKS URL."),
        ({"key_source": "certificates", "verifier_maps": [{"certificate": "x"}]}, "Give the map a name."),
        (_with_certificate(kid="k\n1"), "Map Signer: Control characters are not allowed."),
        (_with_certificate(kid="k" * 257), "Map Signer: At most 256 characters."),
        (_with_certificate(certificate="x" * 20_001), "Map Signer: At most 20000 characters."),
        (_with_certificate(enforce_date=False), "Map Signer: Unknown field."),
        ({"key_source": "certificates", "verifier_maps": ["x"]}, "Invalid input type."),
    ],
)
def test_each_source_has_its_own_keys_and_no_others(sent: dict[str, Any], said: str) -> None:
    assert _refused(**sent) == {"verifier_maps": [said]}


def test_names_are_unique_and_maps_have_an_end() -> None:
    two = [{"name": "Signer", "certificate": "x"}, {"name": "SIGNER", "certificate": "y"}]
    assert _refused(key_source="certificates", verifier_maps=two) == {
        "verifier_maps": ["There are two maps named SIGNER."]
    }
    many = [{"name": f"n{number}", "certificate": "x"} for number in range(21)]
    assert _refused(key_source="certificates", verifier_maps=many) == {"verifier_maps": ["At most 20 maps."]}
    assert _load(key_source="certificates", verifier_maps=many[:20])


@pytest.mark.parametrize("source", ["jwks_url", "jwks", "certificates"])
def test_algorithms_of_shared_keys_are_for_shared_keys_only(source: str) -> None:
    keys: dict[str, dict[str, Any]] = {
        "jwks_url": {"jwks_url": "https://ci/jwks"},
        "jwks": {"jwks": "{}"},
        "certificates": _with_certificate(),
    }
    for algorithms in (["HS256"], ["RS256", "HS512"]):
        [text] = _refused(**{"key_source": source, **keys[source], "algorithms": algorithms})["algorithms"]
        assert "works with shared keys only" in text


@pytest.mark.parametrize("algorithms", [["RS256"], ["HS256", "ES256"], ["EdDSA"], [*ALGORITHMS]])
def test_shared_keys_work_with_their_own_algorithms_only(algorithms: list[str]) -> None:
    [text] = _refused(**_with_secret(algorithms=algorithms))["algorithms"]
    assert "needs public keys; shared keys work with HS256, HS384, HS512." in text


@pytest.mark.parametrize(
    ("algorithms", "length", "is_enough"),
    [
        (["HS256"], 31, False),
        (["HS256"], 32, True),
        (["HS384"], 47, False),
        (["HS384"], 48, True),
        (["HS256", "HS512"], 63, False),
        (["HS256", "HS512"], 64, True),
    ],
)
def test_cve_2025_45768_a_shared_key_is_as_long_as_the_largest_hash(
    algorithms: list[str], length: int, is_enough: bool
) -> None:
    sent = _with_secret(("0123456789" * 7)[:length], algorithms=algorithms)
    if is_enough:
        assert _load(**sent)
    else:
        [text] = _refused(**sent)["verifier_maps"]
        assert text.startswith(f"Map Signer: {algorithms[-1]} needs a shared key of at least")


@pytest.mark.parametrize(
    "secret", [" ", " " * 40, "\t" * 40, "a" * 40, "ab" * 20, "\0" * 40, f"{SECRET} ", f"\n{SECRET}"]
)
def test_cve_2026_114616_a_blank_or_empty_secret_cannot_be_saved(secret: str) -> None:
    assert [*_refused(**_with_secret(secret))] == ["verifier_maps"]


def _public_forms() -> dict[str, str]:
    spki = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forms = {
        "base64 of spki": base64.b64encode(spki).decode(),
        "base64url of spki": base64.urlsafe_b64encode(spki).rstrip(b"=").decode(),
        "hex of spki": spki.hex(),
        "base64 of a certificate": base64.b64encode(certificate().public_bytes(Encoding.DER)).decode(),
        "base64 of a jwk": base64.b64encode(json.dumps(jwk(ec_key())).encode()).decode(),
        "base64 of pem": base64.b64encode(pem(certificate()).encode()).decode(),
        "one line": pem(certificate()).replace("\n", ""),
    }
    # A bare modulus and values that are not strings are not recognized.
    texts = {pair: spell() for pair, spell in SPELLINGS.items() if "secret" not in pair[1] and pair[1][:4] != "one-"}
    readable = {pair: data for pair, data in texts.items() if data.isascii() or data.startswith(b"\xef\xbb\xbf")}
    return forms | {"-".join(pair): data.decode() for pair, data in readable.items()}


@pytest.mark.parametrize("form", sorted(_public_forms()))
def test_a_public_key_cannot_be_saved_as_a_secret(form: str) -> None:
    texts = _refused(**_with_secret(_public_forms()[form]))["verifier_maps"]
    assert any("A shared key must be secret." in text for text in texts), texts


def _private_forms() -> dict[str, str]:
    scalar = {**jwk(ec_key()), "d": "AQAB"}
    openssh = ed25519_key().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    sec1 = ec_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return {"pkcs8": PEM_PRIVATE, "openssh": openssh, "sec1": sec1, "jwk": json.dumps(scalar)}


@pytest.mark.parametrize("form", sorted(_private_forms()))
@pytest.mark.parametrize("field", ["jwks", "certificate", "shared_key"])
def test_a_private_key_is_refused_with_a_warning_and_not_repeated(field: str, form: str) -> None:
    text = _private_forms()[form]
    sent = {
        "jwks": {"key_source": "jwks", "jwks": text},
        "certificate": _with_certificate(certificate=text),
        "shared_key": _with_secret(text),
    }[field]

    refused = str(_refused(**sent))

    assert "This is a private key. It was not stored. Consider it leaked" in refused
    assert text[40:80] not in refused


@pytest.mark.parametrize(
    "member", [{"d": "AQAB"}, {"p": "AQAB"}, {"k": "AQAB", "kty": "oct"}], ids=["private", "prime", "shared"]
)
def test_a_private_key_in_a_pasted_set_is_refused(member: dict[str, str]) -> None:
    document = key_set_document(jwk(rsa_key()), {**jwk(rsa_key("other"), "k2"), **member}).decode()

    for text in (document, document[:-3], json.dumps(json.loads(document), indent=2)):
        assert "Consider it leaked" in str(_refused(key_source="jwks", jwks=text)["jwks"])


def test_a_private_key_in_base64_is_refused_as_a_secret() -> None:
    der = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    assert "Consider it leaked" in str(_refused(**_with_secret(base64.b64encode(der).decode()))["verifier_maps"])


@pytest.mark.parametrize("secret", [SECRET, "0123456789abcdef" * 4, base64.b64encode(bytes(range(48))).decode()])
def test_a_secret_that_was_drawn_is_taken_as_it_is(secret: str) -> None:
    assert _load(**_with_secret(secret))["verifier_maps"][0]["shared_key"] == secret


def test_a_public_key_set_is_taken_as_it_is() -> None:
    document = key_set_document(jwk(rsa_key()), jwk(ec_key(), "k2"), jwk(ed25519_key(), "k3")).decode()

    assert _load(key_source="jwks", jwks=document)["jwks"] == document
