"""The rules of integrations with an identity provider: issuer, keys, conditions, and the user of the tokens."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from changegate.models.integration_choices import REUSABLE
from changegate.schemas.integration.base import IntegrationSchema
from changegate.schemas.integration.values import Rule
from changegate.schemas.key_source import (
    SHARED_KEY,
    SHARED_KEY_ALGORITHMS,
    is_filled,
    require_algorithms_of_source,
    require_keys_of_source,
)
from changegate.schemas.pasted_keys import require_key_set
from changegate.schemas.presets import PRESETS, find_pin_faults

ONCE = "jti-required-once"
# Types of tokens with another purpose, which are never accepted as a grant (RFC 8725 §3.11).
OTHER_PURPOSES = (
    *("client-authentication+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"),
    *("oauth-authz-req+jwt", "entity-statement+jwt"),
)
# Claims that are equal in many assertions: as the unique claim, only the first assertion would be accepted.
NOT_UNIQUE = ("iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id")
# Claims that are equal in all tokens of an issuer, or different in each, so they cannot identify a user.
NOT_A_USER = ("iss", "aud", "exp", "iat", "nbf", "jti", "typ")


def _is_a_grant(typ: str) -> None:
    if typ.lower().removeprefix("application/") in OTHER_PURPOSES:
        raise ValidationError("Tokens of this kind are made for another purpose than a grant.")


# The rules of single fields that do not follow from the list of fields.
RULES: Mapping[str, Rule] = {
    "algorithms": validate.Length(min=1, error="Allow at least one algorithm."),
    "jti_claim": validate.NoneOf(NOT_UNIQUE, error="This claim is the same in many assertions."),
    "jwks": require_key_set,
    "preset": validate.OneOf([*PRESETS], error=f"Unknown preset. The presets are {', '.join(PRESETS)}."),
    "required_typ": _is_a_grant,
    "user_claim": validate.NoneOf(NOT_A_USER, error="This claim does not identify a user."),
}


class ProviderSchema(IntegrationSchema):
    """The rules of integrations with an identity provider; exactly one of `run_as` and `user_field` is given."""

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

    # Not skipped on errors, so that all errors are reported at once: hence of what was sent, valid or not.
    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def require_one_subject_rule(self, _data: Mapping[str, Any], sent: Mapping[str, Any], **_kwargs: Any) -> None:
        """Require exactly one of run-as user and user field."""
        if is_filled(sent.get("run_as")) == is_filled(sent.get("user_field")):
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
