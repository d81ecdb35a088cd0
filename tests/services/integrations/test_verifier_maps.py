"""Verifier maps: validated before they are stored, and shown again without their secrets."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from changegate.errors import InputInvalid
from changegate.extensions import db, now
from changegate.models import JwtVerifierMap, OAuthEntity, OAuthEntityKey, SysCertificate
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import change_integration, register_integration
from changegate.services.integrations.verifier_maps import list_certificate_warnings
from tests.support.certificates import certificate, pem
from tests.support.forge import b64, ec_key, jwk, key_set_document, rsa_key
from tests.support.token_desk import ISSUER, ROBOT, TokenDesk

SECRET = "correct-horse-battery-staple-0123456789"


def _fields(**changes: Any) -> dict[str, Any]:
    usual = {"name": "Pipeline", "provider_name": "CI", "issuer": ISSUER, "run_as": ROBOT}
    loaded: dict[str, Any] = SCHEMAS["jwt_bearer"].load(usual | changes)
    return loaded


def _certificates(*maps: dict[str, Any]) -> dict[str, Any]:
    return _fields(key_source="certificates", verifier_maps=list(maps))


def _register(fields: dict[str, Any]) -> OAuthEntity:
    entity = register_integration(fields, by="admin").entity
    db.session.commit()
    return entity


def _refused(fields: dict[str, Any]) -> dict[str, list[str]]:
    with pytest.raises(InputInvalid) as refused:
        register_integration(fields, by="admin")
    db.session.rollback()
    return refused.value.fields


def test_a_certificate_is_stored_with_its_details(desk: TokenDesk) -> None:
    given = pem(certificate())
    _register(_certificates({"name": "Signer", "kid": "k1", "certificate": given}))

    [stored] = db.session.query(SysCertificate)
    assert (stored.name, stored.pem_certificate, stored.subject) == ("Signer", given, "CN=signer.example.com")
    assert stored.expires - stored.valid_from == timedelta(days=366)
    assert (len(stored.fingerprint), len(stored.thumbprint)) == (64, 43)


def test_the_shown_maps_can_be_sent_again(desk: TokenDesk) -> None:
    by_certificate = {"name": "A", "kid": None, "certificate": pem(certificate()), "enforce_dates": False}
    by_secret = {"name": "B", "kid": "k", "shared_key": SECRET}
    one = _register(_certificates(by_certificate))
    other = _register(_fields(name="Other", key_source="shared_key", verifier_maps=[by_secret]))
    before = [(one.static_keys, one.verifier_maps), (other.static_keys, other.verifier_maps)]

    change_integration(one, _certificates(*one.verifier_maps), by="admin")
    again = _fields(name="Other", key_source="shared_key", verifier_maps=other.verifier_maps)
    change_integration(other, again, by="admin")
    db.session.commit()

    assert [(one.static_keys, one.verifier_maps), (other.static_keys, other.verifier_maps)] == before
    assert one.verifier_maps == [{**by_certificate, "active": True}]
    assert SECRET not in str(before)
    assert (one.token_generation, other.token_generation) == (0, 0)


def test_a_new_key_keeps_the_record_of_its_map(desk: TokenDesk) -> None:
    entity = _register(_certificates({"name": "Signer", "certificate": pem(certificate())}))
    [before] = [one.sys_id for one in entity.jwt_verifier_maps]

    change_integration(entity, _certificates({"name": "Signer", "certificate": pem(certificate(ec_key()))}), by="ivy")
    db.session.commit()

    assert [one.sys_id for one in db.session.query(JwtVerifierMap)] == [before]
    assert db.session.query(SysCertificate).count() == 1
    assert entity.token_generation == 1


def test_a_certificate_that_cannot_be_used_is_refused_with_the_name_of_its_map(desk: TokenDesk) -> None:
    [text] = _refused(_certificates({"name": "Signer", "certificate": "nonsense"}))["verifier_maps"]

    assert text.startswith("Map Signer: This is not a certificate")
    assert db.session.query(OAuthEntity).count() == 0


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("nonsense", "not a key set"),
        ("\ud800", "not a key set"),
        ("{}", "no list named `keys`"),
        ('{"keys": []}', "empty"),
        (key_set_document(jwk(rsa_key("weak", 1024))).decode(), "1024 bits"),
    ],
)
def test_a_key_set_that_cannot_be_used_is_refused(desk: TokenDesk, document: str, reason: str) -> None:
    assert reason in str(_refused(_fields(key_source="jwks", jwks=document))["jwks"])


@pytest.mark.parametrize(
    "leaked",
    [
        {"kty": "oct", "kid": "k9\u202e", "\\u006b": b64(b"s" * 32)},
        {**jwk(rsa_key("other"), "k9"), "\\u0064": "AQAB"},
    ],
)
def test_a_private_key_in_disguise_is_refused_with_a_warning(desk: TokenDesk, leaked: dict[str, Any]) -> None:
    document = key_set_document(jwk(rsa_key()), leaked).decode().replace("\\\\u", "\\u")

    [text] = _refused(_fields(key_source="jwks", jwks=document))["jwks"]

    assert "Key k9" in text and "Consider it leaked" in text and text.isprintable()
    assert b64(b"s" * 32) not in text


def test_keys_that_are_stored_are_in_the_timeline_and_leave_it(desk: TokenDesk) -> None:
    entity = _register(_certificates({"name": "Signer", "kid": "one", "certificate": pem(certificate())}))
    change_integration(
        entity, _certificates({"name": "Signer", "kid": "two", "certificate": pem(certificate(ec_key()))}), by="admin"
    )
    db.session.commit()

    known = {key.kid: (key.kty, key.size, key.gone_at is None) for key in db.session.query(OAuthEntityKey)}
    assert known == {"one": ("RSA", 2048, False), "two": ("EC", 256, True)}


def test_a_secret_that_cannot_be_opened_has_to_be_given_again(desk: TokenDesk) -> None:
    entity = _register(_fields(key_source="shared_key", verifier_maps=[{"name": "S", "shared_key": SECRET}]))
    db.session.execute(update(JwtVerifierMap).values(shared_key="s1.AAAA"))
    db.session.commit()

    with pytest.raises(InputInvalid, match="none that can be opened"):
        change_integration(entity, _fields(key_source="shared_key", verifier_maps=[{"name": "S"}]), by="admin")
    db.session.rollback()
    given = _fields(key_source="shared_key", verifier_maps=[{"name": "S", "shared_key": SECRET}])
    change_integration(get_integration(entity.client_id), given, by="admin")


@pytest.mark.parametrize(
    ("begins", "ends", "enforced", "said"),
    [
        (-9, 31, True, None),
        (-9, 29, True, "expires on"),
        (-9, -1, True, "assertions signed with its key are refused"),
        (-9, -1, False, "its key is still accepted"),
        (1, 99, True, "not valid before"),
    ],
)
def test_warns_of_certificates_that_are_out_of_date_or_soon_will_be(
    desk: TokenDesk, begins: int, ends: int, enforced: bool, said: str | None
) -> None:
    at = now()
    given = certificate(begins_at=at + timedelta(days=begins), ends_at=at + timedelta(days=ends))
    maps = {"name": "Signer", "certificate": pem(given), "enforce_dates": enforced}
    entity = _register(_certificates(maps))

    warnings = list_certificate_warnings(entity, at)

    assert len(warnings) == (0 if said is None else 1)
    assert said is None or said in warnings[0]


def test_the_second_of_two_simultaneous_changes_is_refused(desk: TokenDesk) -> None:
    maps = [{"name": "One", "kid": "k1", "certificate": pem(certificate())}]
    entity = _register(_certificates(*maps))
    # What the other one committed after this one had read the maps.
    listed = list(entity.jwt_verifier_maps)
    with db.engine.begin() as other:
        columns = {column.name: getattr(listed[0], column.name) for column in JwtVerifierMap.__table__.columns}
        other.execute(insert(JwtVerifierMap).values(columns | {"sys_id": "f" * 32, "name": "Two"}))

    with pytest.raises(InputInvalid, match="has just changed this integration"):
        change_integration(entity, _certificates(*maps, {**maps[0], "name": "Two"}), by="admin")
