"""The key timeline: the keys that a provider has published, and alerts about changes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.integrations.saving import change_integration
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.key_timeline import list_key_alerts, list_keys
from changegate.services.keys.signing_key import SigningKey
from tests.conftest import Clock
from tests.support.forge import ec_key, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import ISSUER, ROBOT, TokenDesk

FIRST, SECOND = jwk(rsa_key(), "first"), jwk(ec_key(), "second")


@pytest.fixture
def entity(desk: TokenDesk) -> OAuthEntity:
    return get_integration(desk.register().client_id)


def publish(desk: TokenDesk, entity: OAuthEntity, *members: dict[str, Any]) -> None:
    desk.jwks.answer = reply(key_set_document(*members))
    refresh_keys(entity, desk.app.extensions["key_store"])
    db.session.expire_all()


def thumbprint(member: dict[str, Any]) -> str:
    return SigningKey.from_jwk(member).thumbprint


def about(at: datetime, expected: datetime) -> bool:
    return abs(at - expected) < timedelta(minutes=1)


def alerts(entity: OAuthEntity) -> list[tuple[str, str | None]]:
    return [(alert.kind, alert.kid) for alert in list_key_alerts(entity.sys_id)]


def test_the_timeline_shows_when_a_key_was_first_and_last_published(
    desk: TokenDesk, entity: OAuthEntity, clock: Clock
) -> None:
    begun = clock()
    publish(desk, entity, FIRST)
    clock.advance(hours=1)
    publish(desk, entity, FIRST, SECOND)
    clock.advance(hours=1)
    publish(desk, entity, SECOND)
    second, first = list_keys(entity.sys_id)
    assert (first.kid, first.thumbprint, first.kty, first.size) == ("first", thumbprint(FIRST), "RSA", 2048)
    assert about(first.first_seen_at, begun)
    assert about(first.last_seen_at, begun + timedelta(hours=1))
    assert first.gone_at is not None
    assert about(first.gone_at, begun + timedelta(hours=2))
    assert (second.kid, second.gone_at) == ("second", None)
    assert alerts(entity) == []


def test_a_key_that_comes_back_is_published_again(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, FIRST, SECOND)
    publish(desk, entity, SECOND)
    publish(desk, entity, FIRST, SECOND)
    assert [key.gone_at for key in list_keys(entity.sys_id)] == [None, None]


def test_alerts_when_a_kid_names_another_key(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, FIRST, SECOND)
    publish(desk, entity, jwk(rsa_key("other"), "first"), SECOND)
    [alert] = list_key_alerts(entity.sys_id)
    assert (alert.kind, alert.kid) == ("same_kid_other_key", "first")
    assert thumbprint(FIRST) in alert.detail


@pytest.mark.parametrize(
    "other",
    [jwk(ec_key(name="other"), "first"), jwk(rsa_key("other"), "first", alg="RS256")],
    ids=["type", "algorithm"],
)
def test_alerts_too_when_the_other_key_is_of_another_kind(
    desk: TokenDesk, entity: OAuthEntity, other: dict[str, Any]
) -> None:
    publish(desk, entity, FIRST, SECOND)
    publish(desk, entity, other, SECOND)
    assert alerts(entity) == [("same_kid_other_key", "first")]


def test_a_second_key_of_another_type_beside_the_first_replaces_nothing(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, jwk(rsa_key(), "k"))
    publish(desk, entity, jwk(rsa_key(), "k"), jwk(ec_key(), "k"))
    assert alerts(entity) == []


def test_one_kid_for_keys_of_two_types_is_no_change(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, jwk(rsa_key(), "k"), jwk(ec_key(), "k"))
    publish(desk, entity, jwk(rsa_key(), "k"), jwk(ec_key(), "k"))
    assert alerts(entity) == []
    assert len(list_keys(entity.sys_id)) == 2


def test_alerts_when_all_keys_are_replaced_at_once(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, FIRST)
    publish(desk, entity, SECOND)
    assert alerts(entity) == [("all_keys_replaced", None)]


def test_a_new_url_replaces_nothing(desk: TokenDesk, entity: OAuthEntity) -> None:
    publish(desk, entity, FIRST)
    sent = {"name": "Pipeline", "provider_name": "CI", "issuer": ISSUER, "run_as": ROBOT}
    change_integration(entity, SCHEMAS["jwt_bearer"].load(sent | {"jwks_url": f"{desk.jwks.url()}?v=2"}), by="admin")
    db.session.commit()
    publish(desk, entity, SECOND)
    assert alerts(entity) == []
    assert [key.gone_at is None for key in list_keys(entity.sys_id)] == [True, False]


def test_alerts_once_a_day_when_a_private_key_is_published(desk: TokenDesk, entity: OAuthEntity, clock: Clock) -> None:
    leaked = jwk(rsa_key("leaked"), "leaked") | {"d": "AQAB"}
    publish(desk, entity, FIRST, leaked)
    publish(desk, entity, FIRST, leaked)
    assert alerts(entity) == [("private_key_published", "leaked")]
    assert [key.kid for key in list_keys(entity.sys_id)] == ["first"]
    clock.advance(hours=25)
    publish(desk, entity, FIRST, leaked)
    assert len(alerts(entity)) == 2


def test_an_exchange_that_fetches_keys_notes_them_too(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration)
    assert [key.kid for key in list_keys(integration.sys_id)] == ["k1"]


def test_a_blocked_key_is_trusted_no_longer_and_its_tokens_end(desk: TokenDesk) -> None:
    integration = desk.register()
    token = desk.token(integration)
    [key] = list_keys(integration.sys_id)
    block_key(get_integration(integration.client_id), key.thumbprint, by="admin")
    db.session.commit()

    assert desk.exchange(integration).status_code == 400
    event = desk.last_event()
    assert event is not None
    assert event.reason == "key_blocked"
    assert desk.call(token).status_code == 401

    unblock_key(get_integration(integration.client_id), key.thumbprint, by="admin")
    db.session.commit()
    assert desk.exchange(integration).status_code == 200
    assert desk.call(token).status_code == 401


def test_blocking_one_of_two_keys_leaves_the_other(desk: TokenDesk, entity: OAuthEntity) -> None:
    keys = KeySet.parse(key_set_document(jwk(rsa_key(), "k1"), SECOND))
    publish(desk, entity, jwk(rsa_key(), "k1"), SECOND)
    block_key(entity, next(key.thumbprint for key in keys.keys if key.kid == "second"), by="admin")
    db.session.commit()
    [row] = [entity for entity in db.session.query(OAuthEntity) if entity.blocked_keys]
    assert row.blocked_keys == [thumbprint(SECOND)]


@pytest.mark.parametrize("text", ["", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 43 + "\n"])
def test_only_a_thumbprint_can_be_blocked(entity: OAuthEntity, text: str) -> None:
    with pytest.raises(InputInvalid):
        block_key(entity, text, by="admin")
