"""A key set (RFC 7517 §5): the keys that a provider publishes, and the members that are ignored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from changegate.errors import JwksUnusable
from changegate.models.claim_condition import MAX_JSON_DEPTH
from changegate.printable import printable
from changegate.services.keys.public_key import UnusableJwkError
from changegate.services.keys.signature import SCHEMES, is_signed_by
from changegate.services.keys.signing_key import MAX_KID_LENGTH, SigningKey
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.keys.verifying_keys import VerifyingKeys

__all__ = ["IgnoredKey", "KeySet", "SigningKey"]

MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class IgnoredKey:
    """A member that is not used, and the reason; `alarm` is True if the provider published a secret with it."""

    kid: str | None
    kty: str | None
    reason: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class KeySet(VerifyingKeys[SigningKey]):
    """The usable public keys of one integration, in the order of the document, and the ignored members."""

    supported: ClassVar[frozenset[str]] = frozenset(SCHEMES)

    keys: tuple[SigningKey, ...]
    ignored: tuple[IgnoredKey, ...]
    is_kid_optional: bool = False

    @classmethod
    def parse(cls, document: bytes) -> "KeySet":
        """Parse a JWKS document; an unusable member does not affect the other members.

        Raises `JwksUnusable` if the document is not a key set or holds no usable key.
        """
        keys: dict[tuple[object, ...], SigningKey] = {}
        ignored: list[IgnoredKey] = []
        for member in _members(document):
            key = _parse_member(member)
            if isinstance(key, IgnoredKey):
                ignored.append(key)
            else:
                # A key that is listed twice counts once: two would make an assertion without kid ambiguous.
                keys.setdefault((key.kid, key.thumbprint, key.algorithms), key)
        if not keys:
            raise JwksUnusable(_no_usable_key(ignored))
        return cls(tuple(keys.values()), tuple(ignored))

    def is_signed_by(self, key: SigningKey, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Return whether a public key verifies a signature with the algorithm; False if the two do not fit together."""
        return is_signed_by(key, algorithm, signing_input, signature)


def _members(document: bytes) -> list[object]:
    try:
        content = parse_json_strictly(document, max_depth=MAX_JSON_DEPTH)
    except ValueError as problem:
        looks_like = "a web page" if document.lstrip()[:1] == b"<" else "not a key set"
        raise JwksUnusable(f"The document is {looks_like}: {problem}.") from None
    members = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(members, list):
        raise JwksUnusable(_other_document(content))
    if len(members) > MAX_KEYS:
        raise JwksUnusable(f"The key set has {len(members)} members; at most {MAX_KEYS} are read.")
    return members


def _other_document(content: object) -> str:
    """Explain which document it is, for the usual mistakes in place of a JWKS URL."""
    if not isinstance(content, Mapping):
        return "The document is not a JSON object with a list named `keys`."
    if isinstance(content.get("jwks_uri"), str):
        return f"This is a discovery document. The key set is at its jwks_uri: {content['jwks_uri'][:200]}"
    if "kty" in content:
        return "This is a single key. A key set is an object with a list named `keys`."
    if _holds_certificates(content.values()):
        return (
            "This is a map of certificates, not a key set. Google publishes its key set at "
            "https://www.googleapis.com/oauth2/v3/certs and Firebase at "
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
        )
    return "The document has no list named `keys`."


def _holds_certificates(values: Iterable[object]) -> bool:
    return any(isinstance(value, str) and "-----BEGIN" in value for value in values)


def _parse_member(member: object) -> SigningKey | IgnoredKey:
    if not isinstance(member, dict):
        return IgnoredKey(None, None, "it is not an object")
    try:
        return SigningKey.from_jwk(member)
    except UnusableJwkError as problem:
        reason, alarm = problem.reason, problem.alarm
    except Exception as problem:
        # One malicious member must not make the whole set unusable, whatever a library raises on it.
        reason, alarm = f"it cannot be read ({type(problem).__name__})", False
    return IgnoredKey(_shown(member.get("kid")), _shown(member.get("kty")), reason, alarm)


def _shown(value: object) -> str | None:
    return printable(value, MAX_KID_LENGTH) if isinstance(value, str) else None


def _no_usable_key(ignored: list[IgnoredKey]) -> str:
    if not ignored:
        return "The key set is empty."
    reasons = dict.fromkeys(f"{key.kid or 'a key without kid'}: {key.reason}" for key in ignored)
    return f"The key set has no usable key ({'; '.join(list(reasons)[:5])})."
