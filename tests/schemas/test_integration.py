"""The integration form's schema: its defaults, and everything it must not let through."""

from typing import Any

import pytest
from marshmallow import ValidationError

from changegate.schemas.integration import ALGORITHMS, IntegrationSchema

LEAST = {
    "name": "Pipeline",
    "provider_name": "Example CI",
    "issuer": "https://ci.example.com",
    "run_as": "release.bot",
    "jwks_url": "https://ci.example.com/jwks.json",
}


def _load(**changes: Any) -> dict[str, Any]:
    sent = {name: value for name, value in (LEAST | changes).items() if value is not ...}
    loaded: dict[str, Any] = IntegrationSchema().load(sent)
    return loaded


def _refused(**changes: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        _load(**changes)
    return set(caught.value.messages_dict)


def test_defaults_are_safe_and_those_of_the_form() -> None:
    assert _load() == LEAST | {
        "comments": None,
        "active": True,
        "public_client": False,
        "audiences": [],
        "algorithms": ["RS256", "ES256"],
        "user_field": None,
        "enable_jti_verification": True,
        "jti_claim": "jti",
        "scopes": [],
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
    ],
)
def test_keeps_durations_within_their_bounds(name: str, least: int, most: int) -> None:
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


def test_trims_what_is_pasted() -> None:
    assert _load(issuer=" https://ci.example.com \n")["issuer"] == "https://ci.example.com"


def test_keeps_an_issuer_byte_for_byte() -> None:
    assert _load(issuer="HTTPS://CI.example.com//x/")["issuer"] == "HTTPS://CI.example.com//x/"


@pytest.mark.parametrize("name", ["clock_skew", "client_id", "client_secret_hash", "sys_id", "type"])
def test_refuses_a_name_that_is_no_field_of_the_form(name: str) -> None:
    assert _refused(**{name: "x"}) == {name}
