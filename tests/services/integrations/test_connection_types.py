"""Integrations of the four connection types: what is made for each, and what ends its tokens."""

from typing import Any

import pytest

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.schemas.integration_input import load_change
from changegate.services.integrations.connection_types import has_secret
from changegate.services.integrations.dry_run import try_assertion
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import constrain, get_integration, rotate_secret, set_active
from changegate.services.integrations.key_blocking import block_key, refresh_keys
from changegate.services.integrations.saving import change_integration
from tests.support.certificates import certificate, pem
from tests.support.token_desk import ISSUER, ROBOT, TokenDesk

TYPES_WITH_SECRET = ("client_credentials", "password")
TRUST = {"issuer": ISSUER, "run_as": ROBOT}


def made(desk: TokenDesk, connection_type: str, **fields: Any) -> OAuthEntity:
    """Return a registered integration of a type."""
    usual = {
        "client_credentials": {"run_as": ROBOT},
        "id_token": {**TRUST, "jwks_url": desk.jwks.url()},
        "jwt_bearer": {**TRUST, "jwks_url": desk.jwks.url()},
    }
    wanted = {**usual.get(connection_type, {}), **fields}
    registered = desk.register_as(connection_type, **{name: at for name, at in wanted.items() if at is not ...})
    return get_integration(registered.client_id)


def changed(entity: OAuthEntity, **fields: Any) -> int:
    """Change an integration; answers by how much its token generation grew."""
    before = entity.token_generation
    change_integration(entity, load_change(fields, fields_of(entity)), by="admin")
    db.session.commit()
    return entity.token_generation - before


@pytest.mark.parametrize("connection_type", TYPES_WITH_SECRET)
def test_clients_without_assertions_have_a_secret_and_nothing_that_is_a_providers(
    desk: TokenDesk, connection_type: str
) -> None:
    registered = desk.register_as(connection_type, **({"run_as": ROBOT} if connection_type != "password" else {}))
    entity = get_integration(registered.client_id)
    assert len(registered.secret or "") == 43
    assert (entity.type, entity.public_client, has_secret(entity)) == (connection_type, False, True)
    assert (entity.issuer, entity.audiences, entity.algorithms, entity.static_keys) == ("", [], [], None)
    assert {"issuer", "jwks_url", "public_client", "user_claim"}.isdisjoint(fields_of(entity))
    assert len(rotate_secret(entity, by="admin")) == 43


def test_client_credentials_act_as_a_user_who_is_there(desk: TokenDesk) -> None:
    entity = made(desk, "client_credentials")
    assert fields_of(entity)["run_as"] == ROBOT
    with pytest.raises(InputInvalid) as caught:
        made(desk, "client_credentials", name="Other", run_as="nobody")
    assert caught.value.fields == {"run_as": ["There is no active user nobody."]}


def test_an_id_token_integration_has_no_secret_and_expects_its_client_id_as_audience(desk: TokenDesk) -> None:
    entity = made(desk, "id_token", user_claim="preferred_username")
    assert (entity.client_secret_hash, entity.audiences) == (None, [entity.client_id])
    assert (entity.user_claim, entity.replay_policy) == ("preferred_username", "reusable-until-exp")
    change_integration(entity, load_change({"comments": "x"}, fields_of(entity)), by="admin")
    assert entity.client_secret_hash is None
    with pytest.raises(InputInvalid) as caught:
        rotate_secret(entity, by="admin")
    assert caught.value.fields == {"client_id": ["An ID token integration has no secret."]}


def test_an_id_token_integration_takes_keys_from_certificates_too(desk: TokenDesk) -> None:
    signer = {"name": "Signer", "kid": "k1", "certificate": pem(certificate())}
    entity = made(desk, "id_token", key_source="certificates", verifier_maps=[signer], jwks_url=...)
    assert [one.name for one in entity.jwt_verifier_maps] == ["Signer"]
    assert entity.static_keys is not None


