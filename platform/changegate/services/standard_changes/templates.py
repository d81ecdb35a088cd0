"""The template of a change: whether a caller may use it, what the change takes from it, and what stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationFailed, RecordNotFound
from changegate.models import StdChangeProducerVersion, StdChangeRecordProducer
from changegate.services.access.caller import Caller
from changegate.services.standard_changes.content import STANDARD, names_in, parse_preset, read_only_of, values_of
from changegate.services.tables.rules import Values

BOUND = (
    "The standard change template {} may only be used by the integrations that it is bound to. Ask an administrator to "
    "add this integration to its integrations"
)
UNBOUND = (
    "The scopes of this access token allow only templates that are bound to its integration. Ask an administrator to "
    "add this integration to the integrations of the template {}"
)
REPLACED = "Version {} of the standard change template was replaced. Create the change from {}"
RETIRED = "The standard change template {} is retired. Choose another template, or a type that people approve"
OTHER_TYPE = "type: a change from a standard change template has the type standard. Leave out the type, or the template"
FIXED = (
    "{}: the standard change template {} decides this field. Create a change of the type Normal to do it differently"
)
_VERSIONS, _TEMPLATES = StdChangeProducerVersion.__table__, StdChangeRecordProducer.__table__
_CURRENT = _VERSIONS.alias("current_row")
_VERSION = Prepared(
    select(
        *(_VERSIONS.c[name] for name in ("name", "active", "template", "mandatory_fields", "read_only_fields")),
        _TEMPLATES.c["name"].label("template_name"),
        _TEMPLATES.c["active"].label("is_offered"),
        _TEMPLATES.c["integrations"],
        _CURRENT.c["name"].label("current_name"),
    )
    .select_from(
        _VERSIONS.join(_TEMPLATES, _TEMPLATES.c["sys_id"] == _VERSIONS.c["std_change_producer"]).outerjoin(
            _CURRENT, _CURRENT.c["sys_id"] == _TEMPLATES.c["current_version"]
        )
    )
    .where(_VERSIONS.c["sys_id"] == parameter("version"))
)
_IS_ACTIVE = Prepared(
    select(_VERSIONS.c["sys_id"]).where(_VERSIONS.c["sys_id"] == parameter("version"), _VERSIONS.c["active"])
)
_OFFERED = Prepared(
    select(
        *(_TEMPLATES.c[name] for name in ("name", "current_version", "template", "read_only_fields", "integrations"))
    ).where(_TEMPLATES.c["sys_id"] == parameter("template"))
)


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A version of a template, and the current settings of the template for its use."""

    name: str
    template_name: str
    current_name: str | None
    is_offered: bool
    is_active: bool
    preset: Mapping[str, str]
    mandatory: tuple[str, ...]
    read_only: tuple[str, ...]
    integrations: tuple[str, ...]

    def require_usable(self, caller: Caller) -> None:
        """Raise `OperationFailed` if the version is not the current one, and `AccessRefused` for other integrations."""
        if not self.is_active:
            replaced = REPLACED.format(self.name, self.current_name)
            raise OperationFailed(replaced if self.is_offered else RETIRED.format(self.template_name))
        if self.integrations and (caller.grant is None or caller.grant.entity not in self.integrations):
            raise AccessRefused("Operation Failed", BOUND.format(self.template_name))


class OfferedTemplate(NamedTuple):
    """A template as callers choose it: its current version, and the fields that they do not decide."""

    name: str
    version: str
    read_only: tuple[str, ...]
    integrations: tuple[str, ...]

    def require_bound(self, entity: str) -> None:
        """Raise `AccessRefused` unless the template is bound to an integration."""
        if entity not in self.integrations:
            raise AccessRefused("Operation Failed", UNBOUND.format(self.name))


def get_offered(template: str) -> OfferedTemplate:
    """Return a template by its sys_id. Raises `RecordNotFound`."""
    row = _OFFERED.first({"template": template}) if template.isprintable() else None
    if row is None or row.current_version is None:
        raise RecordNotFound
    read_only = read_only_of(row.read_only_fields, parse_preset(row.template))
    return OfferedTemplate(row.name, row.current_version, read_only, names_in(row.integrations))


def find_version(version: str | None) -> TemplateVersion | None:
    """Return a version by its sys_id, or None."""
    row = _VERSION.first({"version": version}) if version else None
    if row is None:
        return None
    preset = parse_preset(row.template)
    return TemplateVersion(
        name=row.name,
        template_name=row.template_name,
        current_name=row.current_name,
        is_offered=row.is_offered,
        is_active=row.active,
        preset=preset,
        mandatory=names_in(row.mandatory_fields),
        read_only=read_only_of(row.read_only_fields, preset),
        integrations=names_in(row.integrations),
    )


def is_active(version: str | None) -> bool:
    """Return whether a version is the current one of a template that is not retired."""
    return bool(version) and _IS_ACTIVE.first({"version": version}) is not None


def presets_of(version: str) -> dict[str, str]:
    """Return the texts that a template gives to the fields of a new change."""
    found = find_version(version)
    return {"type": STANDARD, **(found.preset if found else {})}


def begin_from_template(values: Values, caller: Caller) -> list[str]:
    """Give a new change the read-only values of its template; return the mandatory fields that are missing.

    Raises `OperationFailed` and `AccessRefused` for a template that the caller may not use.
    """
    version = find_version(values.get("std_change_producer_version"))
    if version is None:
        return []
    if values.get("type") != STANDARD:
        raise OperationFailed(OTHER_TYPE)
    version.require_usable(caller)
    values |= values_of(version.read_only, version.preset, caller)
    return _empty(version, values)


def keep_template(record: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """Refuse edits of read-only fields in a standard change; return the mandatory fields that an edit empties.

    Raises `OperationFailed`.
    """
    change = {**record, **changes}
    edited = {name for name, value in changes.items() if value != record[name]} - {"state"}
    version = find_version(record["std_change_producer_version"]) if edited and change["type"] == STANDARD else None
    if version is None:
        return []
    for name in version.read_only:
        if name in edited:
            raise OperationFailed(FIXED.format(name, version.template_name))
    return [name for name in _empty(version, change) if name in edited]


def _empty(version: TemplateVersion, change: Mapping[str, Any]) -> list[str]:
    return [name for name in version.mandatory if change.get(name) in (None, "")]
