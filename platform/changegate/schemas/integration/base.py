"""The fields of all connection types, and the refusal of fields that a type does not have."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load, validate

from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import TOKEN_FORMATS
from changegate.schemas.integration.values import LINES, choice, line, most, seconds, user

UNKNOWN = "Unknown field."
# Messages for fields that a type does not have; the sentence begins with the noun of the type.
LACKS: Mapping[str, str] = {
    "preset": "has no identity provider",
    "issuer": "has no issuer",
    "audiences": "has no accepted audiences",
    "audience_claim": "has no audience claim",
    "allow_additional_audiences": "has no accepted audiences",
    "key_source": "has no key source",
    "jwks_url": "has no JWKS URL",
    "jwks": "has no key set",
    "verifier_maps": "has no JWT verifier maps",
    "allow_missing_kid": "has no assertions with or without kid",
    "algorithms": "has no algorithms",
    "required_typ": "has no required typ",
    "claim_conditions": "has no claim conditions",
    "replay_policy": "has no replay policy",
    "enable_jti_verification": "has no JTI verification",
    "jti_claim": "has no JTI claim",
    "max_assertion_lifetime_seconds": "has no assertions that could be too old",
    "clock_skew_seconds": "has no clock skew",
    "jwks_cache_lifespan_minutes": "has no JWKS cache",
    "run_as": "has no run-as user: its tokens act as the user who signs in",
    "user_field": "has no user field",
    "user_claim": "has no user claim",
    "require_email_verified": "has no user claim that could be an email",
    "token_format": "has no token format: the provider's own tokens are sent to the API",
    "access_token_lifespan_seconds": "has no access tokens of its own: the provider's are good until they expire",
    "issue_refresh_tokens": "has no refresh tokens",
    "refresh_token_lifespan_seconds": "has no refresh tokens",
    "public_client": "is not a public client: it authenticates with its secret",
}
_SAID_OTHERWISE = {("id_token", "public_client"): "has no client secret, be it public or not"}


class IntegrationSchema(Schema):
    """The fields of every integration; names and defaults follow ServiceNow's forms.

    See docs/reference/inbound-integrations.md#fields.

    `run_as` and `owner` are user names and `scopes` are names.
    """

    class Meta:
        """Refuse unknown fields: a misspelled option must not mean its default."""

        unknown = RAISE

    connection_type: str

    name = line(100, required=True)
    provider_name = line(100, required=True)
    comments = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=4000, error="At most {max} characters."), LINES],
    )
    active = fields.Boolean(load_default=True)
    scopes = fields.List(line(100), load_default=list, validate=validate.Length(max=50))
    scope_restriction = fields.Boolean(load_default=True)
    enforce_token_restriction = fields.Boolean(load_default=False)
    creations_per_hour = most(10_000)
    creations_per_day = most(100_000)
    owner = user(load_default=None, allow_none=True)
    review_date = fields.Date(
        load_default=None, allow_none=True, error_messages={"invalid": "Give a date as YYYY-MM-DD."}
    )

    @pre_load
    def tidy(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Trim texts, drop empty ones, and drop empty fields of other types."""
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        given = {name: value for name, value in trimmed.items() if value not in ("", None)}
        given = {name: value for name, value in given.items() if not (self.is_foreign(name) and _says_no(value))}
        return self.completed(given)

    def completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the fields with derived ones."""
        return given

    @post_load
    def tidy_lists(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop repeated and empty items."""
        for name in ("audiences", "algorithms", "scopes"):
            if name in data:
                data[name] = [item for item in dict.fromkeys(item.strip() for item in data[name]) if item]
        return data

    def is_foreign(self, name: str) -> bool:
        """Return whether a field exists only in other connection types."""
        return name in LACKS and name not in self.fields

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Replace "Unknown field." for fields of other connection types by a message that names this type."""
        if not isinstance(error.messages, dict):
            return
        messages = {name: self._said(name, texts) for name, texts in error.messages.items()}
        raise ValidationError(messages, data=data, valid_data=error.valid_data)

    def _said(self, name: str, texts: Any) -> Any:
        if texts != [UNKNOWN] or not self.is_foreign(name):
            return texts
        lacks = _SAID_OTHERWISE.get((self.connection_type, name), LACKS[name])
        return [f"{TYPES[self.connection_type].noun} {lacks}."]


class AccessTokenFields(Schema):
    """The fields of integrations whose clients get Changegate's access tokens."""

    token_format = choice(TOKEN_FORMATS, "opaque")
    access_token_lifespan_seconds = seconds(60, 86_400, 1800)

    @pre_load
    def fold_token_format(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Accept a token format in any case."""
        token_format = data.get("token_format")
        return {**data} | ({"token_format": token_format.strip().lower()} if isinstance(token_format, str) else {})


def type_field(connection_type: str) -> fields.String:
    """Return the field of the connection type."""
    of_another = f"Must be {connection_type} here."
    return fields.String(load_default=connection_type, validate=validate.Equal(connection_type, error=of_another))


def _says_no(value: Any) -> bool:
    """Return whether a value means that a thing is absent."""
    if isinstance(value, str):
        return value in fields.Boolean.falsy
    return value is False or value == []
