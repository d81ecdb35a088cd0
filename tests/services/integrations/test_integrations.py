"""Integrations: registered, changed, switched off and on, and their secrets rotated."""

from datetime import timedelta
from typing import Any

import pytest

from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import JwksCache, OAuthEntity
from changegate.schemas.auth_scope import load_scope
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integrations import get_integration, list_integrations, rotate_secret, set_active
from changegate.services.integrations.saving import change_integration, register_integration
from changegate.services.oauth.secrets import hash_client_secret
from changegate.services.scopes.scopes import create_scope
from tests.support.token_desk import ISSUER, ROBOT, TokenDesk


def _fields(desk: TokenDesk, **changes: Any) -> dict[str, Any]:
    usual = {
        "name": "Pipeline",
        "provider_name": "Example CI",
        "issuer": ISSUER,
        "run_as": ROBOT,
        "jwks_url": desk.jwks.url(),
        "public_client": False,
    }
    loaded: dict[str, Any] = SCHEMAS["jwt_bearer"].load(usual | changes)
    return loaded


def _refused(desk: TokenDesk, **changes: Any) -> dict[str, list[str]]:
    with pytest.raises(InputInvalid) as caught:
        register_integration(_fields(desk, **changes), by="admin")
    return caught.value.fields


def test_a_new_integration_may_create_changes_and_expects_its_client_id_as_audience(desk: TokenDesk) -> None:
    entity = register_integration(_fields(desk), by="admin").entity

    assert entity.audiences == [entity.client_id]
    assert [scope.name for scope in entity.scopes] == ["change_request.create"]
    assert (entity.sys_created_by, entity.active) == ("admin", True)


def test_the_secret_is_shown_once_and_stored_as_a_hash(desk: TokenDesk) -> None:
    made = register_integration(_fields(desk), by="admin")

    assert made.entity.client_secret_hash == hash_client_secret(made.client_secret)
    assert made.entity.client_secret_hint == made.client_secret[-4:]
    assert made.client_secret not in repr(made)


def test_a_public_client_has_no_secret(desk: TokenDesk) -> None:
    made = register_integration(_fields(desk, public_client=True), by="admin")

    assert (made.client_secret, made.entity.client_secret_hash) == (None, None)
    with pytest.raises(InputInvalid):
        rotate_secret(made.entity, by="admin")


@pytest.mark.parametrize("name", ["Pipeline", "pipeline", "PIPELINE"])
def test_refuses_a_name_that_is_taken(desk: TokenDesk, name: str) -> None:
    register_integration(_fields(desk), by="admin")

    assert list(_refused(desk, name=name)) == ["name"]


@pytest.mark.parametrize("columns", [{"active": False}, {"locked_out": True}])
def test_refuses_a_run_as_user_who_may_not_act(desk: TokenDesk, columns: dict[str, bool]) -> None:
    desk.add_user("asleep", **columns)

    assert _refused(desk, run_as="asleep") == {"run_as": ["There is no active user asleep."]}
    assert list(_refused(desk, run_as="nobody")) == ["run_as"]


def test_refuses_a_scope_that_does_not_exist(desk: TokenDesk) -> None:
    [sentence] = _refused(desk, scopes=["everything"])["scopes"]
    assert sentence.startswith("There is no auth scope everything; scopes are approval.answer, ")


def test_refuses_scopes_whose_names_do_not_fit_on_a_token(desk: TokenDesk) -> None:
    names = [f"{number:x<100}" for number in range(11)]
    for name in names:
        create_scope(load_scope({"name": name}), by="admin")

    assert list(_refused(desk, scopes=names)) == ["scopes"]
    made = register_integration(_fields(desk, scopes=names[:9]), by="admin")
    assert [scope.name for scope in made.entity.scopes] == names[:9]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://idp.example.com/", "https://idp.example.com/#x", "https://u:p@idp.example.com/"],
)
def test_refuses_a_jwks_url_that_would_never_be_fetched(desk: TokenDesk, url: str) -> None:
    assert list(_refused(desk, jwks_url=url)) == ["jwks_url"]


@pytest.mark.parametrize(
    "changes", [{"issuer": "https://new.example.com"}, {"jwks_url": "https://new.example.com/jwks"}]
)
def test_a_new_issuer_or_url_forgets_the_keys(desk: TokenDesk, changes: dict[str, str]) -> None:
    integration = desk.register()
    desk.token(integration)
    assert db.session.query(JwksCache).filter_by(entity_id=integration.sys_id).count() == 1

    change_integration(get_integration(integration.client_id), _fields(desk, **changes), by="admin")
    db.session.commit()

    found = db.session.query(JwksCache).filter_by(entity_id=integration.sys_id).all()
    assert [row.document for row in found if row.document] == []


def test_another_change_keeps_the_keys(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration)

    change_integration(get_integration(integration.client_id), _fields(desk, name="Renamed"), by="admin")
    db.session.commit()
    desk.token(integration, assertion=desk.assertion(aud=integration.client_id))

    assert desk.jwks.hits == 1


def test_a_client_that_becomes_confidential_gets_a_secret(desk: TokenDesk) -> None:
    entity = register_integration(_fields(desk, public_client=True), by="admin").entity

    assert change_integration(entity, _fields(desk, public_client=False), by="admin").client_secret
    changed = change_integration(entity, _fields(desk, public_client=False, comments="x"), by="admin")
    assert changed.client_secret is None


def test_a_change_is_counted_and_signed(desk: TokenDesk) -> None:
    entity = register_integration(_fields(desk), by="admin").entity
    set_active(entity, False, by="maria.keller")

    assert (entity.active, entity.sys_updated_by, entity.sys_mod_count) == (False, "maria.keller", 1)


def test_a_rotation_keeps_the_old_secret_for_the_overlap_only(desk: TokenDesk) -> None:
    made = register_integration(_fields(desk), by="admin")
    old = made.entity.client_secret_hash

    rotate_secret(made.entity, by="admin", overlap=timedelta(hours=2))
    assert made.entity.previous_client_secret_hash == old
    rotate_secret(made.entity, by="admin")
    assert made.entity.previous_client_secret_hash is None
    assert made.entity.previous_client_secret_expires_at is None


def test_integrations_are_listed_by_name(desk: TokenDesk) -> None:
    for name in ("beta", "Alpha", "gamma"):
        desk.register(name)

    assert [entity.name for entity in list_integrations()] == ["Alpha", "beta", "gamma"]


@pytest.mark.parametrize("client_id", ["", "0" * 32, "\0", "é"])
def test_an_unknown_client_id_is_not_found(desk: TokenDesk, client_id: str) -> None:
    with pytest.raises(RecordNotFound):
        get_integration(client_id)
    assert db.session.query(OAuthEntity).count() == 0
