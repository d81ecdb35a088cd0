"""Checks that keys and algorithms fit the chosen key source."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from changegate.models.integration_choices import KEY_SOURCES
from changegate.models.jwt_verifier_map import SHARED_KEY_BYTES

SHARED_KEY = "shared_key"
SHARED_KEY_ALGORITHMS = tuple(SHARED_KEY_BYTES)
# By key source: the field that contains the keys, and the member of a verifier map that does.
KEY_FIELDS = {"jwks_url": "jwks_url", "jwks": "jwks", "certificates": "verifier_maps", SHARED_KEY: "verifier_maps"}
MAP_KEYS = {"certificates": "certificate", SHARED_KEY: "shared_key"}
_NAMES = {"certificate": "certificate", "shared_key": "shared key"}


def require_keys_of_source(data: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Require keys in the field of the key source only; raises `ValidationError`.

    `data` lacks fields of `sent` that were already refused. A shared key may be missing, since the stored one can stay.
    """
    source = data.get("key_source", "jwks_url")
    required_field = KEY_FIELDS[source]
    if not data.get(required_field) and not is_filled(sent.get(required_field)):
        required = "Add at least one map." if required_field == "verifier_maps" else "This field is required."
        raise ValidationError(required, required_field)
    for name in dict.fromkeys(KEY_FIELDS.values()):
        if name != required_field and data.get(name):
            raise ValidationError(f"Leave this empty: the key source is {KEY_SOURCES[source]}.", name)
    if source in MAP_KEYS:
        named = [verifier_map for verifier_map in data.get("verifier_maps", ()) if "name" in verifier_map]
        _require(_faults_of_maps(named, MAP_KEYS[source]), "verifier_maps")


def require_algorithms_of_source(data: Mapping[str, Any]) -> None:
    """Refuse algorithms that do not fit the key source.

    A public key must never verify a shared-key (HMAC) signature: the public key would be the secret.
    """
    if data["key_source"] != SHARED_KEY:
        shared = [name for name in data["algorithms"] if name in SHARED_KEY_ALGORITHMS]
        if shared:
            raise ValidationError(f"{shared[0]} works with shared keys only: choose that key source.", "algorithms")
        return
    others = [name for name in data["algorithms"] if name not in SHARED_KEY_ALGORITHMS]
    if others:
        known = ", ".join(SHARED_KEY_ALGORITHMS)
        raise ValidationError(f"{others[0]} needs public keys; shared keys work with {known}.", "algorithms")
    _require(_short_keys(data["verifier_maps"], data["algorithms"]), "verifier_maps")


def _faults_of_maps(maps: Sequence[Mapping[str, Any]], key_member: str) -> Iterator[str]:
    names: set[str] = set()
    for verifier_map in maps:
        if verifier_map["name"].lower() in names:
            yield f"There are two maps named {verifier_map['name']}."
        names.add(verifier_map["name"].lower())
        for other in _NAMES.keys() - {key_member}:
            if verifier_map.get(other):
                yield f"Map {verifier_map['name']}: leave the {_NAMES[other]} empty, or change the key source."
        # A refused member is missing here; one that was not given is None.
        if key_member == "certificate" and verifier_map.get(key_member, "refused") is None:
            yield f"Map {verifier_map['name']}: give the certificate."


def _short_keys(maps: Sequence[Mapping[str, Any]], algorithms: Sequence[str]) -> Iterator[str]:
    strictest = max(algorithms, key=lambda name: SHARED_KEY_BYTES[name])
    least = SHARED_KEY_BYTES[strictest]
    for verifier_map in maps:
        if verifier_map.get("shared_key") and len(verifier_map["shared_key"].encode()) < least:
            yield f"Map {verifier_map['name']}: {strictest} needs a shared key of at least {least} bytes."


def is_filled(value: Any) -> bool:
    """Return whether a value was given; a blank text was not."""
    return bool(value.strip() if isinstance(value, str) else value)


def _require(faults: Iterator[str], field: str) -> None:
    messages = [*faults]
    if messages:
        raise ValidationError({field: messages})
