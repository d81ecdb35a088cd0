"""The fields of integrations with an identity provider: issuer, keys, conditions, and the user of the tokens."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from changegate.models.integration_choices import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    KEY_SOURCES,
    MAX_CONDITIONS,
    REPLAY_POLICIES,
    REUSABLE,
    USER_FIELDS,
)
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.integration.values import choice, line, seconds, user
from changegate.schemas.key_source import (
    SHARED_KEY,
    SHARED_KEY_ALGORITHMS,
    require_algorithms_of_source,
    require_keys_of_source,
)
from changegate.schemas.one_line import is_one_line
from changegate.schemas.pasted_keys import refuse_private_key
from changegate.schemas.presets import PRESETS, find_pin_faults
from changegate.schemas.verifier_map import MAX_MAPS, VerifierMapSchema

ONCE = "jti-required-once"
URL_LENGTH = 2048
KEY_SET_LENGTH = 100_000
# Types of tokens with another purpose, which are never accepted as a grant (RFC 8725 §3.11).
OTHER_PURPOSES = (
    *("client-authentication+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"),
    *("oauth-authz-req+jwt", "entity-statement+jwt"),
)
# Claims that are equal in many assertions: as the unique claim, only the first assertion would be accepted.
NOT_UNIQUE = ("iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id")


def _is_a_grant(typ: str) -> None:
    if typ.lower().removeprefix("application/") in OTHER_PURPOSES:
        raise ValidationError("Tokens of this kind are made for another purpose than a grant.")


class TrustFields(Schema):
    """The fields about the provider; exactly one of `run_as` and `user_field` is given."""

    issuer = line(255, required=True)
    audiences = fields.List(line(255), load_default=list, validate=validate.Length(max=20))
    audience_claim = line(100, load_default="aud")
    allow_additional_audiences = fields.Boolean(load_default=False)
    claim_conditions = fields.List(
        fields.Nested(ClaimConditionSchema),
        load_default=list,
        validate=validate.Length(max=MAX_CONDITIONS, error="At most {max} conditions."),
    )
    algorithms = fields.List(
        fields.String(validate=validate.OneOf([*ALGORITHMS, *SHARED_KEY_ALGORITHMS])),
        load_default=lambda: list(DEFAULT_ALGORITHMS),
        validate=validate.Length(min=1, error="Allow at least one algorithm."),
    )
    user_field = fields.String(load_default=None, allow_none=True, validate=validate.OneOf([*USER_FIELDS]))
    run_as = user(load_default=None, allow_none=True)
    preset = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf([*PRESETS], error=f"Unknown preset. The presets are {', '.join(PRESETS)}."),
    )
    key_source = choice(KEY_SOURCES, "jwks_url")
    jwks_url = line(URL_LENGTH, load_default="")
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
        load_default=None, allow_none=True, validate=[validate.Length(max=100), is_one_line, _is_a_grant]
    )
    enable_jti_verification = fields.Boolean(load_default=True)
    replay_policy = choice(REPLAY_POLICIES, ONCE)
    jti_claim = line(100, load_default="jti", refused=NOT_UNIQUE, why="This claim is the same in many assertions.")
    clock_skew_seconds = seconds(0, 300, 60)
    max_assertion_lifetime_seconds = seconds(60, 86_400, 3600)
    jwks_cache_lifespan_minutes = seconds(5, 1440, 60)

    def completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the fields with derived ones."""
        if given.get("key_source") == SHARED_KEY:
            given.setdefault("algorithms", [SHARED_KEY_ALGORITHMS[0]])
        return _with_both_switches(given)

    @validates_schema
    def require_one_replay_rule(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse a JTI checkbox that contradicts the replay policy."""
        if data["enable_jti_verification"] == (data["replay_policy"] == REUSABLE):
            raise ValidationError(
                f"With Enable JTI Verification on, an assertion cannot be {REUSABLE}; with it off, it always is.",
                "replay_policy",
            )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def require_one_key_source(self, data: Mapping[str, Any], sent: Mapping[str, Any], **_kwargs: Any) -> None:
        """Require keys in the field of the key source only."""
        require_keys_of_source(data, sent)

    @validates_schema
    def require_fitting_algorithms(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Require algorithms that fit the key source."""
        require_algorithms_of_source(data)

    @validates_schema
    def require_pins(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Refuse an issuer shared by many tenants without a condition that only one tenant's tokens can pass."""
        faults = find_pin_faults(data["issuer"], data["preset"], data["claim_conditions"], data["audiences"])
        if faults:
            raise ValidationError({**faults})

    @validates_schema
    def require_one_subject_rule(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Require exactly one of run-as user and user field."""
        if bool(data.get("run_as")) == bool(data.get("user_field")):
            raise ValidationError(
                "Choose either a run-as user or the user field that the subject is compared with.", "run_as"
            )


def _with_both_switches(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with both `replay_policy` and the JTI checkbox if only one was given."""
    if "replay_policy" in given and "enable_jti_verification" not in given:
        given["enable_jti_verification"] = given["replay_policy"] != REUSABLE
    elif "enable_jti_verification" in given and "replay_policy" not in given:
        switch = given["enable_jti_verification"]
        is_off = isinstance(switch, str | int) and switch in fields.Boolean.falsy
        given["replay_policy"] = REUSABLE if is_off else ONCE
    return given
