"""The fields of an integration: for its schema, for comparisons, and as text that discloses no key."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from changegate.errors import JwksUnusable
from changegate.extensions import db
from changegate.models import JwtVerifierMap, OAuthEntity, SysUser, SysUserGroup
from changegate.models.base import utc_now
from changegate.models.integration_field import Field, Kind
from changegate.models.integration_fields import FIELDS
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.keys.certificate import SigningCertificate, UnusableCertificateError
from changegate.services.tables.change_history import note_changes

DEFAULT_SCOPE = "change_request.create"
# Columns that are changed by other actions than saving the form.
BESIDE_THE_FORM = ("blocked_keys", "client_secret_hash", "token_generation")
SHORT_DIGEST = 12


def fields_of(entity: OAuthEntity) -> dict[str, Any]:
    """Return an integration's fields as plain values, in the form that its schema loads, without shared keys."""
    fields = connection_type_of(entity).fields.values()
    return {field.name: _plain_value(field, getattr(entity, field.name)) for field in fields}


@contextmanager
def changing(entity: OAuthEntity, by: str) -> Iterator[None]:
    """Write the changes that the block makes to an integration, and record them; stamp it only if something differs."""
    before, texts_before = _facts(entity), texts_of_entity(entity)
    yield
    db.session.flush()
    after, texts = _facts(entity), texts_of_entity(entity)
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        # The database increments the stored value, so that two concurrent writers do not get the same number.
        entity.sys_mod_count = OAuthEntity.sys_mod_count + 1
        entity.sys_updated_by, entity.sys_updated_on = by, utc_now()
        db.session.flush()
        note_changes(entity, {name: (texts_before[name], texts[name]) for name in changed}, by=by)


def texts_of_entity(entity: OAuthEntity) -> dict[str, str]:
    """Return every field of an integration as text."""
    beside = {"blocked_keys": "\n".join(entity.blocked_keys or ()), "client_secret_hash": ""}
    return texts_of(fields_of(entity)) | beside | {"token_generation": str(entity.token_generation)}


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return fields as text, from stored or entered values."""
    return {
        name: _TEXTS.get(FIELDS[name].kind, _text)(value) if value else _text(value) for name, value in fields.items()
    }


def map_facts(stored: JwtVerifierMap) -> tuple[Any, ...]:
    """Return the properties by which verifier maps are compared; a shared key is sealed."""
    certificate = stored.certificate.fingerprint if stored.certificate else ""
    return (stored.name, stored.kid or "", stored.enforce_dates, stored.active, certificate, stored.shared_key or "")


def map_text(facts: tuple[Any, ...]) -> str:
    """Return a verifier map as text."""
    name, kid, enforces_dates, is_active, fingerprint, *_ = facts
    key = f"certificate {fingerprint[:SHORT_DIGEST]}" if fingerprint else "shared key"
    extras = [f"kid {kid}"] if kid else []
    extras += [] if is_active else ["not active"]
    extras += [] if enforces_dates else ["beyond its dates"]
    return f"{name} ({', '.join([key, *extras])})"


def _facts(entity: OAuthEntity) -> dict[str, Any]:
    beside = {name: getattr(entity, name) or None for name in BESIDE_THE_FORM}
    maps = {"verifier_maps": sorted(map(map_facts, entity.jwt_verifier_maps))}
    return fields_of(entity) | beside | (maps if connection_type_of(entity).has_provider else {})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value).strip()


def _key_set_text(value: Any) -> str:
    text = "\n".join(str(value or "").split())
    return f"Key set {hashlib.sha256(text.encode()).hexdigest()[:SHORT_DIGEST]}" if text else ""


def _condition_texts(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(map(_condition_text, rows))


def _condition_text(row: Mapping[str, Any]) -> str:
    value = ", ".join(_plain(row["value"]).splitlines())
    extra = " (only reports)" if row["report_only"] else ""
    return f"{row['claim']} {row['operator']} {value}".strip() + extra


def _plain(value: Any) -> str:
    """Return a value of a claim as text, in the notation of the form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(map(_plain, value)) if isinstance(value, list) else _text(value)


def _map_texts(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(map(_map_text_of_fields, sorted(rows, key=lambda row: str(row.get("name")))))


def _map_text_of_fields(row: Mapping[str, Any]) -> str:
    facts = (
        row.get("name", ""),
        row.get("kid"),
        row["enforce_dates"],
        row.get("active") is not False,
        _fingerprint(row),
    )
    return map_text(facts) + (" with a new key" if row.get("shared_key") else "")


def _fingerprint(row: Mapping[str, Any]) -> str:
    if not row.get("certificate"):
        return ""
    try:
        return SigningCertificate.parse(row["certificate"]).fingerprint
    except (UnusableCertificateError, JwksUnusable):
        return "unreadable"


def _plain_value(field: Field, value: Any) -> Any:
    match field.kind:
        case Kind.USER:
            return _name_of(SysUser, "user_name", value)
        case Kind.GROUP:
            return _name_of(SysUserGroup, "name", value)
        case Kind.DATE:
            return value.isoformat() if value else None
        case Kind.CONDITIONS:
            return value or []
        case _ if field.name == "scopes":
            return [scope.name for scope in value]
        case _:
            return value


def _name_of(model: type[Any], field: str, sys_id: str | None) -> str | None:
    record = db.session.get(model, sys_id) if sys_id else None
    return getattr(record, field) if record else None


_TEXTS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.KEY_SET: _key_set_text,
    Kind.CONDITIONS: _condition_texts,
    Kind.VERIFIER_MAPS: _map_texts,
}
