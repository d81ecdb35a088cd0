"""What belongs to each key source: the fields that hold its keys, and the algorithms that they are made for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from changegate.models.jwt_verifier_map import SHARED_KEY_BYTES
from changegate.models.oauth_entity import KEY_SOURCES

SHARED_KEY = "shared_key"
SHARED_KEY_ALGORITHMS = tuple(SHARED_KEY_BYTES)
# Where the keys of each source are, and what a verifier map of it holds.
KEY_FIELDS = {"jwks_url": "jwks_url", "jwks": "jwks", "certificates": "verifier_maps", SHARED_KEY: "verifier_maps"}
MAP_KEYS = {"certificates": "certificate", SHARED_KEY: "shared_key"}
_NAMES = {"certificate": "certificate", "shared_key": "shared key"}


def require_keys_of_source(data: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Take the keys from exactly one place; raises `ValidationError`.

    `data` lacks what was `sent` and refused already. A shared key may be left out, since the one that is stored may
    stay.
    """
    source = data.get("key_source", "jwks_url")
    wanted = KEY_FIELDS[source]
    if not data.get(wanted) and not _is_filled(sent.get(wanted)):
        required = "Add at least one map." if wanted == "verifier_maps" else "This field is required."
        raise ValidationError(required, wanted)
    for name in dict.fromkeys(KEY_FIELDS.values()):
        if name != wanted and data.get(name):
            raise ValidationError(f"Leave this empty: the key source is {KEY_SOURCES[source]}.", name)
    if source in MAP_KEYS:
        named = [one for one in data.get("verifier_maps", ()) if "name" in one]
        _require(_faults_of_maps(named, MAP_KEYS[source]), "verifier_maps")


def require_algorithms_of_source(data: Mapping[str, Any]) -> None:
    """Keep shared-key algorithms and those of public keys apart: none is ever judged by the other's key."""
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


def _faults_of_maps(maps: Sequence[Mapping[str, Any]], wanted: str) -> Iterator[str]:
    names: set[str] = set()
    for one in maps:
        if one["name"].lower() in names:
            yield f"There are two maps named {one['name']}."
        names.add(one["name"].lower())
        for other in _NAMES.keys() - {wanted}:
            if one.get(other):
                yield f"Map {one['name']}: leave the {_NAMES[other]} empty, or change the key source."
        # One that was refused is not there at all; one that was left out is None.
        if wanted == "certificate" and one.get(wanted, "refused") is None:
            yield f"Map {one['name']}: give the certificate."


def _short_keys(maps: Sequence[Mapping[str, Any]], algorithms: Sequence[str]) -> Iterator[str]:
    strictest = max(algorithms, key=lambda name: SHARED_KEY_BYTES[name])
    least = SHARED_KEY_BYTES[strictest]
    for one in maps:
        if one.get("shared_key") and len(one["shared_key"].encode()) < least:
            yield f"Map {one['name']}: {strictest} needs a shared key of at least {least} bytes."


def _is_filled(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


def _require(faults: Iterator[str], field: str) -> None:
    found = [*faults]
    if found:
        raise ValidationError({field: found})
