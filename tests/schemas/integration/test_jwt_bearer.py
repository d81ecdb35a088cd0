"""The integration form's schema: its defaults, and everything it must not let through."""

from typing import Any

import pytest
from marshmallow import ValidationError

from changegate.models.integration_choices import ALGORITHMS
from changegate.schemas.integration import SCHEMAS

LEAST = {
    "name": "Pipeline",
    "provider_name": "Example CI",
    "issuer": "https://ci.example.com",
    "run_as": "release.bot",
    "jwks_url": "https://ci.example.com/jwks.json",
}


def _load(**changes: Any) -> dict[str, Any]:
    sent = {name: value for name, value in (LEAST | changes).items() if value is not ...}
    loaded: dict[str, Any] = SCHEMAS["jwt_bearer"].load(sent)
    return loaded


def _refused(**changes: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        _load(**changes)
    return set(caught.value.messages_dict)


def _why(**changes: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        _load(**changes)
    return caught.value.messages_dict


def test_defaults_are_safe_and_those_of_the_form() -> None:
    assert _load() == LEAST | {
        "type": "jwt_bearer",
        "comments": None,
        "active": True,
        "public_client": True,
        "audiences": [],
        "algorithms": ["RS256", "ES256"],
        "user_field": None,
        "enable_jti_verification": True,
        "jti_claim": "jti",
        "replay_policy": "jti-required-once",
        "preset": None,
        "key_source": "jwks_url",
        "jwks": None,
        "verifier_maps": [],
        "audience_claim": "aud",
        "allow_additional_audiences": False,
        "allow_missing_kid": False,
        "required_typ": None,
        "claim_conditions": [],
        "scopes": [],
        "scope_restriction": True,
        "enforce_token_restriction": False,
        "token_format": "opaque",
        "creations_per_hour": None,
        "creations_per_day": None,
        "owner": None,
        "owner_group": None,
        "review_date": None,
        "access_token_lifespan_seconds": 1800,
        "clock_skew_seconds": 60,
        "max_assertion_lifetime_seconds": 3600,
        "jwks_cache_lifespan_minutes": 60,
    }


@pytest.mark.parametrize("name", ["name", "provider_name", "issuer", "jwks_url"])
@pytest.mark.parametrize("value", [..., "", "  ", None])
def test_requires_what_the_form_requires(name: str, value: object) -> None:
    assert _refused(**{name: value}) == {name}


@pytest.mark.parametrize(("run_as", "user_field"), [(..., ...), ("", ""), ("release.bot", "email")])
def test_requires_one_subject_rule_and_no_more(run_as: object, user_field: object) -> None:
    assert _refused(run_as=run_as, user_field=user_field) == {"run_as"}


@pytest.mark.parametrize("user_field", ["email", "user_name", "employee_number", "sys_id"])
def test_offers_the_columns_a_subject_can_name(user_field: str) -> None:
    assert _load(run_as=..., user_field=user_field)["user_field"] == user_field


@pytest.mark.parametrize("user_field", ["user_password", "name", "active", "email; --"])
def test_offers_no_other_column(user_field: str) -> None:
    assert "user_field" in _refused(run_as=..., user_field=user_field)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("access_token_lifespan_seconds", 60, 86400),
        ("clock_skew_seconds", 0, 300),
        ("max_assertion_lifetime_seconds", 60, 86400),
        ("jwks_cache_lifespan_minutes", 5, 1440),
        ("creations_per_hour", 1, 10_000),
        ("creations_per_day", 1, 100_000),
    ],
)
def test_keeps_numbers_within_their_bounds(name: str, least: int, most: int) -> None:
    assert [_load(**{name: value})[name] for value in (least, str(most))] == [least, most]
    for value in (least - 1, most + 1, -1, "1.5", "ten", "1e3", [], 10**30):
        assert _refused(**{name: value}) == {name}


@pytest.mark.parametrize("name", ["name", "provider_name", "issuer", "run_as", "jwks_url", "jti_claim"])
@pytest.mark.parametrize("value", ["a\0b", "a\nb", "a\x7fb", "a\ud800b", "x" * 3000])
def test_refuses_texts_that_cannot_be_kept_or_shown(name: str, value: str) -> None:
    assert _refused(**{name: value}) == {name}


@pytest.mark.parametrize("value", ["a\0b", "a\x1bb", "a\ud800b", "x" * 4001])
def test_refuses_comments_that_cannot_be_kept(value: str) -> None:
    assert _refused(comments=value) == {"comments"}


def test_comments_may_have_several_lines() -> None:
    assert _load(comments="One\r\n\tTwo")["comments"] == "One\r\n\tTwo"


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id"])
def test_refuses_a_unique_claim_that_is_not_unique(claim: str) -> None:
    assert _refused(jti_claim=claim) == {"jti_claim"}


