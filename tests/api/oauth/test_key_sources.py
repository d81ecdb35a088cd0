"""Keys that are stored with an integration, as the token endpoint uses them.

See docs/reference/inbound-integrations.md#keys, RFC 7515 §4.1, RFC 7515 §4.1.4.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from changegate.errors import InputInvalid, JwksFetchFailed
from changegate.extensions import db
from changegate.models import JwksCache, JwtVerifierMap, OAuthEntityKey, SysCertificate
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.dry_run import try_assertion
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.integrations.saving import change_integration
from changegate.services.keys.shared_key import SharedKeys
from changegate.services.keys.static_keys import StaticKeys
from tests.conftest import Clock, basic
from tests.support.attack_forms import SPELLINGS
from tests.support.certificates import certificate, pem
from tests.support.forge import ec_key, forge, header, jwk, key_for, key_set_document, rsa_key
from tests.support.statements import counted_statements
from tests.support.token_desk import AUDIENCE, ISSUER, ROBOT, Integration, TokenDesk

SECRET = "correct-horse-battery-staple-0123456789"
OTHER_SECRET = "another-horse-another-staple-0123456789"
LONG_SECRET = "a much longer secret, long enough for the largest hash: 0123456789"


def _fields(desk: TokenDesk, source: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of an integration with one key of a source, with changes."""
    now = desk.app.config["CLOCK"]()
    dated = pem(certificate(begins_at=now - timedelta(days=1), ends_at=now + timedelta(days=100)))
    keys: dict[str, dict[str, Any]] = {
        "jwks": {"jwks": key_set_document(jwk(rsa_key())).decode()},
        "certificates": {"verifier_maps": [{"name": "Signer", "kid": "k1", "certificate": dated}]},
        "shared_key": {"verifier_maps": [{"name": "Signer", "kid": "k1", "shared_key": SECRET}]},
    }
    return {"key_source": source, "jwks_url": ..., **keys[source], **changes}


def _register(desk: TokenDesk, source: str, **changes: Any) -> Integration:
    return desk.register(**_fields(desk, source, **changes))


def _update(desk: TokenDesk, integration: Integration, **changes: Any) -> None:
    fields = {"name": "Pipeline", "provider_name": "Example CI", "issuer": ISSUER, "audiences": [AUDIENCE]}
    wanted = {
        name: value
        for name, value in (fields | {"run_as": ROBOT, "public_client": False} | changes).items()
        if value is not ...
    }
    with desk.app.app_context():
        change_integration(get_integration(integration.client_id), SCHEMAS["jwt_bearer"].load(wanted), by="admin")
        db.session.commit()


