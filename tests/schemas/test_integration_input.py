"""What callers, commands and files say of an integration, by connection type."""

from typing import Any

import pytest

from changegate.errors import InputInvalid
from changegate.schemas.integration_input import FIXED, load_change, load_integration, load_replacement
from tests.schemas.integration.test_types import LEAST, load

SECRETS = LEAST["client_credentials"] | {"type": "client_credentials"}
PRESET = {"name": "Shop", "preset": "gitlab", "run_as": "bot", "claim_conditions": ["project_id equals 7"]}


def stored(connection_type: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of an integration as they are stored."""
    return load(connection_type, **changes)


def why(call: Any, *arguments: Any) -> dict[str, list[str]]:
    """Return what is refused."""
    with pytest.raises(InputInvalid) as caught:
        call(*arguments)
    return dict(caught.value.fields)


def test_a_type_without_a_provider_takes_none() -> None:
    noun = "A client credentials integration"
    assert why(load_integration, SECRETS | {"preset": "gitlab"}) == {"preset": [f"{noun} has no identity provider."]}
    for name, value in (("placeholders", {"host": "a"}), ("place", "self-managed")):
        assert why(load_integration, SECRETS | {name: value}) == {name: [f"{noun} has no identity provider."]}
    assert load_integration(SECRETS | {"preset": None, "placeholders": {}}) == load("client_credentials")


@pytest.mark.parametrize("connection_type", LEAST)
def test_a_change_keeps_omitted_fields(connection_type: str) -> None:
    before = stored(connection_type, comments="Kept")
    after = load_change({"name": "Other", "type": connection_type.replace("_", "-")}, before)
    assert after == before | {"name": "Other"}


@pytest.mark.parametrize("load_other", [load_change, load_replacement])
@pytest.mark.parametrize(
    ("connection_type", "said"),
    [("jwt_bearer", "client_credentials"), ("client_credentials", "jwt_bearer"), ("password", "id-token")],
)
def test_the_type_cannot_be_changed(load_other: Any, connection_type: str, said: str) -> None:
    before = stored(connection_type)
    assert why(load_other, before | {"type": said}, before) == {"type": [FIXED]}


def test_a_replacement_that_names_no_type_means_jwt_bearer_as_a_new_one_would() -> None:
    before = stored("client_credentials")
    given = {name: value for name, value in before.items() if name != "type"}
    assert why(load_replacement, given, before) == {"type": [FIXED]}
    assert load_replacement(before, before) == before


def test_a_change_to_an_unknown_type_is_refused() -> None:
    assert "Must be one of" in why(load_change, {"type": "magic"}, stored("password"))["type"][0]


def test_a_change_takes_no_field_of_another_type() -> None:
    found = why(load_change, {"issuer": "https://ci.example.com"}, stored("client_credentials"))
    assert found == {"issuer": ["A client credentials integration has no issuer."]}


def test_what_a_preset_says_of_assertions_does_not_make_id_tokens_good_for_one_call_only() -> None:
    bearer, direct = load_integration(PRESET), load_integration(PRESET | {"type": "id_token"})
    assert (bearer["replay_policy"], direct["replay_policy"]) == ("jti-required-once", "reusable-until-exp")
    assert direct["enable_jti_verification"] is False
    kept = ("issuer", "jwks_url", "algorithms", "provider_name", "claim_conditions", "max_assertion_lifetime_seconds")
    assert {name: direct[name] for name in kept} == {name: bearer[name] for name in kept}
    asked = load_integration(PRESET | {"type": "id_token", "enable_jti_verification": True})
    assert asked["replay_policy"] == "jti-required-once"