@pytest.mark.parametrize("algorithms", [["none"], ["HS256"], ["RS256", "HS512"], ["rs256"], []])
def test_refuses_algorithms_that_prove_nothing(algorithms: list[str]) -> None:
    assert _refused(algorithms=algorithms) == {"algorithms"}


def test_no_algorithm_with_a_shared_secret_is_on_offer() -> None:
    assert not [name for name in ALGORITHMS if name.startswith(("HS", "none"))]


def test_lists_lose_repeated_and_empty_items() -> None:
    loaded = _load(audiences=["a", " a ", "", "b"], scopes=["x", "x"])

    assert (loaded["audiences"], loaded["scopes"]) == (["a", "b"], ["x"])


@pytest.mark.parametrize(("name", "count"), [("audiences", 21), ("scopes", 51)])
def test_lists_have_an_end(name: str, count: int) -> None:
    assert _refused(**{name: [f"item{n}" for n in range(count)]}) == {name}
    assert _refused(**{name: ["x" * 300]}) == {name}


def test_trims_pasted_text() -> None:
    assert _load(issuer=" https://ci.example.com \n")["issuer"] == "https://ci.example.com"


def test_keeps_an_issuer_byte_for_byte() -> None:
    assert _load(issuer="HTTPS://CI.example.com//x/")["issuer"] == "HTTPS://CI.example.com//x/"


@pytest.mark.parametrize("name", ["clock_skew", "client_id", "client_secret_hash", "sys_id", "type"])
def test_refuses_an_unknown_form_field(name: str) -> None:
    assert _refused(**{name: "x"}) == {name}


@pytest.mark.parametrize("typ", ["dpop+jwt", "application/logout+JWT", "client-authentication+jwt"])
def test_a_token_made_for_another_purpose_is_no_grant(typ: str) -> None:
    assert "another purpose" in str(_why(required_typ=typ)["required_typ"])


@pytest.mark.parametrize(
    ("given", "policy", "is_on"),
    [
        ({}, "jti-required-once", True),
        ({"enable_jti_verification": False}, "reusable-until-exp", False),
        ({"enable_jti_verification": True}, "jti-required-once", True),
        ({"replay_policy": "once-if-present"}, "once-if-present", True),
        ({"replay_policy": "reusable-until-exp"}, "reusable-until-exp", False),
    ],
)
def test_either_of_two_switches_says_whether_an_assertion_is_good_once(
    given: dict[str, Any], policy: str, is_on: bool
) -> None:
    loaded = _load(**given)
    assert (loaded["replay_policy"], loaded["enable_jti_verification"]) == (policy, is_on)


@pytest.mark.parametrize(
    ("is_on", "policy"), [(True, "reusable-until-exp"), (False, "once-if-present"), (False, "jti-required-once")]
)
def test_the_two_switches_must_not_contradict_each_other(is_on: bool, policy: str) -> None:
    assert "cannot be reusable" in str(_why(enable_jti_verification=is_on, replay_policy=policy)["replay_policy"])


def test_the_keys_come_from_exactly_one_place() -> None:
    assert _why(jwks_url=None)["jwks_url"] == ["This field is required."]
    assert _why(key_source="jwks", jwks_url=None)["jwks"] == ["This field is required."]
    assert "key source is JWKS URL" in str(_why(jwks="{}")["jwks"])
    assert "key source is Key set" in str(_why(key_source="jwks", jwks="{}")["jwks_url"])


def test_a_token_format_is_named_in_any_case() -> None:
    assert _load(token_format="JWT")["token_format"] == "jwt"
    assert "opaque, jwt" in str(_why(token_format="saml")["token_format"])


def test_a_review_date_is_a_date() -> None:
    assert str(_load(review_date="2027-01-31")["review_date"]) == "2027-01-31"
    assert _why(review_date="31.1.2027")["review_date"] == ["Give a date as YYYY-MM-DD."]


def test_a_shared_issuer_needs_a_pin_whatever_preset_is_named() -> None:
    shared: dict[str, Any] = {"issuer": "https://gitlab.com", "claim_conditions": ["ref equals main"]}
    for preset in (None, "gitlab", "jenkins"):
        assert _refused(**shared, preset=preset) == {"claim_conditions"}
    pinned = {**shared, "claim_conditions": ["project_id equals 42"]}
    assert _load(**pinned)["issuer"] == "https://gitlab.com"


def test_errors_of_an_issuer_are_shown_at_the_field_to_correct() -> None:
    assert _refused(issuer="https://login.microsoftonline.com/common/v2.0") == {"issuer"}
    assert _refused(preset="cognito", issuer="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a") == {
        "audiences"
    }
    assert _refused(preset="nobody") == {"preset"}


@pytest.mark.parametrize("value", [[], {}, ["true"], "maybe", 7])
def test_a_switch_that_is_neither_on_nor_off_is_refused(value: object) -> None:
    assert "enable_jti_verification" in _refused(enable_jti_verification=value)
