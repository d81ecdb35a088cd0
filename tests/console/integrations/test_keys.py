"""The key timeline of an integration, and blocking and refreshing keys."""

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import JwksCache
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import Registered
from tests.conftest import Clock
from tests.console.visitor import Visitor, forms_of
from tests.support.forge import ec_key, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import MisbehavingJwks, reply


@pytest.fixture
def path(app: Flask, integration: Registered, provider: MisbehavingJwks) -> str:
    """Return the path of an integration that trusts the provider on loopback."""
    with app.app_context():
        get_integration(integration.entity.client_id).jwks_url = provider.url()
        db.session.commit()
    return f"/inbound-integrations/{integration.entity.client_id}"


def refresh(visitor: Visitor, path: str) -> str:
    """Refresh the keys and return the page that follows."""
    answer = visitor.send(visitor.open(f"{path}/keys"), f"{path}/refresh-keys")
    assert answer.location == f"{path}/keys"
    return visitor.open(f"{path}/keys").text


def state_of(app: Flask, path: str) -> tuple[list[str], int]:
    """Return which keys are blocked, and how often all tokens were ended."""
    with app.app_context():
        entity = get_integration(path.rpartition("/")[2])
        return entity.blocked_keys or [], entity.token_generation


def test_says_that_no_keys_were_fetched_yet(admin: Visitor, path: str) -> None:
    assert "No keys have been fetched yet" in admin.open(f"{path}/keys").text


def test_refreshes_the_keys_and_shows_them(admin: Visitor, path: str, provider: MisbehavingJwks) -> None:
    text = refresh(admin, path)
    assert provider.hits == 1
    for shown in ("The keys were fetched: 2 usable keys.", "rsa-1", "ec-1", "RSA, 2048 bits", "EC, 256 bits", "In use"):
        assert shown in text


def test_a_failed_fetch_is_shown_and_keeps_the_keys(admin: Visitor, path: str, provider: MisbehavingJwks) -> None:
    refresh(admin, path)
    provider.answer = reply(b"no", status=500)
    text = refresh(admin, path)
    assert "The keys could not be fetched." in text
    assert "1 in a row" in text
    assert "In use" in text


def test_the_last_error_is_shown_until_a_fetch_fails_again(
    admin: Visitor, path: str, provider: MisbehavingJwks
) -> None:
    usual, provider.answer = provider.answer, reply(b"no", status=500)
    refresh(admin, path)
    provider.answer = usual
    text = refresh(admin, path)
    assert "The server answered with status 500 instead of a key set. <span" in text
    assert "; a later fetch succeeded." in text
    assert "in a row" not in text


def test_alerts_when_all_keys_were_replaced(admin: Visitor, path: str, provider: MisbehavingJwks) -> None:
    refresh(admin, path)
    provider.answer = reply(key_set_document(jwk(rsa_key("another"), "rsa-2"), {**jwk(ec_key(), "leak"), "d": "AA"}))
    text = refresh(admin, path)
    assert "All keys replaced" in text
    assert "Private key published" in text
    assert text.count(">Gone<") == 2


def test_alerts_when_a_kid_got_another_key(admin: Visitor, path: str, provider: MisbehavingJwks) -> None:
    refresh(admin, path)
    keys = jwk(rsa_key("another"), "rsa-1"), jwk(ec_key(), "ec-1", alg="ES256")
    provider.answer = reply(key_set_document(*keys))
    assert "Same kid, other key" in refresh(admin, path)


def test_blocks_a_key_and_trusts_it_again(app: Flask, admin: Visitor, path: str) -> None:
    refresh(admin, path)
    page = admin.open(f"{path}/keys")
    thumbprint = forms_of(page).forms[f"{path}/block-key"].getlist("thumbprint")[0]
    admin.send(page, f"{path}/block-key", {"thumbprint": thumbprint})
    assert state_of(app, path) == ([thumbprint], 1)
    blocked = admin.open(f"{path}/keys")
    assert "is blocked, and the tokens of Build pipeline have stopped working" in blocked.text
    assert ">Blocked<" in blocked.text
    admin.send(blocked, f"{path}/unblock-key", {"thumbprint": thumbprint})
    assert state_of(app, path)[0] == []


def test_a_key_that_was_never_seen_can_be_unblocked_too(app: Flask, admin: Visitor, path: str) -> None:
    with app.app_context():
        get_integration(path.rpartition("/")[2]).blocked_keys = ["A" * 43]
        db.session.commit()
    page = admin.open(f"{path}/keys")
    assert "Not seen" in page.text
    admin.send(page, f"{path}/unblock-key")
    assert state_of(app, path)[0] == []


@pytest.mark.parametrize("thumbprint", ["", "short", "x" * 44, "\x00" * 43])
def test_only_a_thumbprint_can_be_blocked(app: Flask, admin: Visitor, path: str, thumbprint: str) -> None:
    refresh(admin, path)
    answer = admin.send(admin.open(f"{path}/keys"), f"{path}/block-key", {"thumbprint": thumbprint})
    assert answer.status_code == 400
    assert state_of(app, path) == ([], 0)


def test_says_that_stored_keys_cannot_be_read(app: Flask, admin: Visitor, path: str) -> None:
    with app.app_context():
        entity = get_integration(path.rpartition("/")[2])
        entity.key_source, entity.static_keys = "certificates", "damaged"
        db.session.commit()
    assert "The keys that are stored with the integration cannot be read." in admin.open(f"{path}/keys").text


def test_keys_that_are_stored_are_shown_and_not_fetched(app: Flask, admin: Visitor, path: str) -> None:
    pasted = key_set_document(jwk(rsa_key(), "pasted-1")).decode()
    admin.send(admin.open(path), "integration", {"key_source": "jwks", "jwks": pasted})
    text = admin.open(f"{path}/keys").text
    assert "pasted-1" in text
    assert "Stored with the integration" in text
    assert "Refresh keys now" not in text


def test_shows_until_when_unknown_key_ids_cause_no_fetch(admin: Visitor, path: str, app: Flask, clock: Clock) -> None:
    refresh(admin, path)
    assert "Cooldown until" not in admin.open(f"{path}/keys").text
    with app.app_context():
        row = db.session.execute(select(JwksCache)).scalar_one()
        row.unknown_kid_fetch_at = clock()
        db.session.commit()
    assert "Cooldown until" in admin.open(f"{path}/keys").text
    clock.advance(seconds=31)
    assert "Cooldown until" not in admin.open(f"{path}/keys").text
