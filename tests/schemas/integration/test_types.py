"""Each connection type has fields of its own, and says of another's that it lacks them."""

from typing import Any

import pytest
from marshmallow import ValidationError

from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import CONNECTION_TYPES
from changegate.schemas.integration import SCHEMAS, load_fields

NAMED = {"name": "Pipeline", "provider_name": "Example CI"}
TRUST = {"issuer": "https://ci.example.com", "jwks_url": "https://ci.example.com/jwks.json", "run_as": "bot"}
LEAST: dict[str, dict[str, Any]] = {
    "jwt_bearer": NAMED | TRUST,
    "client_credentials": NAMED | {"run_as": "bot"},
    "password": NAMED,
    "id_token": NAMED | TRUST,
}
FOREIGN = [
    ("client_credentials", "issuer", "https://ci.example.com", "A client credentials integration has no issuer."),
    ("client_credentials", "jwks_url", "https://a.example", "A client credentials integration has no JWKS URL."),
    ("client_credentials", "algorithms", ["RS256"], "A client credentials integration has no allowed algorithms."),
    ("client_credentials", "user_field", "email", "A client credentials integration has no user field."),
    ("client_credentials", "issue_refresh_tokens", True, "A client credentials integration has no refresh tokens."),
    ("client_credentials", "public_client", True, "A client credentials integration cannot be a public client."),
    (
        *("password", "run_as", "bot"),
        "A password integration has no run-as user: its tokens act as the user who signs in.",
    ),
    ("password", "allow_missing_kid", True, "A password integration has no field Accept assertions without kid."),
    ("password", "claim_conditions", ["a equals b"], "A password integration has no claim conditions."),
    ("jwt_bearer", "user_claim", "email", "A JWT bearer integration has no user claim."),
    ("jwt_bearer", "refresh_token_lifespan_seconds", 60, "A JWT bearer integration has no refresh token lifespan."),
    (
        *("id_token", "token_format", "jwt"),
        "An ID token integration has no token format: the provider's own tokens are sent to the API.",
    ),
    ("id_token", "public_client", True, "An ID token integration cannot be a public client."),
]


def load(connection_type: str, **changes: Any) -> dict[str, Any]:
    """Return what the least integration of a type loads as, with changes."""
    sent = {"type": connection_type, **LEAST[connection_type], **changes}
    return load_fields({name: value for name, value in sent.items() if value is not ...})


def refused(connection_type: str, **changes: Any) -> dict[str, Any]:
    """Return what a changed integration is refused for."""
    with pytest.raises(ValidationError) as caught:
        load(connection_type, **changes)
    return dict(caught.value.messages_dict)


def test_every_connection_type_has_a_schema_with_its_fields() -> None:
    assert TYPES.keys() == SCHEMAS.keys() == CONNECTION_TYPES.keys()
    for name, schema in SCHEMAS.items():
        assert {*TYPES[name].fields} == schema.fields.keys()
        assert len(TYPES[name].fields) == len({*TYPES[name].fields})


@pytest.mark.parametrize("connection_type", TYPES)
def test_the_least_that_is_given_loads_as_all_fields_of_the_type(connection_type: str) -> None:
    loaded = load(connection_type)
    assert loaded.keys() == {*TYPES[connection_type].fields}
    assert loaded["type"] == connection_type


def test_who_names_no_type_means_jwt_bearer() -> None:
    assert load_fields(NAMED | TRUST) == load_fields(NAMED | TRUST | {"type": " "}) == load("jwt_bearer")


@pytest.mark.parametrize("said", ["client-credentials", "Client_Credentials", " client_credentials "])
def test_takes_the_type_as_it_is_typed(said: str) -> None:
    assert load_fields(LEAST["client_credentials"] | {"type": said}) == load("client_credentials")


@pytest.mark.parametrize("said", ["authorization_code", "jwt bearer", 7, ["jwt_bearer"], {}, "x" * 1000])
def test_refuses_an_unknown_type(said: object) -> None:
    with pytest.raises(ValidationError) as caught:
        load_fields(NAMED | {"type": said})
    assert caught.value.messages_dict == {
        "type": ["Must be one of: client_credentials, jwt_bearer, password, id_token."]
    }


@pytest.mark.parametrize(("connection_type", "name", "value", "sentence"), FOREIGN)
def test_says_in_words_what_a_type_lacks(connection_type: str, name: str, value: object, sentence: str) -> None:
    assert refused(connection_type, **{name: value}) == {name: [sentence]}


@pytest.mark.parametrize("connection_type", TYPES)
def test_every_field_of_another_type_is_refused_with_its_own_message(connection_type: str) -> None:
    every = {name for one in TYPES.values() for name in one.fields}
    foreign = dict.fromkeys(every - {*TYPES[connection_type].fields}, "something")
    found = refused(connection_type, **foreign)
    assert found.keys() == foreign.keys()
    assert all(texts[0].startswith(f"{TYPES[connection_type].noun} ") for texts in found.values())


@pytest.mark.parametrize("nothing", ["", None, False, "false", "off", []])
def test_who_says_that_what_another_type_has_is_not_there_is_right(nothing: object) -> None:
    assert load("client_credentials", enable_jti_verification=nothing, issuer=nothing) == load("client_credentials")


def test_a_field_of_no_type_is_unknown() -> None:
    assert refused("password", isuer="x") == {"isuer": ["Unknown field."]}


@pytest.mark.parametrize("run_as", [..., "", " ", None])
def test_client_credentials_need_the_user_that_they_act_as(run_as: object) -> None:
    assert refused("client_credentials", run_as=run_as) == {"run_as": ["This field is required."]}


def test_refresh_tokens_are_off_and_their_lifespan_is_bounded() -> None:
    loaded = load("password")
    assert (loaded["issue_refresh_tokens"], loaded["refresh_token_lifespan_seconds"]) == (False, 8_640_000)
    for good in (60, 31_536_000, "3600"):
        assert load("password", refresh_token_lifespan_seconds=good)["refresh_token_lifespan_seconds"] == int(good)
    for bad in (59, 31_536_001, "soon", 1.5):
        assert refused("password", refresh_token_lifespan_seconds=bad).keys() == {"refresh_token_lifespan_seconds"}


def test_an_id_token_is_good_for_any_number_of_calls_unless_it_is_said_otherwise() -> None:
    usual, once = load("id_token"), load("id_token", enable_jti_verification=True)
    assert (usual["replay_policy"], usual["enable_jti_verification"]) == ("reusable-until-exp", False)
    assert (once["replay_policy"], once["enable_jti_verification"]) == ("jti-required-once", True)
    assert load("id_token", replay_policy="once-if-present")["enable_jti_verification"] is True


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "jti", "\u202ebus"])
def test_refuses_a_user_claim_that_identifies_no_user(claim: str) -> None:
    assert refused("id_token", user_claim=claim).keys() == {"user_claim"}


def test_an_id_token_is_trusted_on_the_same_terms_as_an_assertion() -> None:
    assert refused("id_token", issuer=...).keys() == {"issuer"}
    assert refused("id_token", run_as=...).keys() == {"run_as"}
    shared = refused("id_token", issuer="https://token.actions.githubusercontent.com")
    assert shared == refused("jwt_bearer", issuer="https://token.actions.githubusercontent.com")


@pytest.mark.parametrize("connection_type", ["client_credentials", "password", "jwt_bearer"])
def test_a_token_format_is_taken_in_any_case(connection_type: str) -> None:
    assert load(connection_type, token_format=" JWT ")["token_format"] == "jwt"
