"""Input about an integration from API callers, commands, and files, completed for the integration schema.

The form shows what a preset fills in before it is saved. Other callers get the same result: values of the preset are
the defaults. `placeholders` and `place` are given instead of issuer and JWKS URL.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from changegate.errors import InputInvalid
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import ID_TOKEN
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration import load_fields, type_of
from changegate.schemas.key_source import KEY_FIELDS, SHARED_KEY
from changegate.schemas.presets import Filled, Preset, defaults_of, fill, find_preset, recognize

PLACEHOLDERS, PLACE = "placeholders", "place"
# Pairs of alternative fields: giving one overrides the other.
ALTERNATIVES = {
    "run_as": "user_field",
    "user_field": "run_as",
    "replay_policy": "enable_jti_verification",
    "enable_jti_verification": "replay_policy",
}
FIXED = "The connection type cannot be changed; register another integration."


def load_integration(given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return validated fields of a complete integration that replaces the stored one, if any.

    Raises `InputInvalid`.
    """
    connection_type = _type(given)
    if not TYPES[connection_type].has_provider:
        return _load(_without_provider(given, connection_type))
    preset = find_preset(_text(given, "preset"))
    fields = _without_place(given)
    if _says_place(given) or (preset and not _text(fields, "issuer")):
        fields = _filled_in(given, preset, fields)
    elif preset:
        fields = _with_urls(_recognized(fields), fields)
    defaults = defaults_for(preset, connection_type) if preset else {}
    ruled_out = {ALTERNATIVES.get(name) for name in given}
    if given.get("key_source") == SHARED_KEY:
        ruled_out.add("algorithms")
    return _load({name: value for name, value in defaults.items() if name not in ruled_out} | fields, stored)


def load_replacement(given: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return validated fields that replace the stored ones; raises `InputInvalid`.

    If `active` is not given, it keeps its value, so that a file does not activate what an administrator deactivated. So
    do `require_email_verified` and `public_client`, whose defaults differ from the values of older integrations.
    """
    _require_type(given, stored)
    kept = {name: stored[name] for name in ("active", "require_email_verified", "public_client") if name in stored}
    return load_integration({**kept, **given}, stored)


def load_change(given: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return validated fields, with those of `stored` as defaults; raises `InputInvalid`."""
    if _text(given, "type"):
        _require_type(given, stored)
    if not TYPES[stored["type"]].has_provider:
        return _load({**stored, **_without_provider(given, stored["type"]), "type": stored["type"]})
    changed = _without_place(given)
    if _says_place(given):
        changed = _filled_in(given, find_preset(_text({**stored, **given}, "preset")), changed)
    changed["type"] = stored["type"]
    source = changed.get("key_source") or stored["key_source"]
    ruled_out = {ALTERNATIVES.get(name) for name, value in changed.items() if value not in ("", None)}
    if source != stored["key_source"]:
        ruled_out |= {*KEY_FIELDS.values()}
        ruled_out |= {"algorithms"} if SHARED_KEY in (source, stored["key_source"]) else set()
    return _load({name: value for name, value in stored.items() if name not in ruled_out} | changed, stored)


def defaults_for(preset: Preset, connection_type: str) -> dict[str, Any]:
    """Return the fields that a preset sets in an integration of a type.

    The replay policy of a preset is for assertions. It is left out for ID tokens, which would be accepted for only one
    call.
    """
    defaults = defaults_of(preset)
    if connection_type == ID_TOKEN:
        del defaults["replay_policy"], defaults["enable_jti_verification"]
    return defaults


def _type(given: Mapping[str, Any]) -> str:
    try:
        return type_of(given)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None


def _require_type(given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    if _type(given) != stored["type"]:
        raise InputInvalid({"type": [FIXED]})


def _without_provider(given: Mapping[str, Any], connection_type: str) -> dict[str, Any]:
    said = [name for name in (PLACEHOLDERS, PLACE) if given.get(name)]
    if said:
        raise InputInvalid({name: [f"{TYPES[connection_type].noun} has no identity provider."] for name in said})
    return _without_place(given)


def _load(fields: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        return load_fields(fields, stored)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None


def _text(given: Mapping[str, Any], name: str) -> str:
    """Return a trimmed string, "" for None, and "?" for any other value, which the schema refuses later."""
    value = given.get(name)
    return value.strip() if isinstance(value, str) else "" if value is None else "?"


def _says_place(given: Mapping[str, Any]) -> bool:
    return bool(given.get(PLACEHOLDERS) or given.get(PLACE))


def _without_place(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in (PLACEHOLDERS, PLACE)}


def _with_urls(filled: Filled | None, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields, with the URLs of the provider as defaults."""
    if filled is None:
        return fields
    urls = {"issuer": filled.issuer}
    if fields.get("key_source", "jwks_url") == "jwks_url":
        urls["jwks_url"] = filled.jwks_url
    return {**urls, **{name: value for name, value in fields.items() if name not in urls or value}}


def _recognized(fields: Mapping[str, Any]) -> Filled | None:
    recognized = recognize(_text(fields, "issuer"))
    return recognized.filled if recognized else None


def _filled_in(given: Mapping[str, Any], preset: Preset | None, fields: dict[str, Any]) -> dict[str, Any]:
    if preset is None:
        # An unknown preset is refused by the schema, with a better message.
        if _text(given, "preset"):
            return fields
        raise InputInvalid({PLACEHOLDERS: ["Choose the preset that these placeholders belong to."]})
    if _text(fields, "issuer"):
        raise InputInvalid({PLACEHOLDERS: ["Give either the issuer or its placeholders, not both."]})
    return _with_urls(_filled(preset, given.get(PLACEHOLDERS) or {}, given.get(PLACE) or None), fields)


def _filled(preset: Preset, placeholders: Any, place: Any) -> Filled:
    if not isinstance(placeholders, Mapping) or not all(isinstance(value, str) for value in placeholders.values()):
        raise InputInvalid({PLACEHOLDERS: ["Give the placeholders by name, as strings."]})
    known = [form for form in preset.issuers if place in (None, form.name)]
    if not known:
        names = ", ".join(form.name for form in preset.issuers)
        raise InputInvalid({PLACE: [f"{preset.label} has no such place; it has {names}."]})
    parts = known[0].placeholders
    if {*placeholders} - {*parts}:
        names = ", ".join(parts) or "none"
        raise InputInvalid({PLACEHOLDERS: [f"The placeholders of this issuer of {preset.label} are: {names}."]})
    try:
        return fill(preset, {name: value.strip() for name, value in placeholders.items()}, form=known[0].name)
    except InputInvalid as problem:
        texts = [f"{name}: {' '.join(sentences)}" for name, sentences in problem.fields.items()]
        raise InputInvalid({PLACEHOLDERS: texts}) from None
