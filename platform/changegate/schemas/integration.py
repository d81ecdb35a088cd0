"""An inbound integration as the form, the command line and the admin API send it; one schema for all of them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import (
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates_schema,
)

from changegate.models.oauth_entity import USER_FIELDS

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
DEFAULT_ALGORITHMS = ["RS256", "ES256"]


def _is_one_line(text: str) -> None:
    # Characters that turn the direction of writing are not printable either: one name must not look like another.
    if not text.isprintable():
        raise ValidationError("Control characters are not allowed.")


LINES = validate.Regexp(
    r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*\Z", error="Control characters are not allowed."
)
URL_LENGTH = 2048
# One of these as the unique claim would let only the first assertion of a subject through.
NOT_UNIQUE = ("iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id")


def _seconds(least: int, most: int, default: int) -> fields.Integer:
    return fields.Integer(
        load_default=default,
        strict=False,
        validate=validate.Range(least, most, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
    )


def _line(length: int, *, refused: tuple[str, ...] = (), **options: Any) -> fields.String:
    size = validate.Length(max=length, error="At most {max} characters.")
    allowed = validate.NoneOf(refused, error="This claim is the same in many assertions.")
    return fields.String(
        validate=[size, _is_one_line, allowed], error_messages={"required": "This field is required."}, **options
    )


class IntegrationSchema(Schema):
    """An *OAuth - JWT bearer grant*; names and defaults follow ServiceNow's form (oauth_jwt.md §1.5, §7.2).

    `run_as` is a user name and `scopes` are names. Exactly one of `run_as` and `user_field` is given.
    """

    class Meta:
        """Refuse what is not named here: a misspelt option must not be taken for its default."""

        unknown = RAISE

    name = _line(100, required=True)
    provider_name = _line(100, required=True)
    comments = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=4000, error="At most {max} characters."), LINES],
    )
    active = fields.Boolean(load_default=True)
    public_client = fields.Boolean(load_default=False)
    issuer = _line(255, required=True)
    audiences = fields.List(_line(255), load_default=list, validate=validate.Length(max=20))
    algorithms = fields.List(
        fields.String(validate=validate.OneOf(ALGORITHMS)),
        load_default=lambda: list(DEFAULT_ALGORITHMS),
        validate=validate.Length(min=1, error="Allow at least one algorithm."),
    )
    user_field = fields.String(load_default=None, allow_none=True, validate=validate.OneOf([*USER_FIELDS]))
    run_as = _line(40, load_default=None, allow_none=True)
    jwks_url = _line(URL_LENGTH, required=True)
    enable_jti_verification = fields.Boolean(load_default=True)
    jti_claim = _line(100, load_default="jti", refused=NOT_UNIQUE)
    scopes = fields.List(_line(100), load_default=list, validate=validate.Length(max=50))
    access_token_lifespan_seconds = _seconds(60, 86_400, 1800)
    clock_skew_seconds = _seconds(0, 300, 60)
    max_assertion_lifetime_seconds = _seconds(60, 86_400, 3600)
    jwks_cache_lifespan_minutes = _seconds(5, 1440, 60)

    @pre_load
    def tidy(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Trim texts, and take an empty one for an absent one."""
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        return {name: value for name, value in trimmed.items() if value not in ("", None)}

    @post_load
    def tidy_lists(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop repeated and empty items."""
        for name in ("audiences", "algorithms", "scopes"):
            data[name] = [item for item in dict.fromkeys(item.strip() for item in data[name]) if item]
        return data

    @validates_schema
    def require_one_subject_rule(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Say whom the tokens act as in exactly one way."""
        if bool(data.get("run_as")) == bool(data.get("user_field")):
            raise ValidationError(
                "Choose either a run-as user or the user field that the subject is compared with.", "run_as"
            )
