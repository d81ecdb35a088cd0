"""An integration as its schema takes it, and what a change of it would alter; nothing is written without a difference.

Files that are applied again and again would otherwise end tokens and stamp records each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.integration_fields import fields_of, map_facts, map_text, names_of
from changegate.services.integrations.integrations import DEFAULT_SCOPE, TAKEN, update_integration
from changegate.services.integrations.verifier_maps import JudgedMap, judge_keys

Change = tuple[Any, Any]  # what it was, what it is from now on


@dataclass(frozen=True, slots=True, repr=False)
class Changed:
    """What a change altered, by field, and the secret of a client that was public until now."""

    changes: Mapping[str, Change]
    client_secret: str | None = None


def list_changes(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Change]:
    """Return what validated fields of the schema would alter; raises `InputInvalid` for keys that cannot be used."""
    before = fields_of(entity)
    wanted = _as_stored(entity, before, fields)
    found = {name: (before[name], wanted[name]) for name in names_of(entity) if before[name] != wanted[name]}
    return found | (_changes_of_maps(entity, fields) if connection_type_of(entity).has_provider else {})


def change_integration(entity: OAuthEntity, fields: Mapping[str, Any], *, by: str) -> Changed:
    """Change an integration to validated fields, and leave it alone where they alter nothing; raises `InputInvalid`."""
    changes = list_changes(entity, fields)
    if not changes:
        return Changed({})
    try:
        return Changed(changes, update_integration(entity, dict(fields), by=by))
    except IntegrityError:  # somebody else took the name between the check and now
        db.session.rollback()
        raise InputInvalid({"name": [TAKEN.format(fields["name"])]}) from None


def _as_stored(entity: OAuthEntity, before: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: fields[name] for name in before}
    for name in {"run_as", "owner"} & wanted.keys():
        if (before[name] or "").lower() == (wanted[name] or "").lower():
            wanted[name] = before[name]
    wanted["scopes"] = sorted(wanted["scopes"] or [DEFAULT_SCOPE])
    wanted["review_date"] = wanted["review_date"].isoformat() if wanted["review_date"] else None
    if not connection_type_of(entity).has_provider:
        return wanted
    # Keys are compared by what they are, not by how they are written.
    audiences = wanted["audiences"] or [entity.client_id]
    return wanted | {"audiences": audiences, "verifier_maps": before["verifier_maps"]}


def _changes_of_maps(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Change]:
    before = sorted(map(map_facts, entity.jwt_verifier_maps))
    after = sorted(map(_judged_facts, judge_keys(entity, fields)))
    if before == after:
        return {}
    return {"verifier_maps": ([map_text(facts) for facts in before], [map_text(facts) for facts in after])}


def _judged_facts(judged: JudgedMap) -> tuple[Any, ...]:
    certificate = judged.certificate.fingerprint if judged.certificate else ""
    return (judged.name, judged.kid or "", judged.enforce_dates, judged.active, certificate, judged.sealed or "")
