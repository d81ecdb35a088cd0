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

from changegate.models.oauth_entity import (
    KEY_SOURCES,
    REPLAY_POLICIES,
    REUSABLE,
    TOKEN_FORMATS,
    USER_FIELDS,
)
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.key_source import (
    SHARED_KEY,
    SHARED_KEY_ALGORITHMS,
    require_algorithms_of_source,
    require_keys_of_source,
)
from changegate.schemas.pasted_keys import refuse_private_key
from changegate.schemas.presets import PRESETS, find_pin_faults
from changegate.schemas.verifier_map import MAX_MAPS, VerifierMapSchema

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
KEY_SET_LENGTH = 100_000
# Kinds of tokens that are made for another purpose; one of them is never a grant (RFC 8725 §3.11).
OTHER_PURPOSES = (
    *("client-authentication+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"),
    *("oauth-authz-req+jwt", "entity-statement+jwt"),
)
# One of these as the unique claim would let only the first assertion of a subject through.
NOT_UNIQUE = ("iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id")


def _is_a_grant(typ: str) -> None:
    if typ.lower().removeprefix("application/") in OTHER_PURPOSES:
        raise ValidationError("Tokens of this kind are made for another purpose than a grant.")


def _choice(choices: Mapping[str, str], default: str) -> fields.String:
    return fields.String(
        load_default=default,
        validate=validate.OneOf([*choices], error=f"Must be one of: {', '.join(choices)}."),
    )


def _seconds(least: int, most: int, default: int) -> fields.Integer:
    return fields.Integer(
        load_default=default,
        strict=False,
        validate=validate.Range(least, most, error="Give a whole number from {min} to {max}."),
        error_messages={"invalid": "Give a whole number."},
    )


def _most(most: int) -> fields.Integer:
    """Return a limit; none is none at all."""
    return fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, most, error="Give a whole number from {min} to {max}, or nothing for no limit."),
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
    audience_claim = _line(100, load_default="aud")
    allow_additional_audiences = fields.Boolean(load_default=False)
    claim_conditions = fields.List(
        fields.Nested(ClaimConditionSchema),
        load_default=list,
        validate=validate.Length(max=50, error="At most {max} conditions."),
    )
    algorithms = fields.List(
        fields.String(validate=validate.OneOf([*ALGORITHMS, *SHARED_KEY_ALGORITHMS])),
        load_default=lambda: list(DEFAULT_ALGORITHMS),
        validate=validate.Length(min=1, error="Allow at least one algorithm."),
    )
    user_field = fields.String(load_default=None, allow_none=True, validate=validate.OneOf([*USER_FIELDS]))
    run_as = _line(40, load_default=None, allow_none=True)
    preset = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf([*PRESETS], error=f"There is no such preset; presets are {', '.join(PRESETS)}."),
    )
    key_source = _choice(KEY_SOURCES, "jwks_url")
    jwks_url = _line(URL_LENGTH, load_default="")
    jwks = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=KEY_SET_LENGTH, error="At most {max} characters."), refuse_private_key],
    )
    verifier_maps = fields.List(
        fields.Nested(VerifierMapSchema),
        load_default=list,
        validate=validate.Length(max=MAX_MAPS, error="At most {max} maps."),
    )
    allow_missing_kid = fields.Boolean(load_default=False)
    required_typ = fields.String(
        load_default=None, allow_none=True, validate=[validate.Length(max=100), _is_one_line, _is_a_grant]
    )
    enable_jti_verification = fields.Boolean(load_default=True)
    replay_policy = _choice(REPLAY_POLICIES, "jti-required-once")
    jti_claim = _line(100, load_default="jti", refused=NOT_UNIQUE)
    scopes = fields.List(_line(100), load_default=list, validate=validate.Length(max=50))
    scope_restriction = fields.Boolean(load_default=True)
    enforce_token_restriction = fields.Boolean(load_default=False)
    token_format = _choice(TOKEN_FORMATS, "opaque")
    creations_per_hour = _most(10_000)
    creations_per_day = _most(100_000)
    owner = _line(40, load_default=None, allow_none=True)
    review_date = fields.Date(
        load_default=None, allow_none=True, error_messages={"invalid": "Give a date as YYYY-MM-DD."}
    )
    access_token_lifespan_seconds = _seconds(60, 86_400, 1800)
    clock_skew_seconds = _seconds(0, 300, 60)
    max_assertion_lifetime_seconds = _seconds(60, 86_400, 3600)
    jwks_cache_lifespan_minutes = _seconds(5, 1440, 60)

    @pre_load
    def tidy(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Trim texts, and take an empty one for an absent one."""
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        given = {name: value for name, value in trimmed.items() if value not in ("", None)}
        if isinstance(given.get("token_format"), str):
            given["token_format"] = given["token_format"].lower()
        if given.get("key_source") == SHARED_KEY:
            given.setdefault("algorithms", [SHARED_KEY_ALGORITHMS[0]])
        return _with_both_switches(given)

    @post_load
    def tidy_lists(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop repeated and empty items."""
        for name in ("audiences", "algorithms", "scopes"):
            data[name] = [item for item in dict.fromkeys(item.strip() for item in data[name]) if item]
        return data

    @validates_schema
    def require_one_replay_rule(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse a checkbox that says otherwise than the policy."""
        if data["enable_jti_verification"] == (data["replay_policy"] == REUSABLE):
            raise ValidationError(
                f"With Enable JTI Verification on, an assertion cannot be {REUSABLE}; with it off, it always is.",
                "replay_policy",
            )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def require_one_key_source(self, data: Mapping[str, Any], sent: Mapping[str, Any], **_kwargs: Any) -> None:
        """Take the keys from exactly one place."""
        require_keys_of_source(data, sent)

    @validates_schema
    def require_fitting_algorithms(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Allow algorithms that the keys are made for."""
        require_algorithms_of_source(data)

    @validates_schema
    def require_pins(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse an issuer that signs for strangers without a condition that only one tenant's tokens can meet."""
        faults = find_pin_faults(data["issuer"], data["preset"], data["claim_conditions"], data["audiences"])
        if faults:
            raise ValidationError({**faults})

    @validates_schema
    def require_one_subject_rule(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Say whom the tokens act as in exactly one way."""
        if bool(data.get("run_as")) == bool(data.get("user_field")):
            raise ValidationError(
                "Choose either a run-as user or the user field that the subject is compared with.", "run_as"
            )


def _with_both_switches(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with both ways to say whether an assertion is good once, where only one was given."""
    if "replay_policy" in given and "enable_jti_verification" not in given:
        given["enable_jti_verification"] = given["replay_policy"] != REUSABLE
    elif "enable_jti_verification" in given and "replay_policy" not in given:
        switch = given["enable_jti_verification"]
        is_off = isinstance(switch, str | int) and switch in fields.Boolean.falsy
        given["replay_policy"] = REUSABLE if is_off else "jti-required-once"
    return given
