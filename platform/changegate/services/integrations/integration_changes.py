"""The comparison of an integration with new values for its fields; nothing is written unless something differs.

Otherwise, applying the same file repeatedly would revoke tokens and stamp records each time.
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

Change = tuple[Any, Any]  # the value before and after


@dataclass(frozen=True, slots=True, repr=False)
class Changed:
    """The changes by field, and the new secret of a client that was public until now."""

    changes: Mapping[str, Change]
    client_secret: str | None = None


def list_changes(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Change]:
    """Return the changes that validated fields would make; raises `InputInvalid` for unusable keys."""
    before = fields_of(entity)
    after = _as_stored(entity, before, fields)
    changes = {name: (before[name], after[name]) for name in names_of(entity) if before[name] != after[name]}
    return changes | (_changes_of_maps(entity, fields) if connection_type_of(entity).has_provider else {})


def change_integration(entity: OAuthEntity, fields: Mapping[str, Any], *, by: str) -> Changed:
    """Update an integration to validated fields if they change anything; raises `InputInvalid`."""
    changes = list_changes(entity, fields)
    if not changes:
        return Changed({})
    try:
        return Changed(changes, update_integration(entity, dict(fields), by=by))
    except IntegrityError:  # A concurrent request took the name after the check.
        db.session.rollback()
        raise InputInvalid({"name": [TAKEN.format(fields["name"])]}) from None


def _as_stored(entity: OAuthEntity, before: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: fields[name] for name in before}
    for name in {"run_as", "owner"} & values.keys():
        if (before[name] or "").lower() == (values[name] or "").lower():
            values[name] = before[name]
    values["scopes"] = sorted(values["scopes"] or [DEFAULT_SCOPE])
    values["review_date"] = values["review_date"].isoformat() if values["review_date"] else None
    if not connection_type_of(entity).has_provider:
        return values
    # `_changes_of_maps` compares verifier maps by their keys, not by the text that was entered.
    audiences = values["audiences"] or [entity.client_id]
    return values | {"audiences": audiences, "verifier_maps": before["verifier_maps"]}


def _changes_of_maps(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Change]:
    before = sorted(map(map_facts, entity.jwt_verifier_maps))
    after = sorted(map(_judged_facts, judge_keys(entity, fields)))
    if before == after:
        return {}
    return {"verifier_maps": ([map_text(facts) for facts in before], [map_text(facts) for facts in after])}


def _judged_facts(judged: JudgedMap) -> tuple[Any, ...]:
    certificate = judged.certificate.fingerprint if judged.certificate else ""
    return (judged.name, judged.kid or "", judged.enforce_dates, judged.active, certificate, judged.sealed or "")
