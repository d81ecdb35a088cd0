"""A public key of a key set, checked when it is loaded, before any signature is verified."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from changegate.printable import printable
from changegate.services.keys.public_key import (
    CURVES,
    PublicKey,
    UnusableJwkError,
    load_ec,
    load_ed25519,
    load_rsa,
)
from changegate.services.keys.verifying_keys import Validity

MAX_KID_LENGTH = 256
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
EC_ALGORITHMS: Mapping[str, frozenset[str]] = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
}
ED25519_ALGORITHMS = frozenset({"EdDSA", "Ed25519"})  # RFC 8037 and RFC 9864 names of one algorithm


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key that may verify signatures; `size` is in bits, `thumbprint` follows RFC 7638."""

    kid: str | None
    kty: str
    alg: str | None
    crv: str | None
    size: int
    thumbprint: str
    public_key: PublicKey
    algorithms: frozenset[str]
    validity: Validity | None = None

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "SigningKey":
        """Load a JWK (RFC 7517 §4), or raise `UnusableJwkError` with the reason.

        `algorithms` is fixed here; the header of an assertion cannot extend it.
        """
        # First, because a published secret must raise the alarm whatever else is wrong with the key.
        _require_public(jwk)
        _require_for_signatures(jwk)
        material = _material(jwk)
        alg = _optional_text(jwk, "alg")
        return cls(
            kid=_kid(jwk),
            kty=str(jwk["kty"]),
            alg=alg,
            crv=_optional_text(jwk, "crv"),
            size=material.size(),
            thumbprint=_thumbprint(jwk, material.members),
            public_key=material.public_key,
            algorithms=_algorithms(alg, material.algorithms),
        )


@dataclass(frozen=True, slots=True)
class _Material:
    """The properties that depend on the key type: the loaded key, its algorithms, and its RFC 7638 members."""

    public_key: PublicKey
    algorithms: frozenset[str]
    members: tuple[str, ...]

    def size(self) -> int:
        # The library has no `key_size` for Ed25519 keys, because all of them have the same size.
        return getattr(self.public_key, "key_size", 256)


def _rsa(jwk: Mapping[str, object]) -> _Material:
    return _Material(load_rsa(jwk), RSA_ALGORITHMS, ("e", "kty", "n"))


def _ec(jwk: Mapping[str, object]) -> _Material:
    crv = _optional_text(jwk, "crv")
    if crv is None or crv not in CURVES:
        raise UnusableJwkError(f"the curve {_shown(jwk.get('crv'))} is not supported")
    return _Material(load_ec(jwk), EC_ALGORITHMS[crv], ("crv", "kty", "x", "y"))


def _okp(jwk: Mapping[str, object]) -> _Material:
    if jwk.get("crv") != "Ed25519":
        raise UnusableJwkError(f"the curve {_shown(jwk.get('crv'))} is not supported")
    return _Material(load_ed25519(jwk), ED25519_ALGORITHMS, ("crv", "kty", "x"))


_LOADERS: Mapping[str, Callable[[Mapping[str, object]], _Material]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp}


def _material(jwk: Mapping[str, object]) -> _Material:
    kty = _optional_text(jwk, "kty")
    if kty is None or kty not in _LOADERS:
        raise UnusableJwkError(f"the key type {_shown(jwk.get('kty'))} is not supported")
    # Only the parameters are loaded. The certificates in `x5c` are never read, as nothing verifies their chain.
    if "x5c" in jwk and not jwk.keys() & {"n", "x"}:
        raise UnusableJwkError("it holds a certificate but no key parameters")
    return _LOADERS[kty](jwk)


def _require_public(jwk: Mapping[str, object]) -> None:
    if jwk.get("kty") == "oct":
        raise UnusableJwkError("it is a shared secret, and the provider publishes it", alarm=True)
    private = [name for name in PRIVATE_MEMBERS if name in jwk]
    if private:
        raise UnusableJwkError(f"the provider publishes its private key ({', '.join(private)})", alarm=True)


def _require_for_signatures(jwk: Mapping[str, object]) -> None:
    """Apply `use` and `key_ops` (RFC 7517 §4.2 and §4.3)."""
    if "use" in jwk and jwk["use"] != "sig":
        raise UnusableJwkError(f"its use is {_shown(jwk['use'])}, not signatures")
    if "key_ops" not in jwk:
        return
    operations = jwk["key_ops"]
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableJwkError("its key_ops do not include verify")
    if "use" in jwk and any(operation not in ("sign", "verify") for operation in operations):
        raise UnusableJwkError("its use and key_ops contradict each other")


def _algorithms(alg: str | None, possible: frozenset[str]) -> frozenset[str]:
    # `alg` narrows the algorithms of the key's type, and never adds one.
    if alg is None:
        return possible
    if alg not in possible:
        raise UnusableJwkError(f"the algorithm {_shown(alg)} does not fit a key of its type")
    return frozenset({alg})


def _kid(jwk: Mapping[str, object]) -> str | None:
    kid = _optional_text(jwk, "kid")
    if kid is not None and not (0 < len(kid) <= MAX_KID_LENGTH and kid.isprintable()):
        raise UnusableJwkError(f"`kid` is not 1 to {MAX_KID_LENGTH} printable characters")
    return kid


def _optional_text(jwk: Mapping[str, object], name: str) -> str | None:
    value = jwk.get(name)
    if name in jwk and not isinstance(value, str):
        raise UnusableJwkError(f"`{name}` is not a string")
    return value if isinstance(value, str) else None


def _thumbprint(jwk: Mapping[str, object], members: tuple[str, ...]) -> str:
    """Hash the required members in lexicographic order without white space (RFC 7638 §3)."""
    # Keys are blocked by this value. One key has one thumbprint only because `public_key` refuses every other spelling
    # of its members; do not relax it.
    text = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _shown(value: object) -> str:
    return printable(str(value), 40)
