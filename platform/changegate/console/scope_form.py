"""The auth scope form: conversion between the browser's form and the fields of the schema, without losing input."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict

from changegate.console.integrations.rows import MAX_ROWS, SCOPE_RULES
from changegate.console.stale_forms import VERSION
from changegate.errors import InputInvalid
from changegate.models import SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import REST_APIS
from changegate.schemas.auth_scope import AuthScopeSchema, ScopeRuleSchema
from changegate.schemas.field_errors import field_errors
from changegate.services.scopes.scopes import fields_of_scope, text_of_field
from changegate.services.scopes.sentences import describe_rule

TEXTS = ("name", "description")
_schema, _rule_schema = AuthScopeSchema(), ScopeRuleSchema()


@dataclass(frozen=True, slots=True)
class ScopeForm:
    """The values of a form by field, of which `rules` are rows, and the errors of each field."""

    values: Mapping[str, Any]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    focus: str = ""
    version: str = ""

    @classmethod
    def blank(cls) -> "ScopeForm":
        """Return the form of a new scope, with one blank rule."""
        return cls({"name": "", "description": "", "rules": [SCOPE_RULES.blank()]})

    @classmethod
    def of_request(cls, sent: MultiDict[str, str]) -> "ScopeForm":
        """Return the form as sent."""
        values = {name: sent.get(name, "") for name in TEXTS} | {"rules": SCOPE_RULES.read(sent)}
        return cls(values, version=sent.get(VERSION, ""))

    @classmethod
    def of_scope(cls, scope: SysAuthScope) -> "ScopeForm":
        """Return the form of a stored scope."""
        stored = fields_of_scope(scope)
        rules = [_row(rule) for rule in stored["rules"]]
        values = {"name": stored["name"], "description": stored["description"] or "", "rules": rules}
        return cls(values, version=scope.record_version)

    def texts(self) -> dict[str, str]:
        """Return every field as text."""
        given = {**self.values, "rules": [_sent(row) for row in self.values["rules"]]}
        return {name: text_of_field(name, value) for name, value in given.items()}

    def at(self, version: str) -> "ScopeForm":
        """Return the form with the version it was opened on."""
        return replace(self, version=version)

    def load(self) -> dict[str, Any]:
        """Return validated fields; raises `InputInvalid`. Blank rows are validated, too, so that no rule is lost."""
        rules = [_sent(row) for row in self.values["rules"]]
        try:
            loaded: dict[str, Any] = _schema.load({**self.values, "rules": rules})
        except ValidationError as problem:
            raise InputInvalid(_errors(problem, len(rules))) from None
        return loaded

    def take_step(self, step: str) -> "ScopeForm":
        """Return the form with a row added or removed; unknown steps change nothing."""
        word, _, place = step.partition(" ")
        rows = self.values["rules"]
        if word == "add" and len(rows) < MAX_ROWS:
            return self._with_rows([*rows, SCOPE_RULES.blank()], f"rules-{len(rows)}-table")
        if word == "remove" and place.isascii() and place.isdecimal():
            kept = [row for number, row in enumerate(rows) if number != int(place[:4])]
            return self._with_rows(kept, "add-rules")
        return self

    def _with_rows(self, rows: list[dict[str, Any]], focus: str) -> "ScopeForm":
        return replace(self, values={**self.values, "rules": rows}, focus=focus)

    def with_errors(self, errors: Mapping[str, list[str]]) -> "ScopeForm":
        """Return the form as typed, with the errors of each field."""
        return replace(self, errors=errors)

    @property
    def sentences(self) -> list[str]:
        """Return a description of each rule as typed, empty for an invalid rule."""
        return [_sentence(row) for row in self.values["rules"]]


def _row(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a rule."""
    names = ", ".join(rule["writable_fields"] or ())
    table = rule["table"] if REST_APIS[rule["rest_api"]].has_tables else ""
    return {**rule, "table": table, "writable_fields": names}


def _sent(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in the form of the schema: an empty list of fields means all fields; an empty table is left out."""
    names = row["writable_fields"].replace(",", " ").split()
    return {**row, "table": row["table"].strip() or None, "writable_fields": names or None}


def _sentence(row: Mapping[str, Any]) -> str:
    try:
        rule = _rule_schema.load(_sent(row))
    except ValidationError:
        return ""
    names = rule["writable_fields"]
    return describe_rule(SysApiAccessScope(**rule | {"writable_fields": names and ",".join(names)}))


def _errors(problem: ValidationError, count: int) -> dict[str, list[str]]:
    errors = {name: texts for name, texts in field_errors(problem).items() if name != "rules"}
    if "rules" in problem.messages_dict:
        errors |= dict(SCOPE_RULES.errors(problem.messages_dict["rules"], range(count)))
    return errors
