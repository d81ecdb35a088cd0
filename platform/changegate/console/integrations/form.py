"""The integration form: conversion between the browser's form and the fields of the schema, without losing input."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from changegate.console.integrations.rows import ROW_KINDS
from changegate.console.stale_forms import VERSION
from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.models.connection_type import TYPES, ConnectionType
from changegate.models.integration_choices import ALGORITHMS, DEFAULT_ALGORITHMS, JWT_BEARER, KEY_SOURCES
from changegate.models.integration_field import Field, Kind
from changegate.models.integration_fields import FIELDS
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration import load_fields
from changegate.schemas.key_source import KEY_FIELDS, MAP_KEYS, SHARED_KEY, SHARED_KEY_ALGORITHMS
from changegate.schemas.presets import recognize
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE, fields_of, texts_of

SUBJECT_RULES = ("run_as", "user_field")
# Fields that fill in the issuer of a provider: its place, and its placeholders.
PLACE = "place"
PLACEHOLDER_PREFIX = "placeholder-"
DRAFT = "draft"
ELSEWHERE = (
    "This is the issuer of the location {}, and the location {} is chosen. Fill in issuer and JWKS URL again, or "
    "choose the location of the issuer."
)


@dataclass(frozen=True, slots=True)
class IntegrationForm:
    """The values of a form: `values` by field, with `subject_rule` for the choice between two of them.

    Values are text as typed, with one line for each item of a list; checkboxes are bool, names with a checkbox each are
    lists, claim conditions and verifier maps are lists of rows. `values` has only the fields of the connection type.
    `placeholders` fill in the issuer of a preset. `notices` are messages of the last step, by field, and `focus` is the
    HTML id of the next field to fill in. `version` is the version of the integration when the form was opened, and
    `draft` the sys_id of the draft that the form was filled in from.
    """

    values: Mapping[str, Any]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    refused: str = ""
    placeholders: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    focus: str = ""
    version: str = ""
    draft: str = ""
    connection: ConnectionType = TYPES[JWT_BEARER]

    @classmethod
    def blank(cls, connection: ConnectionType = TYPES[JWT_BEARER]) -> "IntegrationForm":
        """Return the form of a new integration, with the schema's defaults."""
        values = {field.name: _shown(field, field.blank) for field in _fields(connection)}
        values["scopes"] = [DEFAULT_SCOPE]
        if connection.has_provider:
            values |= {"subject_rule": "run_as", PLACE: ""}
            values["algorithms"] = _of_both_kinds(values["algorithms"])
        return cls(values, connection=connection)

    @classmethod
    def of_request(cls, sent: MultiDict[str, str], connection: ConnectionType = TYPES[JWT_BEARER]) -> "IntegrationForm":
        """Return the form as sent. Browsers do not send an unchecked checkbox, so a missing one is False."""
        values = {field.name: _read(field, sent) for field in _fields(connection)}
        version, draft = sent.get(VERSION, ""), sent.get(DRAFT, "")
        if not connection.has_provider:
            return cls(values, version=version, connection=connection)
        values[PLACE] = sent.get(PLACE, "")
        values["subject_rule"] = "user_field" if sent.get("subject_rule") == "user_field" else "run_as"
        values["key_source"] = values["key_source"] if values["key_source"] in KEY_SOURCES else "jwks_url"
        typed = {name: text for name, text in sent.items() if name.startswith(PLACEHOLDER_PREFIX)}
        placeholders = {name.removeprefix(PLACEHOLDER_PREFIX): text for name, text in typed.items()}
        return cls(values, placeholders=placeholders, version=version, draft=draft, connection=connection)

    def has(self, name: str) -> bool:
        """Return whether the connection type has a field."""
        return name in self.connection.fields

    def in_parts(self, *parts: str) -> list[Field]:
        """Return the fields of parts of the form."""
        return [field for part in parts for field in self.connection.fields.values() if field.part == part]

    def has_errors_in(self, part: str) -> bool:
        """Return whether a field of a part of the form is refused."""
        return any(field.name in self.errors for field in self.in_parts(part))

    def load(self, entity: OAuthEntity | None = None) -> dict[str, Any]:
        """Return validated fields, with only the chosen subject rule and key source; raises `InputInvalid`.

        `entity` is the stored integration, if there is one.
        """
        try:
            fields = load_fields({**self._given(), "type": self.connection.name}, fields_of(entity) if entity else None)
        except ValidationError as problem:
            kinds = ROW_KINDS.keys() & self.values.keys()
            places = {name: [place for place, _ in ROW_KINDS[name].filled(self.values[name])] for name in kinds}
            raise InputInvalid(self._contradictions() | _errors(problem, places)) from None

        contradictions = self._contradictions()
        if contradictions:
            raise InputInvalid(contradictions)
        return fields

    def _contradictions(self) -> dict[str, list[str]]:
        """Return that the issuer belongs to another place of the provider than the chosen one."""
        recognized = recognize(self.values.get("issuer", "").strip())
        place = self.values.get(PLACE)
        if recognized is None or recognized.preset.name != self.values["preset"] or not place:
            return {}
        chosen = next((form for form in recognized.preset.issuers if form.name == place), recognized.form)
        return {} if chosen is recognized.form else {"issuer": [ELSEWHERE.format(recognized.form.label, chosen.label)]}

    def texts(self) -> dict[str, str]:
        """Return every field as text, without secrets and keys."""
        given = self._given()
        return texts_of({field.name: given.get(field.name) for field in _fields(self.connection)})

    def _given(self) -> dict[str, Any]:
        given = {name: value for name, value in self.values.items() if name not in self._dropped}
        if self.connection.has_provider:
            given["algorithms"] = [name for name in self.values["algorithms"] if self._fits(name)]
        for name in given.keys() & self.connection.fields.keys():
            if FIELDS[name].kind == Kind.LINES:
                given[name] = given[name].splitlines()
        for name in given.keys() & ROW_KINDS.keys():
            given[name] = [self._for_schema(name, row) for _, row in ROW_KINDS[name].filled(self.values[name])]
        return given

    @property
    def _dropped(self) -> set[str]:
        if not self.connection.has_provider:
            return set()
        rule, source = self.values["subject_rule"], self.values["key_source"]
        unused = {*SUBJECT_RULES} - {rule} | {*KEY_FIELDS.values()} - {KEY_FIELDS[source]}
        return {"subject_rule", PLACE, *unused}

    def _fits(self, algorithm: str) -> bool:
        # The page hides algorithms that do not fit the chosen key source. Unknown ones are left for the schema.
        if self.values["key_source"] == SHARED_KEY:
            return algorithm not in ALGORITHMS
        return algorithm not in SHARED_KEY_ALGORITHMS

    def _for_schema(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        if name != "verifier_maps":
            return row
        others = {*MAP_KEYS.values()} - {MAP_KEYS[self.values["key_source"]]}
        # A blank shared key is left out, so that the key stored under the name of the map stays.
        return {key: value for key, value in row.items() if key not in others and value != ""}

    def entered(self) -> dict[str, Any]:
        """Return the fields that would be sent to the schema, with texts trimmed."""
        return {name: value.strip() if isinstance(value, str) else value for name, value in self._given().items()}

    def with_errors(self, errors: Mapping[str, list[str]], refused: str = "") -> "IntegrationForm":
        """Return the form as typed, with the errors of each field; `refused` is what was not done because of them."""
        return replace(self, errors=errors, refused=refused)

    def changed(self, **values: Any) -> "IntegrationForm":
        """Return the form with some values replaced."""
        return replace(self, values={**self.values, **values})

    def noting(self, **notices: str) -> "IntegrationForm":
        """Return the form with notices at fields."""
        return replace(self, notices={**self.notices, **notices})

    def at(self, version: str) -> "IntegrationForm":
        """Return the form with the version it was opened on."""
        return replace(self, version=version)

    def of_draft(self, draft: str) -> "IntegrationForm":
        """Return the form with the draft that it was filled in from."""
        return replace(self, draft=draft)

    def focusing(self, focus: str) -> "IntegrationForm":
        """Return the form with the cursor in another field."""
        return replace(self, focus=focus)


def form_of_entity(entity: OAuthEntity) -> IntegrationForm:
    """Return the form of a stored integration; secrets are blank."""
    connection = TYPES[entity.type]
    stored = fields_of(entity)
    values = {field.name: _shown(field, stored[field.name]) for field in _fields(connection)}
    if connection.has_provider:
        recognized = recognize(entity.issuer)
        values |= {
            "subject_rule": "user_field" if entity.user_field else "run_as",
            "algorithms": _of_both_kinds(entity.algorithms),
            PLACE: recognized.form.name if recognized and recognized.preset.name == entity.preset else "",
        }
    return IntegrationForm(values, connection=connection)


def _fields(connection: ConnectionType) -> list[Field]:
    """Return the fields of a form, whose page implies the connection type."""
    return [field for field in connection.fields.values() if field.name != "type"]


def _read(field: Field, sent: MultiDict[str, str]) -> Any:
    """Return the value of a field as sent."""
    if field.name in ROW_KINDS:
        return ROW_KINDS[field.name].read(sent)
    match field.kind:
        case Kind.SWITCH:
            return field.name in sent
        case Kind.NAMES:
            return sent.getlist(field.name)
        case _:
            return sent.get(field.name, "")


def _shown(field: Field, value: Any) -> Any:
    """Return the value of a field as the form shows it."""
    match field.kind:
        case Kind.LINES:
            return "\n".join(value)
        case Kind.CONDITIONS:
            return [condition_row(condition) for condition in value]
        case Kind.VERIFIER_MAPS:
            return [_map_row(verifier_map) for verifier_map in value]
        case _:
            return "" if value is None else value


def _map_row(verifier_map: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a verifier map; the shared key is never shown."""
    shown = {name: verifier_map.get(name) or "" for name in ("name", "kid", "certificate")}
    return shown | {"shared_key": "", "enforce_dates": bool(verifier_map.get("enforce_dates", True))}


def _of_both_kinds(algorithms: list[str]) -> list[str]:
    """Return algorithms for public and for shared keys; the page shows the kind that fits the chosen key source."""
    shared = {*algorithms} & {*SHARED_KEY_ALGORITHMS} or {SHARED_KEY_ALGORITHMS[0]}
    public = {*algorithms} - {*SHARED_KEY_ALGORITHMS} or {*DEFAULT_ALGORITHMS}
    return [name for name in (*ALGORITHMS, *SHARED_KEY_ALGORITHMS) if name in shared | public]


def condition_row(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a claim condition."""
    shown = {name: condition[name] for name in ("claim", "operator", "value_type", "report_only")}
    return shown | {"value": show_value(condition["value"])}


def show_value(value: Any) -> str:
    """Return the value of a claim as typed text: list members one per line, booleans as in JSON."""
    if isinstance(value, list):
        return "\n".join(map(show_value, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _errors(problem: ValidationError, places: Mapping[str, list[int]]) -> dict[str, list[str]]:
    """Return the messages by field; those of rows by the field within the row."""
    errors = {name: texts for name, texts in field_errors(problem).items() if name not in places}
    for name in problem.messages_dict.keys() & places.keys():
        for field_name, texts in ROW_KINDS[name].errors(problem.messages_dict[name], places[name]):
            errors.setdefault(field_name, []).extend(texts)
    return errors
