"""Applying a file of integrations: all of them or none; unchanged integrations are not written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from changegate.cli.integrations.integration_file import FileEntry
from changegate.cli.integrations.refusals import BY
from changegate.errors import ChangegateError, InputInvalid
from changegate.models import OAuthEntity
from changegate.schemas.integration_input import load_integration, load_replacement
from changegate.services.integrations.integration_changes import Change
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import list_integrations
from changegate.services.integrations.saving import change_integration, register_integration


@dataclass(frozen=True, slots=True, repr=False)
class Applied:
    """The result for an integration: `create`, `change`, or `keep`; a new secret is only available here."""

    name: str
    action: str
    client_id: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    client_secret: str | None = None


def apply_integrations(entries: Sequence[FileEntry]) -> list[Applied]:
    """Write all integrations of a file without committing; raises `ChangegateError`.

    All fields are validated before the first write, so that all errors are reported at once.
    """
    known = {entity.name.lower(): entity for entity in list_integrations()}
    loaded, refused = [], []
    for entry in entries:
        entity = known.get(entry.name.lower())
        try:
            loaded.append((entry, entity, _load(entry, entity)))
        except InputInvalid as problem:
            refused.append(entry.refused(problem).message)
    if refused:
        raise ChangegateError("\n".join(refused))
    return [_apply(entry, entity, fields) for entry, entity, fields in loaded]


def _load(entry: FileEntry, entity: OAuthEntity | None) -> dict[str, Any]:
    given = entry.placed.value
    return load_integration(given) if entity is None else load_replacement(given, fields_of(entity))


def _apply(entry: FileEntry, entity: OAuthEntity | None, fields: dict[str, Any]) -> Applied:
    try:
        if entity is None:
            made = register_integration(fields, by=BY)
            return Applied(made.entity.name, "create", made.entity.client_id, client_secret=made.client_secret)
        changed = change_integration(entity, fields, by=BY)
    except InputInvalid as problem:
        raise entry.refused(problem) from None
    action = "change" if changed.changes else "keep"
    return Applied(entity.name, action, entity.client_id, changed.changes, changed.client_secret)
