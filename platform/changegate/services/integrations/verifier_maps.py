"""Keys that an administrator enters for an integration: their validation, storage, and form for exchanges."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from changegate.errors import InputInvalid, JwksUnusable, SealBroken
from changegate.models import JwtVerifierMap, OAuthEntity, SysCertificate
from changegate.models.base import new_sys_id
from changegate.models.jwt_verifier_map import SHARED_KEY_BYTES
from changegate.sealed import seal, unseal
from changegate.services.integrations.integration_fields import map_facts
from changegate.services.keys.certificate import SigningCertificate, UnusableCertificateError
from changegate.services.keys.key_set import KeySet

LEAKED_KEY = (
    "Key {} is not public: {}. It was not stored. Consider it leaked: have its owner replace it, and paste the public "
    "keys only."
)
WARN_AHEAD = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class ValidatedMap:
    """A validated verifier map; `sealed` is its shared key, sealed for the record with this `sys_id`."""

    sys_id: str
    name: str
    kid: str | None
    enforce_dates: bool
    active: bool
    certificate: SigningCertificate | None = None
    sealed: str | None = None

    def facts(self) -> tuple[Any, ...]:
        """Return what `map_facts` returns once the map is stored."""
        certificate = self.certificate.fingerprint if self.certificate else ""
        return (self.name, self.kid or "", self.enforce_dates, self.active, certificate, self.sealed or "")

    def as_row(self) -> dict[str, Any]:
        """Return the map in the form that exchanges read (`static_keys`)."""
        if self.certificate is not None:
            return {"kid": self.kid, "certificate": self.certificate.der, "enforce_dates": self.enforce_dates}
        return {"kid": self.kid, "sealed": self.sealed, "purpose": _purpose(self.sys_id)}


def store_keys(entity: OAuthEntity, maps: Sequence[ValidatedMap], *, by: str) -> None:
    """Store the verifier maps that `validate_keys` returned for the new fields of an integration."""
    entity.static_keys = render_keys(maps)
    stored = {record.sys_id: record for record in entity.jwt_verifier_maps}
    entity.jwt_verifier_maps = [_record(stored.get(map_.sys_id), map_, by) for map_ in maps]


def validate_keys(entity: OAuthEntity | None, fields: Mapping[str, Any]) -> list[ValidatedMap]:
    """Validate the keys of fields and return their maps; raises `InputInvalid`.

    Key sources without verifier maps have no maps. A shared key that is left out is taken from the stored map of the
    same name.
    """
    if fields["key_source"] == "jwks":
        _require_public_keys(fields["jwks"])
    entered = fields.get("verifier_maps") or []
    stored = {record.name: record for record in entity.jwt_verifier_maps} if entity else {}
    maps = [_validate_map(values, stored.get(values["name"]), fields) for values in entered]
    if maps and not any(map_.active for map_ in maps):
        raise InputInvalid({"verifier_maps": ["Leave at least one map active, or disable the integration."]})
    return maps


def render_keys(maps: Sequence[ValidatedMap]) -> str | None:
    """Return the active maps in the form that exchanges read, or None without an active map."""
    rows = [map_.as_row() for map_ in sorted(maps, key=lambda map_: map_.name) if map_.active]
    return json.dumps(rows) if rows else None


def list_certificate_warnings(entity: OAuthEntity, at: datetime) -> list[str]:
    """Return a sentence for each certificate that is not valid now, or that expires within 30 days."""
    dated = [(map_, map_.certificate) for map_ in entity.jwt_verifier_maps if map_.active and map_.certificate]
    return [warning for map_, certificate in dated if (warning := _warning(map_, certificate, at))]


def _require_public_keys(text: str) -> None:
    try:
        key_set = KeySet.parse(text.encode("utf-8", "surrogatepass"))
    except JwksUnusable as problem:
        raise InputInvalid({"jwks": [problem.message]}) from None
    leaked = [LEAKED_KEY.format(key.kid or "without kid", key.reason) for key in key_set.ignored if key.alarm]
    if leaked:
        raise InputInvalid({"jwks": leaked})


def _validate_map(values: Mapping[str, Any], stored: JwtVerifierMap | None, fields: Mapping[str, Any]) -> ValidatedMap:
    was_active = stored is None or stored.active
    facts: dict[str, Any] = {
        "sys_id": stored.sys_id if stored else new_sys_id(),
        "active": was_active if values.get("active") is None else values["active"],
        **{name: values[name] for name in ("name", "kid", "enforce_dates")},
    }
    if fields["key_source"] == "certificates":
        return ValidatedMap(**facts, certificate=_certificate(values))
    return ValidatedMap(**facts, sealed=_sealed(facts["sys_id"], values, stored, fields["algorithms"]))


def _certificate(values: Mapping[str, Any]) -> SigningCertificate:
    try:
        return SigningCertificate.parse(values["certificate"])
    except UnusableCertificateError as problem:
        raise _refused(values, str(problem)) from None


def _sealed(sys_id: str, values: Mapping[str, Any], stored: JwtVerifierMap | None, algorithms: list[str]) -> str:
    """Return the sealed shared key; an unchanged key keeps its stored text, so that it does not count as a change."""
    given = values.get("shared_key")
    kept = _unsealed(stored)
    secret = kept if given is None else given.encode()
    if secret is None:
        raise _refused(values, "give the shared key; none that can be opened is stored under this name.")
    strictest = max(algorithms, key=lambda name: SHARED_KEY_BYTES[name])
    if len(secret) < SHARED_KEY_BYTES[strictest]:
        raise _refused(values, f"{strictest} needs a shared key of at least {SHARED_KEY_BYTES[strictest]} bytes.")
    if stored is not None and stored.shared_key and secret == kept:
        return stored.shared_key
    return seal(secret, purpose=_purpose(sys_id))


def _unsealed(stored: JwtVerifierMap | None) -> bytes | None:
    if stored is None or not stored.shared_key:
        return None
    try:
        return unseal(stored.shared_key, purpose=_purpose(stored.sys_id))
    except SealBroken:
        # It was sealed with another secret key and has to be entered again.
        return None


def _refused(values: Mapping[str, Any], sentence: str) -> InputInvalid:
    return InputInvalid({"verifier_maps": [f"Map {values['name']}: {sentence}"]})


def _record(record: JwtVerifierMap | None, validated: ValidatedMap, by: str) -> JwtVerifierMap:
    if record is not None and map_facts(record) == validated.facts():
        return record
    record = record or JwtVerifierMap(sys_id=validated.sys_id, sys_created_by=by)
    record.sys_updated_by = by
    record.name, record.kid, record.active = validated.name, validated.kid, validated.active
    record.enforce_dates, record.shared_key = validated.enforce_dates, validated.sealed
    if validated.certificate is None:
        record.certificate = None
    elif record.certificate is None or record.certificate.fingerprint != validated.certificate.fingerprint:
        record.certificate = _certificate_record(validated.name, validated.certificate, by)
    return record


def _certificate_record(name: str, given: SigningCertificate, by: str) -> SysCertificate:
    return SysCertificate(
        name=name,
        pem_certificate=given.pem,
        subject=given.subject,
        issuer=given.issuer,
        serial_number=f"{given.certificate.serial_number:x}"[:64],
        valid_from=given.validity.begins_at,
        expires=given.validity.ends_at,
        fingerprint=given.fingerprint,
        thumbprint=given.key.thumbprint,
        sys_created_by=by,
        sys_updated_by=by,
    )


def _warning(map_: JwtVerifierMap, certificate: SysCertificate, at: datetime) -> str | None:
    consequence = "assertions signed with its key are refused" if map_.enforce_dates else "its key is still accepted"
    begins, ends = f"{certificate.valid_from:%Y-%m-%d}", f"{certificate.expires:%Y-%m-%d}"
    if at > certificate.expires:
        return f"The certificate of map {map_.name} expired on {ends}; {consequence}."
    if at < certificate.valid_from:
        return f"The certificate of map {map_.name} is not valid before {begins}; {consequence}."
    if at > certificate.expires - WARN_AHEAD:
        return f"The certificate of map {map_.name} expires on {ends}."
    return None


def _purpose(sys_id: str) -> str:
    return f"jwt_verifier_map {sys_id}"
