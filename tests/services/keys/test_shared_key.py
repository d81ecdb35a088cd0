"""Shared keys, and that nothing public ever becomes one (docs/regressions.md)."""

import ast
import json
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions import assertion
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.keys import certificate, key_set, public_key, shared_key, signature, signing_key, static_keys
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.shared_key import HASHES, SharedKey, SharedKeys
from changegate.services.keys.signature import SCHEMES
from changegate.services.keys.static_keys import StaticKeys
from tests.guards.source_tree import PLATFORM, parsed, python_files
from tests.support.attack_forms import SPELLINGS, signed_with, signed_with_a_public_key
from tests.support.certificates import certificate as make_certificate
from tests.support.certificates import pem
from tests.support.forge import NOW, jwk, key_set_document, rsa_key, sign
from tests.support.trust import policy

SERVICES = PLATFORM / "changegate" / "services"
READERS_OF_PUBLIC_KEYS = (key_set, signing_key, public_key, certificate, signature, assertion)
EVERYTHING = frozenset([*SCHEMES, *HASHES, "none"])


def imports_of(start: ModuleType) -> set[str]:
    """Return what a module imports, and what the services among that import in turn."""
    seen: set[str] = set()
    waiting = [start.__name__]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = PLATFORM / f"{module.replace('.', '/')}.py"
        if path.is_relative_to(SERVICES) and path.exists():
            waiting += direct_imports(path)
    return seen


@pytest.mark.parametrize("module", READERS_OF_PUBLIC_KEYS, ids=lambda module: module.__name__)
def test_modules_for_public_keys_do_not_import_shared_keys(module: ModuleType) -> None:
    assert not imports_of(module) & {shared_key.__name__, static_keys.__name__, "hmac"}


def test_one_module_makes_shared_keys_and_one_reads_them() -> None:
    importers = [path for path in python_files(SERVICES) if shared_key.__name__ in direct_imports(path)]
    assert importers == [Path(static_keys.__file__)]
    assert "hmac" in direct_imports(Path(shared_key.__file__))


def direct_imports(path: Path) -> set[str]:
    nodes = list(ast.walk(parsed(path)))
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return named | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


def stored_public_keys() -> list[StaticKeys]:
    rows = [{"kid": "k1", "certificate": pem(make_certificate()), "enforce_dates": False}]
    return [
        StaticKeys("jwks", key_set_document(jwk(rsa_key())).decode()),
        StaticKeys("certificates", json.dumps(rows)),
    ]


@pytest.mark.parametrize("spelling", sorted(SPELLINGS), ids="-".join)
def test_no_spelling_of_a_stored_public_key_serves_as_a_secret(spelling: tuple[str, str]) -> None:
    for stored in stored_public_keys():
        keys = stored.parse()
        assert isinstance(keys, KeySet)
        for alg in HASHES:
            unverified = UnverifiedAssertion.parse(signed_with_a_public_key(SPELLINGS[spelling], alg))
            with pytest.raises(AssertionRefused) as refused:
                unverified.verify(policy(algorithms=EVERYTHING), keys, now=NOW)
            assert refused.value.reason == "alg_not_allowed"


@pytest.mark.parametrize("alg", sorted(HASHES))
def test_a_shared_key_verifies_what_was_made_with_it(app_context: None, alg: str) -> None:
    keys = SharedKeys((SharedKey.of_secret(b"x" * 64, "k1"),))

    assert keys.is_signed_by(keys.keys[0], alg, b"input", sign(alg, b"x" * 64, b"input"))
    assert not keys.is_signed_by(keys.keys[0], alg, b"other", sign(alg, b"x" * 64, b"input"))
    for wrong in (b"", b"\0", sign(alg, b"", b"input"), sign(alg, b"x" * 64, b"input")[:-1]):
        assert not keys.is_signed_by(keys.keys[0], alg, b"input", wrong)


@pytest.mark.parametrize(
    ("length", "algorithms"),
    [(0, set()), (16, set()), (31, set()), (32, {"HS256"}), (48, {"HS256", "HS384"}), (64, set(HASHES))],
)
def test_cve_2025_45768_a_short_key_verifies_nothing_it_is_too_short_for(
    app_context: None, length: int, algorithms: set[str]
) -> None:
    secret = b"s" * length
    keys = SharedKeys((SharedKey.of_secret(secret, "k1"),))

    assert keys.keys[0].algorithms == algorithms
    for alg in HASHES:
        signed = keys.is_signed_by(keys.keys[0], alg, b"input", sign(alg, secret, b"input"))
        assert signed == (alg in algorithms)


def test_a_public_key_in_the_place_of_a_shared_one_verifies_nothing(app_context: None) -> None:
    [public] = KeySet.parse(key_set_document(jwk(rsa_key()))).keys
    keys = SharedKeys((SharedKey.of_secret(b"s" * 64, "k1"),))

    assert not keys.is_signed_by(public, "RS256", b"input", sign("RS256", rsa_key(), b"input"))  # type: ignore[arg-type]


def test_shared_keys_verify_no_signature_of_another_kind(app_context: None) -> None:
    keys = SharedKeys((SharedKey.of_secret(b"s" * 64, "k1"),))

    for alg in ("RS256", "ES256", "EdDSA"):
        with pytest.raises(AssertionRefused) as refused:
            UnverifiedAssertion.parse(signed_with(None, alg)).verify(policy(algorithms=EVERYTHING), keys, now=NOW)
        assert refused.value.reason == "alg_not_allowed"


def test_the_thumbprint_of_a_shared_key_discloses_nothing_and_depends_on_the_instance(app_context: None) -> None:
    one, same = SharedKey.of_secret(b"s" * 64, "k1"), SharedKey.of_secret(b"s" * 64, "k2")
    with mock.patch.object(shared_key, "settings", lambda: mock.Mock(secret_key="another")):
        elsewhere = SharedKey.of_secret(b"s" * 64, "k1")

    assert one.thumbprint == same.thumbprint != elsewhere.thumbprint
    assert "ssss" not in repr(one) + repr(SharedKeys((one,)))
