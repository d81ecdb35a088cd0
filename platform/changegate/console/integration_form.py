"""The integration form: from what a browser sends to the schema's fields and back, losing nothing typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from marshmallow import ValidationError, missing
from werkzeug.datastructures import MultiDict

from changegate.errors import InputInvalid
from changegate.models import OAuthEntity, SysUser
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration import IntegrationSchema
from changegate.services.oauth.integrations import DEFAULT_SCOPE

CHECKBOXES = ("active", "public_client", "enable_jti_verification")
LISTS = ("algorithms", "scopes")
SUBJECT_RULES = ("run_as", "user_field")
_schema = IntegrationSchema()
TEXTS = tuple(name for name in _schema.fields if name not in {*CHECKBOXES, *LISTS, "audiences"})


@dataclass(frozen=True, slots=True)
class IntegrationForm:
    """A form as it is shown: `values` by field, with `subject_rule` for the choice between two of them.

    Texts and `audiences` (one a line) are text as typed, checkboxes bool, `algorithms` and `scopes` lists.
    """

    values: Mapping[str, Any]
    errors: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def blank(cls) -> "IntegrationForm":
        """Return the form of a new integration, with the schema's defaults."""
        values = {name: _default_of(name) for name in _schema.fields}
        return cls({**values, "audiences": "", "scopes": [DEFAULT_SCOPE], "subject_rule": "run_as"})

    @classmethod
    def of_entity(cls, entity: OAuthEntity, run_as: SysUser | None) -> "IntegrationForm":
        """Return the form of a registered integration."""
        values = {name: getattr(entity, name) for name in (*TEXTS, *CHECKBOXES, *LISTS)}
        values = {name: "" if value is None else value for name, value in values.items()}
        values["run_as"] = run_as.user_name if run_as else ""
        values["audiences"] = "\n".join(entity.audiences)
        values["scopes"] = [scope.name for scope in entity.scopes]
        values["subject_rule"] = "user_field" if entity.user_field else "run_as"
        return cls(values)

    @classmethod
    def of_request(cls, sent: MultiDict[str, str]) -> "IntegrationForm":
        """Return the form as it was sent; a box that is not ticked is not sent, and is off."""
        values: dict[str, Any] = {name: sent.get(name, "") for name in (*TEXTS, "audiences")}
        values |= {name: name in sent for name in CHECKBOXES}
        values |= {name: sent.getlist(name) for name in LISTS}
        values["subject_rule"] = "user_field" if sent.get("subject_rule") == "user_field" else "run_as"
        return cls(values)

    def load(self) -> dict[str, Any]:
        """Return validated fields; of the two subject rules only the chosen one. Raises `InputInvalid`."""
        dropped = {"subject_rule", *SUBJECT_RULES} - {self.values["subject_rule"]}
        sent = {name: value for name, value in self.values.items() if name not in dropped}
        sent["audiences"] = self.values["audiences"].splitlines()
        try:
            loaded: dict[str, Any] = _schema.load(sent)
        except ValidationError as problem:
            raise InputInvalid(field_errors(problem)) from None
        return loaded

    def with_errors(self, errors: Mapping[str, list[str]]) -> "IntegrationForm":
        """Return the form as typed, with what is wrong at each field."""
        return replace(self, errors=errors)


def _default_of(name: str) -> Any:
    default = _schema.fields[name].load_default
    value = default() if callable(default) else default
    return "" if value is None or value is missing else value
