"""Keys that are stored with their integration: a pasted key set, certificates, or shared keys.

Each source has one function that reads the stored text. None of them makes a shared key from public data.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from changegate.errors import JwksUnusable
from changegate.sealed import unseal
from changegate.services.keys.certificate import SigningCertificate
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.parsed_key_sets import ParsedKeySets
from changegate.services.keys.shared_key import SharedKey, SharedKeys
from changegate.services.keys.signing_key import SigningKey
from changegate.services.keys.verifying_keys import VerifyingKeys

FETCHED = "jwks_url"  # the key source of integrations that have no static keys


@dataclass(frozen=True, slots=True, repr=False)
class StaticKeys:
    """The stored keys of an integration; `key_source` determines the format of `text`."""

    key_source: str
    text: str | None

    def parse(self) -> VerifyingKeys[Any]:
        """Return the keys; raises `JwksUnusable` if there is no usable key, and `SealBroken`."""
        read = _READERS.get(self.key_source)
        try:
            keys = read(self.text) if read and self.text else None
        except (KeyError, TypeError, ValueError):
            raise JwksUnusable("The keys that are stored with the integration cannot be read.") from None
        if keys is None or not any(key.algorithms for key in keys.keys):
            raise JwksUnusable("No key is stored with the integration.")
        return keys


class ParsedStaticKeys:
    """The cache of stored keys that this process has parsed."""

    def __init__(self) -> None:
        self._parsed: ParsedKeySets[VerifyingKeys[Any]] = ParsedKeySets()

    def get(self, entity_id: str, stored: StaticKeys) -> VerifyingKeys[Any]:
        """Return the keys; raises `JwksUnusable` if there is no usable key, and `SealBroken`."""
        # With the source, because the same text would mean other keys under another source.
        digest = f"{stored.key_source} {sha256((stored.text or '').encode()).hexdigest()}"
        keys = self._parsed.find(entity_id, digest)
        if keys is None:
            keys = stored.parse()
            self._parsed.keep(entity_id, digest, keys)
        return keys


def static_keys_of(row: Any) -> StaticKeys | None:
    """Return the stored keys of an integration, from its row or its record; None if its keys are fetched."""
    if row.key_source == FETCHED:
        return None
    return StaticKeys(row.key_source, row.jwks if row.key_source == "jwks" else row.static_keys)


def _read_key_set(text: str) -> KeySet:
    return KeySet.parse(text.encode("utf-8", "surrogatepass"))


def _read_certificates(text: str) -> KeySet:
    return KeySet(tuple(_certified(row) for row in _rows(text)), (), is_kid_optional=True)


def _certified(row: Mapping[str, Any]) -> SigningKey:
    certificate = SigningCertificate.parse(row["certificate"])
    return replace(certificate.key, kid=row["kid"], validity=certificate.validity if row["enforce_dates"] else None)


def _read_shared_keys(text: str) -> SharedKeys:
    return SharedKeys(
        tuple(SharedKey.of_secret(unseal(row["sealed"], purpose=row["purpose"]), row["kid"]) for row in _rows(text))
    )


def _rows(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


_READERS: Mapping[str, Callable[[str], VerifyingKeys[Any]]] = MappingProxyType(
    {"jwks": _read_key_set, "certificates": _read_certificates, "shared_key": _read_shared_keys}
)
