"""A file of integrations: `integrations:` with a list, each with the fields of the integration schema."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from changegate.errors import ChangegateError, InputInvalid
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import JWT_BEARER
from changegate.schemas.claim_condition_text import render_condition_text
from changegate.schemas.integration_input import defaults_for
from changegate.schemas.presets import find_preset
from changegate.services.integrations.integration_fields import fields_of
from changegate.yaml_text import (
    Place,
    Placed,
    Unreadable,
    list_items,
    mapping_items,
    parse_yaml,
    place_of,
    read_mapping,
    render_item,
    render_place,
)

TOP = "integrations"
MAX_INTEGRATIONS = 1000
HEAD = "# Inbound integrations, for `changegate integration apply -f`, without secrets.\n"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An integration in a file."""

    file: str
    placed: Placed

    @property
    def name(self) -> str:
        """Return its name, empty if it is missing or not a string."""
        name = self.placed.value.get("name")
        return name.strip() if isinstance(name, str) else ""

    def refused(self, problem: InputInvalid) -> ChangegateError:
        """Return a refusal with a line for each field, with its place in the file."""
        return ChangegateError("\n".join(self.placed.explain(self.file, problem.fields)))


def read_file(text: str, *, shown_as: str) -> list[FileEntry]:
    """Return the integrations of a file; raises `ChangegateError` with the place of the error."""
    try:
        entries = [FileEntry(shown_as, read_mapping(node)) for node in _nodes(text)]
        _require_names_of_their_own(entries)
    except Unreadable as problem:
        raise ChangegateError(f"{shown_as}, {problem.message}") from None
    return entries


def render_file(entities: Iterable[OAuthEntity]) -> str:
    """Return the text of a file for integrations, without defaults and secrets."""
    entries = [render_item(_said(entity), f"client id: {entity.client_id}") for entity in entities]
    return HEAD + (f"{TOP}:\n" + "\n".join(entries) if entries else f"{TOP}: []\n")


def _nodes(text: str) -> list[Any]:
    root = parse_yaml(text)
    if root is None:
        raise Unreadable((1, 1), f"Write the integrations as a list under {TOP}.")
    nodes: list[Any] | None = None
    for key, place, node in mapping_items(root):
        if key != TOP:
            raise Unreadable(place, f"Unknown key; write the integrations as a list under {TOP}.")
        nodes = list_items(node)
    if nodes is None:
        raise Unreadable(place_of(root), f"Write the integrations as a list under {TOP}.")
    if len(nodes) > MAX_INTEGRATIONS:
        raise Unreadable(place_of(root), f"A file may contain at most {MAX_INTEGRATIONS} integrations.")
    return nodes


def _require_names_of_their_own(entries: list[FileEntry]) -> None:
    seen: dict[str, Place] = {}
    for entry in entries:
        name, place = entry.name.lower(), entry.placed.keys.get("name", entry.placed.place)
        if name and name in seen:
            raise Unreadable(place, f"The name is already used in {render_place(seen[name])}.")
        seen[name] = place


def _said(entity: OAuthEntity) -> dict[str, Any]:
    """Return the fields of an integration that a file must contain.

    Fields with the value of the preset are included, since a later release may change the preset.
    """
    fields = fields_of(entity)
    preset = find_preset(fields.get("preset"))
    of_preset = {*defaults_for(preset, entity.type)} - {"enable_jti_verification"} if preset else set()
    if TYPES[entity.type].has_provider:
        _say_trust(fields, entity.client_id)
    usual = {name: field.blank for name, field in TYPES[entity.type].fields.items()} | {"type": JWT_BEARER}
    return {name: value for name, value in fields.items() if name in of_preset or value != usual[name]}


def _say_trust(fields: dict[str, Any], client_id: str) -> None:
    if fields["audiences"] == [client_id]:
        del fields["audiences"]
    # `replay_policy` implies it.
    del fields["enable_jti_verification"]
    fields["claim_conditions"] = [render_condition_text(condition) for condition in fields["claim_conditions"]]
    fields["verifier_maps"] = [_said_map(verifier_map) for verifier_map in fields["verifier_maps"]]


def _said_map(verifier_map: dict[str, Any]) -> dict[str, Any]:
    usual = {"kid": None, "enforce_dates": True, "active": True}
    return {name: value for name, value in verifier_map.items() if name not in usual or value != usual[name]}