@pytest.mark.parametrize("connection_type", ["client_credentials", "password", "id_token", "jwt_bearer"])
def test_writing_back_a_read_record_changes_nothing(desk: TokenDesk, connection_type: str) -> None:
    entity = made(desk, connection_type)
    fields = load_change({}, fields_of(entity))
    before = entity.sys_mod_count
    assert change_integration(entity, fields, by="admin").changes == {}
    assert (entity.sys_mod_count, entity.token_generation) == (before, 0)


def test_another_application_user_ends_the_tokens(desk: TokenDesk) -> None:
    desk.add_user("other.bot", "itil")
    entity = made(desk, "client_credentials")
    assert changed(entity, comments="Same", access_token_lifespan_seconds=60, scopes=["change_request.read"]) == 0
    assert changed(entity, run_as="other.bot") == 1


def test_disabling_refresh_tokens_ends_them_for_good(desk: TokenDesk) -> None:
    entity = made(desk, "password")
    assert changed(entity, issue_refresh_tokens=True) == 0
    assert changed(entity, refresh_token_lifespan_seconds=60) == 0
    assert changed(entity, issue_refresh_tokens=False) == 1
    assert changed(entity, issue_refresh_tokens=True) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audiences", ["other"]),
        ("audience_claim", "client_id"),
        ("algorithms", ["ES256"]),
        ("required_typ", "at+jwt"),
        ("allow_missing_kid", True),
        ("max_assertion_lifetime_seconds", 60),
        ("clock_skew_seconds", 0),
        ("user_claim", "email"),
        ("replay_policy", "jti-required-once"),
        ("jti_claim", "uti"),
        ("claim_conditions", ["project equals shop"]),
    ],
)
def test_an_id_token_is_verified_again_after_every_change(desk: TokenDesk, field: str, value: object) -> None:
    entity = made(desk, "id_token")
    assert changed(entity, comments="Same") == 0
    assert changed(entity, **{field: value}) == 1


def test_rules_for_assertions_of_a_jwt_bearer_integration_do_not_end_tokens(desk: TokenDesk) -> None:
    entity = made(desk, "jwt_bearer")
    assert changed(entity, audiences=["other"], clock_skew_seconds=0) == 0


def test_id_tokens_from_before_a_deactivation_are_refused_for_good(desk: TokenDesk) -> None:
    switched, edited = made(desk, "id_token"), made(desk, "id_token", name="Other")
    at = desk.app.config["CLOCK"]()
    set_active(switched, False, by="admin")
    assert changed(edited, active=False) == 1
    for entity in (switched, edited):
        assert entity.tokens_valid_from is not None and entity.tokens_valid_from >= at


@pytest.mark.parametrize("connection_type", TYPES_WITH_SECRET)
def test_refuses_what_only_assertions_and_their_keys_are_for(desk: TokenDesk, connection_type: str) -> None:
    entity, key_store = made(desk, connection_type), desk.app.extensions["key_store"]
    noun = f"A {connection_type.replace('_', ' ')} integration"
    attempts = {
        f"{noun} has no keys.": [
            lambda: refresh_keys(entity, key_store),
            lambda: block_key(entity, "a" * 43, by="admin"),
        ],
        f"{noun} has no claim conditions.": [lambda: constrain(entity, "project", "shop", by="admin")],
        f"{noun} has no assertions.": [lambda: try_assertion(fields_of(entity), desk.assertion(), key_store, entity)],
    }
    for sentence, calls in attempts.items():
        for call in calls:
            with pytest.raises(InputInvalid, match=sentence):
                call()


def test_a_dry_run_compares_the_user_claim(desk: TokenDesk) -> None:
    desk.add_user("ada", email="ada@example.com")
    entity = made(desk, "id_token", run_as=..., user_field="email", user_claim="mail")
    key_store = desk.app.extensions["key_store"]

    def tried(**claims: object) -> tuple[str | None, str | None]:
        token = desk.assertion(aud=entity.client_id, **claims)
        run = try_assertion(load_change({}, fields_of(entity)), token, key_store, entity)
        return run.reason, run.user

    assert tried(mail="ada@example.com") == (None, "ada")
    assert tried(sub="ada@example.com", mail="bob@example.com") == ("sub_unmapped", None)
    assert tried(sub="ada@example.com")[1] is None
