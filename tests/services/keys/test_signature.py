import ast
from dataclasses import replace
from pathlib import Path

import jwt.algorithms
import pytest

from changegate.services.assertions import assertion, header_policy, key_choice
from changegate.services.keys import certificate, key_set, public_key, signature
from changegate.services.keys import signing_key as signing_key_module
from changegate.services.keys.key_set import KeySet, SigningKey
from changegate.services.keys.signature import SCHEMES, is_signed_by
from tests.guards.source_tree import parsed
from tests.support.forge import ec_key, ed25519_key, jwk, key_for, key_set_document, rsa_key, sign

SECRETS = {"HMACAlgorithm", "NoneAlgorithm", "get_default_algorithms", "hmac", "PyJWT", "PyJWS", "PyJWK"}
NONSENSE = [b"", b"\0", bytes(64), bytes(256), b"\xff" * 64, b"\x30\x06\x02\x01\x01\x02\x01\x01"]


def signing_key(alg: str) -> SigningKey:
    (key,) = KeySet.parse(key_set_document(jwk(key_for(alg)))).keys
    return key


def test_no_scheme_works_with_a_shared_key() -> None:
    assert not any(isinstance(scheme.algorithm, jwt.algorithms.HMACAlgorithm) for scheme in SCHEMES.values())
    assert not any(scheme.fits(b"secret") for scheme in SCHEMES.values())
    assert not {name for name in SCHEMES if name.startswith("HS") or name.lower() == "none"}


def test_no_module_of_the_assertion_names_a_shared_key_or_a_registry() -> None:
    rules = (assertion, signature, header_policy, key_choice)
    for module in (*rules, key_set, signing_key_module, public_key, certificate):
        nodes = list(ast.walk(parsed(Path(module.__file__))))
        mentioned = {node.id for node in nodes if isinstance(node, ast.Name)}
        mentioned |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        mentioned |= {node.name for node in nodes if isinstance(node, ast.alias)}
        assert not mentioned & SECRETS, module.__name__


@pytest.mark.parametrize("alg", sorted(SCHEMES))
def test_a_key_verifies_its_own_algorithm(alg: str) -> None:
    assert is_signed_by(signing_key(alg), alg, b"input", sign(alg, key_for(alg), b"input"))


@pytest.mark.parametrize("alg", sorted(SCHEMES))
@pytest.mark.parametrize("signature", NONSENSE)
def test_malformed_signatures_are_refused(alg: str, signature: bytes) -> None:
    assert not is_signed_by(signing_key(alg), alg, b"input", signature)


KEYS = ("RS256", "ES256", "ES384", "ES512", "EdDSA")
ALGORITHMS = (*sorted(SCHEMES), "HS256", "none", "ES256K", "ES521", "")


@pytest.mark.parametrize(
    ("key", "alg"), [(key, alg) for key in KEYS for alg in ALGORITHMS if alg not in signing_key(key).algorithms]
)
def test_a_key_verifies_no_signature_of_another_kind(key: str, alg: str) -> None:
    assert not is_signed_by(signing_key(key), alg, b"input", sign(key, key_for(key), b"input"))


def test_the_kind_of_key_is_checked_though_the_key_set_should_have() -> None:
    assert not SCHEMES["RS256"].fits(ec_key().public_key())
    assert not SCHEMES["ES256"].fits(ec_key("ES384").public_key())
    assert not SCHEMES["EdDSA"].fits(rsa_key().public_key())
    assert SCHEMES["EdDSA"].fits(ed25519_key().public_key())


def test_a_key_that_claims_an_algorithm_of_another_kind_verifies_nothing() -> None:
    confused = replace(signing_key("RS256"), algorithms=frozenset({"ES256", "EdDSA"}))
    assert not is_signed_by(confused, "ES256", b"input", sign("ES256", ec_key(), b"input"))
    assert not is_signed_by(confused, "EdDSA", b"input", sign("EdDSA", ed25519_key(), b"input"))


def test_a_key_limited_to_one_algorithm_verifies_no_other_of_its_kind() -> None:
    limited = replace(signing_key("RS256"), algorithms=frozenset({"RS512"}))
    assert is_signed_by(limited, "RS512", b"input", sign("RS512", rsa_key(), b"input"))
    assert not is_signed_by(limited, "RS256", b"input", sign("RS256", rsa_key(), b"input"))