def _assertion(desk: TokenDesk, alg: str = "RS256", key: Any = None, **head: Any) -> str:
    """Sign an acceptable assertion with any key."""
    now = int(desk.app.config["CLOCK"]().timestamp())
    claims = {"iss": ISSUER, "sub": "build-42", "aud": AUDIENCE, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
    return forge(header(alg=alg, **head), claims, alg=alg, key=key_for(alg) if key is None else key)


def _of_source(desk: TokenDesk, source: str, **head: Any) -> str:
    return _assertion(desk, "HS256", SECRET.encode(), **head) if source == "shared_key" else _assertion(desk, **head)


def _reason(desk: TokenDesk, integration: Integration, assertion: str) -> str | None:
    assert desk.exchange(integration, assertion=assertion).status_code == 400
    event = desk.last_event()
    return event.reason if event else None


def _map(name: str, kid: str | None, **key: Any) -> dict[str, Any]:
    return {"name": name, "kid": kid, **key}


SOURCES = ["jwks", "certificates", "shared_key"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_token_signed_by_a_key_of_each_source_creates_a_change(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)

    token = desk.token(integration, assertion=_of_source(desk, source))

    assert desk.call(token).status_code == 201
    assert desk.jwks.hits == 0


def test_stored_keys_work_on_each_database(either_desk: TokenDesk) -> None:
    for source in SOURCES:
        integration = _register(either_desk, source, name=source)
        token = either_desk.token(integration, assertion=_of_source(either_desk, source))
        assert either_desk.call(token).status_code == 201


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_kid_is_refused_without_a_fetch(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)

    for kid in ("k2", "K1", "k", "k1 ", "../k1", "' OR 1=1--"):
        assert _reason(desk, integration, _of_source(desk, source, kid=kid)) == "kid_unknown"
    with desk.app.app_context():
        assert db.session.query(JwksCache).count() == 0


@pytest.mark.parametrize("source", SOURCES)
def test_an_assertion_signed_by_another_key_is_refused(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)
    alg, key = ("HS256", OTHER_SECRET.encode()) if source == "shared_key" else ("RS256", rsa_key("foreign"))

    assert _reason(desk, integration, _assertion(desk, alg, key)) == "signature_invalid"


@pytest.mark.parametrize("source", SOURCES)
def test_an_exchange_reads_no_more_for_stored_keys_than_for_fetched_ones(desk: TokenDesk, source: str) -> None:
    fetched, stored = desk.register("Fetched"), _register(desk, source)
    desk.token(fetched)
    desk.token(stored, assertion=_of_source(desk, source))
    ran = {}
    for name, integration, assertion in [
        ("fetched", fetched, desk.assertion()),
        ("stored", stored, _of_source(desk, source)),
    ]:
        with desk.app.app_context(), counted_statements() as statements:
            desk.token(integration, assertion=assertion)
        ran[name] = len(statements)

    assert ran["stored"] == ran["fetched"] > 0


@pytest.mark.parametrize("source", SOURCES)
def test_stored_keys_are_parsed_once(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)
    with mock.patch.object(StaticKeys, "parse", autospec=True, side_effect=StaticKeys.parse) as parse:
        for _ in range(2):
            desk.token(integration, assertion=_of_source(desk, source))
    assert parse.call_count == 1


@pytest.mark.parametrize("source", ["certificates", "shared_key"])
def test_without_kid_the_one_map_that_fits_is_used(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)

    desk.token(integration, assertion=_of_source(desk, source, kid=...))


def test_a_pasted_key_set_needs_a_kid_as_a_fetched_one_does(desk: TokenDesk) -> None:
    integration = _register(desk, "jwks")

    assert _reason(desk, integration, _of_source(desk, "jwks", kid=...)) == "kid_missing"


def test_without_kid_two_maps_that_fit_are_one_too_many_unless_it_was_chosen(desk: TokenDesk) -> None:
    maps = [_map("One", "k1", shared_key=OTHER_SECRET), _map("Two", "k2", shared_key=SECRET)]
    integration = _register(desk, "shared_key", verifier_maps=maps)
    assert _reason(desk, integration, _of_source(desk, "shared_key", kid=...)) == "kid_ambiguous"

    _update(desk, integration, key_source="shared_key", verifier_maps=maps, allow_missing_kid=True)

    desk.token(integration, assertion=_of_source(desk, "shared_key", kid=...))


def test_without_kid_a_map_of_another_kind_does_not_count(desk: TokenDesk) -> None:
    maps = [
        _map("RSA", None, certificate=pem(certificate()), enforce_dates=False),
        _map("EC", None, certificate=pem(certificate(ec_key())), enforce_dates=False),
    ]
    integration = _register(desk, "certificates", verifier_maps=maps)

    for alg in ("RS256", "ES256"):
        desk.token(integration, assertion=_assertion(desk, alg, kid=...))


def test_a_map_without_kid_answers_for_any_while_it_is_alone(desk: TokenDesk) -> None:
    integration = _register(desk, "shared_key", verifier_maps=[_map("Signer", None, shared_key=SECRET)])

    desk.token(integration, assertion=_of_source(desk, "shared_key", kid="whatever the signer says"))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA", "RS512", "PS256"])
def test_certificates_of_every_kind_of_key_work(desk: TokenDesk, alg: str) -> None:
    given = pem(certificate(key_for(alg)))
    maps = [_map("Signer", "k1", certificate=given, enforce_dates=False)]
    integration = _register(desk, "certificates", verifier_maps=maps, algorithms=[alg])

    desk.token(integration, assertion=_assertion(desk, alg))


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_each_hash_works_with_a_key_that_is_long_enough(desk: TokenDesk, alg: str) -> None:
    maps = [_map("Signer", "k1", shared_key=LONG_SECRET)]
    integration = _register(desk, "shared_key", verifier_maps=maps, algorithms=[alg])

    desk.token(integration, assertion=_assertion(desk, alg, LONG_SECRET.encode()))
    others = {"HS256", "HS384", "HS512"} - {alg}
    for other in others:
        assert _reason(desk, integration, _assertion(desk, other, LONG_SECRET.encode())) == "alg_not_allowed"


def test_a_certificate_expires_unless_the_map_ignores_that(desk: TokenDesk, clock: Clock) -> None:
    fields = _fields(desk, "certificates")
    integration = desk.register(**fields)
    desk.token(integration, assertion=_assertion(desk))

    clock.advance(days=101)
    assert _reason(desk, integration, _assertion(desk)) == "certificate_expired"
    failed = [rule for rule in _report(desk) if rule[1] is not None]
    assert "valid at" in failed[0][2] and "k1: " in failed[0][3]
    assert _reason(desk, integration, _assertion(desk, kid=...)) == "certificate_expired"

    [given] = fields["verifier_maps"]
    _update(desk, integration, key_source="certificates", verifier_maps=[{**given, "enforce_dates": False}])
    desk.token(integration, assertion=_assertion(desk))


def _report(desk: TokenDesk) -> list[list[Any]]:
    event = desk.last_event()
    rows: list[list[Any]] = event.rules if event else []
    return rows


def test_a_certificate_does_not_count_before_its_first_day(desk: TokenDesk, clock: Clock) -> None:
    given = pem(certificate(begins_at=clock() + timedelta(days=2)))
    integration = _register(desk, "certificates", verifier_maps=[_map("Signer", "k1", certificate=given)])

    assert _reason(desk, integration, _assertion(desk)) == "certificate_not_yet_valid"
    clock.advance(days=3)
    desk.token(integration, assertion=_assertion(desk))


def test_a_rotation_is_two_maps_for_a_while(desk: TokenDesk) -> None:
    old = _map("Old", "old", certificate=pem(certificate(rsa_key("old"))), enforce_dates=False)
    new = _map("New", "new", certificate=pem(certificate(ec_key(name="new"))), enforce_dates=False)
    integration = _register(desk, "certificates", verifier_maps=[old])
    by_old, by_new = ("RS256", rsa_key("old"), "old"), ("ES256", ec_key(name="new"), "new")

    def exchanged(alg: str, key: Any, kid: str) -> int:
        return desk.exchange(integration, assertion=_assertion(desk, alg, key, kid=kid)).status_code

    assert (exchanged(*by_old), exchanged(*by_new)) == (200, 400)
    _update(desk, integration, key_source="certificates", verifier_maps=[old, new])
    assert (exchanged(*by_old), exchanged(*by_new)) == (200, 200)
    _update(desk, integration, key_source="certificates", verifier_maps=[new])
    assert (exchanged(*by_old), exchanged(*by_new)) == (400, 200)
    with desk.app.app_context():
        assert [one.name for one in db.session.query(JwtVerifierMap)] == ["New"]
        assert [one.name for one in db.session.query(SysCertificate)] == ["New"]


def test_an_expired_certificate_does_not_stand_in_the_way_of_its_successor(desk: TokenDesk, clock: Clock) -> None:
    old = pem(certificate(rsa_key("old"), begins_at=clock() - timedelta(days=9), ends_at=clock() - timedelta(days=1)))
    new = pem(certificate(rsa_key("new"), begins_at=clock() - timedelta(days=2)))
    maps = [_map("Old", None, certificate=old), _map("New", None, certificate=new)]
    integration = _register(desk, "certificates", verifier_maps=maps)

    desk.token(integration, assertion=_assertion(desk, key=rsa_key("new"), kid=...))


@pytest.mark.parametrize("source", SOURCES)
def test_a_change_of_keys_ends_the_tokens_issued_under_the_former_ones(desk: TokenDesk, source: str) -> None:
    fields = _fields(desk, source)
    integration = desk.register(**fields)
    token = desk.token(integration, assertion=_of_source(desk, source))
    _update(desk, integration, **fields)
    assert desk.call(token).status_code == 201, "the same keys again are no change"

    others: Mapping[str, Any] = {
        "jwks": {"jwks": key_set_document(jwk(rsa_key("new"))).decode()},
        "certificates": {"verifier_maps": [_map("Signer", "k1", certificate=pem(certificate(rsa_key("new"))))]},
        "shared_key": {"verifier_maps": [_map("Signer", "k1", shared_key=OTHER_SECRET)]},
    }
    _update(desk, integration, **{**fields, **others[source]})

    assert desk.call(token).status_code == 401
    assert desk.exchange(integration, assertion=_of_source(desk, source)).status_code == 400


@pytest.mark.parametrize("source", SOURCES)
def test_another_source_ends_tokens_and_keys(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)
    token = desk.token(integration, assertion=_of_source(desk, source))

    _update(desk, integration, jwks_url=desk.jwks.url(), issuer=ISSUER)

    assert desk.call(token).status_code == 401
    desk.token(integration, assertion=_assertion(desk))
    assert desk.jwks.hits == 1
    with desk.app.app_context():
        assert get_integration(integration.client_id).verifier_maps == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_stored_key_can_be_blocked_by_its_thumbprint(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)
    token = desk.token(integration, assertion=_of_source(desk, source))
    with desk.app.app_context():
        [known] = db.session.query(OAuthEntityKey).filter_by(entity=integration.sys_id)
        block_key(get_integration(integration.client_id), known.thumbprint, by="admin")
        db.session.commit()
        assert len(known.thumbprint) == 43

        assert desk.call(token).status_code == 401
        assert _reason(desk, integration, _of_source(desk, source)) == "key_blocked"

        unblock_key(get_integration(integration.client_id), known.thumbprint, by="admin")
        db.session.commit()
    desk.token(integration, assertion=_of_source(desk, source))


@pytest.mark.parametrize("source", SOURCES)
def test_stored_keys_are_not_fetched_on_demand_either(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)

    with desk.app.app_context(), pytest.raises(JwksFetchFailed, match="nothing to fetch"):
        refresh_keys(get_integration(integration.client_id), desk.app.extensions["key_store"])
    assert desk.jwks.hits == 0


@pytest.mark.parametrize("source", ["jwks", "certificates"])
def test_cve_2015_9235_a_stored_public_key_is_not_used_as_an_hmac_secret(desk: TokenDesk, source: str) -> None:
    integration = _register(desk, source)
    desk.set(integration, algorithms=["RS256", "HS256"])

    for spelling in ("spki-pem", "certificate-pem"):
        assertion = _assertion(desk, "HS256", SPELLINGS["CVE-2015-9235", spelling]())
        assert _reason(desk, integration, assertion) == "alg_not_allowed"


def test_cve_2021_46743_a_kid_does_not_lead_to_a_key_of_another_kind(desk: TokenDesk) -> None:
    with_certificate = _register(desk, "certificates", name="A", verifier_maps=[_certificate_map("a")])
    with_secret = _register(desk, "shared_key", name="B", verifier_maps=[_map("B", "b", shared_key=SECRET)])
    for integration in (with_certificate, with_secret):
        desk.set(integration, algorithms=["RS256", "HS256"])
    by_secret = ("HS256", SECRET.encode())

    assert _reason(desk, with_certificate, _assertion(desk, *by_secret, kid="a")) == "alg_not_allowed"
    assert _reason(desk, with_certificate, _assertion(desk, *by_secret, kid="b")) == "alg_not_allowed"
    assert _reason(desk, with_secret, _assertion(desk, *by_secret, kid="a")) == "kid_unknown"
    assert _reason(desk, with_secret, _assertion(desk, kid="b")) == "alg_not_allowed"


@pytest.mark.parametrize("source", ["certificates", "shared_key"])
def test_cve_2019_20933_missing_keys_verify_nothing(desk: TokenDesk, source: str) -> None:
    """A secret that is NULL or blank never comes as far as an HMAC, and the fault is said to be ours."""
    integration = _register(desk, source)

    with mock.patch.object(SharedKeys, "is_signed_by", side_effect=AssertionError("a key was used")):
        for stored in (None, "", "[]", "null", "{}", "nonsense", '[{"kid": "k1", "sealed": "s1.AAAA"}]'):
            desk.set(integration, static_keys=stored)
            answer = desk.exchange(integration, assertion=_assertion(desk, "HS256", b""))
            assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")


def test_keys_of_another_source_are_not_read_as_this_ones(desk: TokenDesk) -> None:
    integration = _register(desk, "certificates")
    desk.set(integration, key_source="shared_key", algorithms=["HS256"])

    assert desk.exchange(integration, assertion=_of_source(desk, "shared_key")).status_code == 503
    desk.set(integration, key_source="nonsense")
    assert desk.exchange(integration, assertion=_of_source(desk, "shared_key")).status_code == 503


def test_a_secret_that_was_sealed_under_another_key_is_explained(desk: TokenDesk) -> None:
    integration, other = _register(desk, "shared_key"), _register(desk, "shared_key", name="Other")
    with desk.app.app_context():
        sealed = get_integration(other.client_id).static_keys
        moved = json.loads(sealed or "")
        moved[0]["purpose"] = "jwt_verifier_map of another"
    desk.set(integration, static_keys=json.dumps(moved))

    answer = desk.exchange(integration, assertion=_of_source(desk, "shared_key"))

    assert answer.status_code == 503
    event = desk.last_event()
    assert event and (event.reason, event.detail) == (
        "shared_key_sealed",
        "A stored secret cannot be opened: it was sealed under another secret key",
    )


def test_a_shared_key_is_nowhere_to_be_read(
    desk: TokenDesk, admin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    integration = _register(desk, "shared_key")
    desk.token(integration, assertion=_of_source(desk, "shared_key"))
    desk.exchange(integration, assertion=_assertion(desk, "HS256", OTHER_SECRET.encode()))

    for table in ("jwt_verifier_map", "oauth_entity", "sys_certificate"):
        answer = desk.client.get(f"/api/now/table/{table}", headers=admin)
        assert answer.status_code == 200
        assert "shared_key" not in answer.get_data(as_text=True).replace('"key_source":"shared_key"', "")
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        [stored] = entity.jwt_verifier_maps
        folder = Path(desk.app.instance_path)
        assert entity.verifier_maps == [{"name": "Signer", "kid": "k1", "enforce_dates": True, "active": True}]
        assert stored.shared_key and stored.shared_key.startswith("s1.")
        db.session.commit()
    assert SECRET not in caplog.text
    assert not [path for path in folder.iterdir() if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_certificates_and_maps_are_read_by_integration_administrators_alone(
    desk: TokenDesk, admin: dict[str, str], add_user: Callable[..., str]
) -> None:
    _register(desk, "certificates")
    add_user("ivy", "oauth_admin")
    add_user("ian", "itil")
    paths = ("/api/now/table/sys_certificate", "/api/now/table/jwt_verifier_map?sysparm_display_value=all")

    for path in paths:
        assert desk.client.get(path, headers=basic("ian", "itil itil itil")).status_code == 403
        assert desk.client.post(path, headers=admin, json={"name": "x"}).status_code == 403
        [row] = desk.client.get(path, headers=basic("ivy", "itil itil itil")).get_json()["result"]
        assert "Signer" in str(row["name"])


def test_an_omitted_shared_key_is_kept(desk: TokenDesk) -> None:
    integration = _register(desk, "shared_key")
    token = desk.token(integration, assertion=_of_source(desk, "shared_key"))

    _update(desk, integration, key_source="shared_key", verifier_maps=[_map("Signer", "k1")])

    assert desk.call(token).status_code == 201
    desk.token(integration, assertion=_of_source(desk, "shared_key"))
    with pytest.raises(InputInvalid, match="Map Renamed: give the shared key"):
        _update(desk, integration, key_source="shared_key", verifier_maps=[_map("Renamed", "k1")])
    with pytest.raises(InputInvalid, match="HS512 needs a shared key of at least 64 bytes"):
        _update(desk, integration, key_source="shared_key", verifier_maps=[_map("Signer", "k1")], algorithms=["HS512"])


def test_a_map_that_is_switched_off_verifies_nothing(desk: TokenDesk) -> None:
    maps = [_map("One", "k1", shared_key=SECRET), _map("Two", "k2", shared_key=OTHER_SECRET)]
    integration = _register(desk, "shared_key", verifier_maps=maps)

    _update(desk, integration, key_source="shared_key", verifier_maps=[{**maps[0], "active": False}, maps[1]])
    assert _reason(desk, integration, _of_source(desk, "shared_key")) == "kid_unknown"
    # What says nothing of it leaves it as it is.
    _update(desk, integration, key_source="shared_key", verifier_maps=maps)
    assert _reason(desk, integration, _of_source(desk, "shared_key")) == "kid_unknown"
    with pytest.raises(InputInvalid, match="at least one map active"):
        off = [{**one, "active": False} for one in maps]
        _update(desk, integration, key_source="shared_key", verifier_maps=off)


def test_a_dry_run_uses_the_keys_as_typed(desk: TokenDesk) -> None:
    usual = {"name": "Typed", "provider_name": "CI", "issuer": ISSUER, "audiences": [AUDIENCE], "run_as": ROBOT}
    with desk.app.app_context():
        for source in SOURCES:
            changes = {name: value for name, value in _fields(desk, source).items() if value is not ...}
            fields = SCHEMAS["jwt_bearer"].load(usual | changes)
            run = try_assertion(fields, _of_source(desk, source), desk.app.extensions["key_store"])
            assert (run.reason, run.problem, run.user) == (None, None, ROBOT)
        assert db.session.query(JwtVerifierMap).count() == 0
        fields["verifier_maps"][0]["shared_key"] = None
        run = try_assertion(fields, _of_source(desk, source), desk.app.extensions["key_store"])
        assert run.problem and "give the shared key" in run.problem


def _certificate_map(kid: str) -> dict[str, Any]:
    return _map("A", kid, certificate=pem(certificate()), enforce_dates=False)
