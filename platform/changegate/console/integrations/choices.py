"""Choices of the integration form, and the panel about the chosen identity provider."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changegate.console.guards import caller
from changegate.console.integrations.form import PLACE, IntegrationForm
from changegate.extensions import settings
from changegate.models.claim_condition import OPERATORS, VALUE_TYPES
from changegate.models.integration_choices import ALGORITHMS
from changegate.schemas.integration.cautions import REFRESHED, list_cautions
from changegate.schemas.key_source import SHARED_KEY_ALGORITHMS
from changegate.schemas.presets import (
    PLACEHOLDERS,
    PRESETS,
    IssuerForm,
    Placeholder,
    Preset,
    find_by_issuer,
    find_preset,
    find_shared,
)
from changegate.services.scopes.scopes import count_scope_uses, list_scopes
from changegate.services.scopes.sentences import describe_scope
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import Order, equal_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table

MOST_NAMES = 500
# The fields that have a template of their own.
OWN_INPUTS = frozenset(
    path.stem for path in (Path(__file__).parents[1] / "templates" / "console" / "fields").glob("*.html")
)


@dataclass(frozen=True, slots=True)
class ProviderPanel:
    """A provider with its place, its placeholders, and the claims of which it needs a condition on one."""

    preset: Preset
    place: IssuerForm
    placeholders: tuple[Placeholder, ...]
    pins: tuple[str, ...]


def form_choices(form: IntegrationForm) -> dict[str, Any]:
    """Return the choices for the template of the form."""
    scopes = list_scopes()
    return {
        "own_inputs": OWN_INPUTS,
        "users": list_users(),
        "groups": _list_groups(),
        "scopes": scopes,
        "scope_sentences": {scope.sys_id: describe_scope(scope) for scope in scopes},
        "scope_uses": count_scope_uses(),
        "algorithm_groups": {"": ALGORITHMS, "of-shared_key": SHARED_KEY_ALGORITHMS},
        "presets": PRESETS,
        "provider": _provider(form),
        "recognized": _recognized(form),
        "cautions": _cautions(form),
        "refresh_caution": REFRESHED,
        "operators": OPERATORS,
        "value_types": VALUE_TYPES,
    }


def _cautions(form: IntegrationForm) -> list[str]:
    # The lifespan of refresh tokens is shown with its checkbox, checked or not.
    fields = {"type": form.connection.name}
    return list_cautions(fields, is_password_grant_on=settings().password_grant_enabled)


def _recognized(form: IntegrationForm) -> Preset | None:
    is_left_open = form.connection.has_provider and not form.values["preset"]
    return find_by_issuer(form.values["issuer"].strip()) if is_left_open else None


def _provider(form: IntegrationForm) -> ProviderPanel | None:
    preset = find_preset(form.values.get("preset"))
    if preset is None:
        return None
    place = next((place for place in preset.issuers if place.name == form.values[PLACE]), preset.issuers[0])
    placeholders = tuple(PLACEHOLDERS[name] for name in place.placeholders)
    is_shared = place.is_shared or find_shared(form.values["issuer"].strip()) is not None
    pins = tuple(dict.fromkeys(pin.claim for pin in preset.pins)) if is_shared else ()
    return ProviderPanel(preset, place, placeholders, pins)


def list_users() -> list[tuple[str, str]]:
    """Return (user name, name) of active users as suggestions; other user names can be typed."""
    return [(user["user_name"], user["name"]) for user in _list_active("sys_user", "user_name", "name")]


def _list_groups() -> list[str]:
    return [group["name"] for group in _list_active("sys_user_group", "name")]


def _list_active(table: str, *fields: str) -> Iterable[Mapping[str, str]]:
    query = equal_query("active", "true", Order("name"))
    shape = Shape(settings().base_url, fields=fields)
    return read_page(get_table(table), caller(), query, shape, limit=MOST_NAMES, offset=0).records
