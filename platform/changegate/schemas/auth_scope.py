"""The schemas of auth scopes and their rules, for the form, the command line, files, and the admin API."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema

from changegate.errors import InputInvalid
from changegate.models.auth_scope import ANY, API_VERSIONS, REST_APIS
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration.values import LINES
from changegate.schemas.scope_rule_text import parse_rule_text

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRITING = ("POST", "PUT", "PATCH", ANY)
MAX_RULES = 100
MAX_FIELDS = 100
NAME = r"[A-Za-z0-9][A-Za-z0-9._:-]*\Z"
_IDENTIFIER = r"[a-z][a-z0-9_]{0,79}\Z"
_NEEDED: dict[str, Any] = {"required": "This field is required."}


def _one_of(choices: tuple[str, ...], **options: Any) -> fields.String:
    known = validate.OneOf(choices, error=f"Must be one of: {', '.join(choices)}.")
    return fields.String(validate=known, error_messages=_NEEDED, **options)


class ScopeRuleSchema(Schema):
    """The calls that a scope covers; `*` stands for every method, version, or table.

    See docs/reference/inbound-integrations.md#auth-scopes.

    A rule can also be a line of text (`scope_rule_text`). `writable_fields` is null for all fields.
    """

    class Meta:
        """Refuse unknown fields: a misspelled limit must not be ignored."""

        unknown = RAISE

    rest_api = _one_of(tuple(REST_APIS), required=True)
    http_method = _one_of((*METHODS, ANY), required=True)
    version = _one_of((*API_VERSIONS, ANY), load_default=ANY)
    table = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(rf"\*\Z|{_IDENTIFIER}", error="Give the name of a table, or * for all tables."),
    )
    active = fields.Boolean(load_default=True)
    writable_fields = fields.List(
        fields.String(validate=validate.Regexp(_IDENTIFIER, error="Give names of fields.")),
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, MAX_FIELDS, error="Name 1 to {max} fields, or leave them out for all fields."),
    )
    own_records = fields.Boolean(load_default=False)

    @pre_load
    def tidy(self, data: Any, **_kwargs: Any) -> Any:
        """Parse a rule given as a line, and ignore the case of names."""
        if isinstance(data, str):
            data = parse_rule_text(data)
        if not isinstance(data, Mapping):
            return data
        tidied = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        if isinstance(tidied.get("http_method"), str):
            tidied["http_method"] = tidied["http_method"].upper()
        if isinstance(tidied.get("writable_fields"), list):
            tidied["writable_fields"] = [_lower(name) for name in tidied["writable_fields"]]
        return tidied

    @post_load
    def complete(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Fill in the table, and sort the fields."""
        data["table"] = data["table"] or ANY
        if data["writable_fields"] is not None:
            data["writable_fields"] = sorted(set(data["writable_fields"]))
        return data

    @validates_schema
    def require_method_of_api(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse a method that the API does not have, since such a rule would never apply."""
        api = REST_APIS[data["rest_api"]]
        if data["http_method"] not in (*api.methods, ANY):
            methods = ", ".join(api.methods)
            raise ValidationError(f"The {api.label} has no {data['http_method']}; it has {methods}.", "http_method")

    @validates_schema
    def require_version_of_api(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse a version that the API does not have, since such a rule would never apply."""
        api = REST_APIS[data["rest_api"]]
        if data["version"] not in (*api.versions, ANY):
            versions = ", ".join(api.versions)
            raise ValidationError(f"The {api.label} has no {data['version']}; it has {versions}.", "version")

    @validates_schema
    def require_table_of_api(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Require a table if the API's calls have one: a missing table must not mean every table."""
        api = REST_APIS[data["rest_api"]]
        if api.has_tables and not data["table"]:
            raise ValidationError("Name the table, or * for all tables.", "table")
        if not api.has_tables and data["table"] not in (None, ANY):
            raise ValidationError(f"The {api.label} does not have tables.", "table")

    @validates_schema
    def require_limits_that_mean_something(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse limits that the API does not apply, since the rule would allow more than it seems to."""
        api, method = REST_APIS[data["rest_api"]], data["http_method"]
        if data["writable_fields"] is not None and not (api.writes_fields and method in WRITING):
            raise ValidationError(f"{method} of the {api.label} writes no fields.", "writable_fields")
        if data["own_records"] and not api.has_tables:
            raise ValidationError(f"The {api.label} does not have records.", "own_records")


class AuthScopeSchema(Schema):
    """An auth scope (docs/reference/inbound-integrations.md#auth-scopes)."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE

    # Names of scopes are separated by spaces in token requests (RFC 6749 §3.3), and part of URLs.
    name = fields.String(
        required=True,
        validate=[
            validate.Length(max=100, error="At most {max} characters."),
            validate.Regexp(NAME, error="Letters, digits and . _ : - only, the first one a letter or digit."),
        ],
        error_messages=_NEEDED,
    )
    description = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=1000, error="At most {max} characters."), LINES],
    )
    rules = fields.List(
        fields.Nested(ScopeRuleSchema),
        load_default=list,
        validate=validate.Length(max=MAX_RULES, error="At most {max} rules."),
    )

    @pre_load
    def tidy(self, data: Any, **_kwargs: Any) -> Any:
        """Trim texts and drop empty ones; a null list of rules counts as empty."""
        if not isinstance(data, Mapping):
            return data
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        return {name: value for name, value in trimmed.items() if name == "rules" or value not in ("", None)}

    @validates_schema
    def require_different_rules(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse two rules for the same calls: deleting one would not withdraw the access."""
        seen = set()
        for rule in data["rules"]:
            key = key_of(rule)
            if key in seen:
                raise ValidationError(f"There are two rules for {' '.join(key)}.", "rules")
            seen.add(key)


_schema = AuthScopeSchema()


def key_of(rule: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return what identifies a rule within its scope."""
    return rule["http_method"], rule["rest_api"], rule["version"], rule["table"]


def load_scope(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated fields of a complete scope; raises `InputInvalid`."""
    try:
        loaded: dict[str, Any] = _schema.load(given)
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return loaded


def load_scope_change(given: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated fields of a scope, with those of `stored` as defaults; raises `InputInvalid`."""
    return load_scope({**stored, **given})


def _lower(name: Any) -> Any:
    return name.strip().lower() if isinstance(name, str) else name
