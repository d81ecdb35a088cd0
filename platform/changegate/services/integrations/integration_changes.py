"""The comparison of an integration's validated fields with the stored ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from changegate.models import OAuthEntity
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE, fields_of, map_facts, map_text
from changegate.services.integrations.verifier_maps import ValidatedMap

Change = tuple[Any, Any]  # the stored value, and the new one


def keep_equal(entity: OAuthEntity, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return validated fields, with the stored value in place of each value that has the same meaning.

    The case of a user name, the order of algorithms, and a browser's line breaks do not matter. If such differences
    were written, they would show in the history, and another order of algorithms would revoke ID tokens.
    """
    before = fields_of(entity)
    compared = [name for name in _MEANINGS if name in before]
    equal = [name for name in compared if _MEANINGS[name](before[name]) == _MEANINGS[name](fields[name])]
    return {**fields, **{name: before[name] for name in equal}}


def list_changes(entity: OAuthEntity, fields: Mapping[str, Any], maps: Sequence[ValidatedMap]) -> dict[str, Change]:
    """Return the fields that differ from the stored ones; `maps` are the verifier maps of `fields`."""
    before = fields_of(entity)
    after = {name: fields[name] for name in before}
    after["scopes"] = sorted(after["scopes"] or [DEFAULT_SCOPE])
    after["review_date"] = after["review_date"].isoformat() if after["review_date"] else None
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


def _caseless(user_name: str | None) -> str:
    return (user_name or "").lower()


def _lines(text: str | None) -> list[str]:
    return (text or "").splitlines()


_MEANINGS: Mapping[str, Callable[[Any], Any]] = {
    "run_as": _caseless,
    "owner": _caseless,
    "algorithms": sorted,
    "comments": _lines,
    "jwks": _lines,
}
