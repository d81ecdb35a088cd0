"""The comparison of an integration's validated fields with the stored ones."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from changegate.models import OAuthEntity
from changegate.models.integration_field import Kind
from changegate.models.integration_fields import FIELDS
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE, fields_of, map_facts, map_text
from changegate.services.integrations.verifier_maps import ValidatedMap

Change = tuple[Any, Any]  # the stored value, and the new one


def keep_equal(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return validated fields, with the stored value in place of each value that has the same meaning.

    The case of names of users and groups, the order of algorithms, and a browser's line breaks do not matter. If such
    differences were written, they would show in the history, and another order of algorithms would revoke ID tokens.
    """
    before = fields_of(entity)
    equal = {name: value for name, value in before.items() if _meaning(name, value) == _meaning(name, fields[name])}
    return {**fields, **equal}


def list_changes(entity: OAuthEntity, fields: Mapping[str, Any], maps: Sequence[ValidatedMap]) -> dict[str, Change]:
    """Return the fields that differ from the stored ones; `maps` are the verifier maps of `fields`."""
    before = fields_of(entity)
    after = {name: fields[name] for name in before}
    after = {name: value.isoformat() if isinstance(value, date) else value for name, value in after.items()}
    after["scopes"] = sorted(after["scopes"] or [DEFAULT_SCOPE])
    if "audiences" in after:
        after["audiences"] = after["audiences"] or [entity.client_id]
    changes = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    changes.pop("verifier_maps", None)
    return changes | _changes_of_maps(entity, maps)


def _changes_of_maps(entity: OAuthEntity, maps: Sequence[ValidatedMap]) -> dict[str, Change]:
    # Verifier maps are compared by their keys, not by the text that was entered.
    before = sorted(map(map_facts, entity.jwt_verifier_maps))
    after = sorted(map_.facts() for map_ in maps)
    if before == after:
        return {}
    return {"verifier_maps": ([map_text(facts) for facts in before], [map_text(facts) for facts in after])}


def _meaning(name: str, value: Any) -> Any:
    """Return what two values of a field must have in common to mean the same."""
    match FIELDS[name].kind:
        case Kind.USER | Kind.GROUP:
            return (value or "").lower()
        case Kind.NAMES:
            return sorted(value)
        case Kind.TEXT | Kind.KEY_SET:
            return (value or "").splitlines()
        case _:
            return value
