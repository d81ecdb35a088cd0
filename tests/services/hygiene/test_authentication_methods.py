"""Authentication methods: the grants that issued tokens, and how their clients authenticate."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.models.connection_type import AUTHENTICATION_METHODS
from changegate.models.integration_choices import CONNECTION_TYPES
from changegate.services.hygiene.overview import get_overview
from changegate.services.integrations.integrations import delete_integration, get_integration
from tests.services.hygiene.conftest import KNOWN, HygieneDesk
from tests.support.client_assertions import client_assertion, client_proof
from tests.support.grant_desk import GrantDesk
from tests.support.id_token_desk import read, register_id_token
from tests.support.token_desk import JWT_BEARER, ROBOT, Integration

Counts = dict[tuple[str, str | None], tuple[int, int]]
NOTHING: Counts = dict.fromkeys(AUTHENTICATION_METHODS, (0, 0))
BY_SECRET, BY_NONE = ("jwt_bearer", "secret"), ("jwt_bearer", "public")
BY_KEY = ("jwt_bearer", "private_key_jwt")


def counted(hygiene: HygieneDesk) -> Counts:
    """Return active integrations and tokens by method and client authentication."""
    db.session.rollback()
    methods = get_overview(hygiene.clock(), KNOWN).authentication_methods
    return {(one.method, one.client_authentication): (one.active_integrations, one.tokens) for one in methods}


def test_every_connection_type_is_a_method() -> None:
    assert {method for method, _ in AUTHENTICATION_METHODS} == {*CONNECTION_TYPES, "refresh_token"}


@pytest.mark.parametrize("is_public", [True, False])
def test_a_jwt_bearer_client_is_public_or_has_a_secret(hygiene: HygieneDesk, is_public: bool) -> None:
    other = hygiene.register("Other", public_client=is_public)
    for number in range(2):
        hygiene.exchange(other, jti=str(number))

    expected = {BY_SECRET: (1, 1), BY_NONE: (1, 2)} if is_public else {BY_SECRET: (2, 3)}
    assert counted(hygiene) == NOTHING | expected
    overview = get_overview(hygiene.clock(), KNOWN)
    assert (overview.tokens, overview.tokens_by_algorithm) == (3, {"RS256": 3})
    assert (overview.integrations, overview.active_integrations) == (2, 2)

    delete_integration(get_integration(other.client_id), by="admin")
    db.session.commit()
    overview = get_overview(hygiene.clock(), KNOWN)
    assert (overview.tokens, overview.tokens_by_algorithm) == (3, {"RS256": 3})
    assert sum(method.tokens for method in overview.authentication_methods) == 1


def sign(hygiene: HygieneDesk, client: Integration, times: int = 1) -> None:
    """Exchange assertions as a client that authenticates by private_key_jwt."""
    for _ in range(times):
        assertion = hygiene.desk.assertion(project="shop", aud=hygiene.audiences[client.sys_id], jti=str(uuid4()))
        form = {"grant_type": JWT_BEARER, "assertion": assertion, **client_proof(hygiene.desk, client)}
        answer = hygiene.desk.send(form, "/oauth/token")
        assert answer.status_code == 200, answer.get_json()


def noted(client: Integration) -> Any:
    """Return when the client signed, and the columns that edits of the integration count up."""
    db.session.rollback()
    columns = (OAuthEntity.last_client_assertion_at, OAuthEntity.sys_updated_on, OAuthEntity.sys_mod_count)
    return db.session.execute(select(*columns).where(OAuthEntity.sys_id == client.sys_id)).one()


def test_private_key_jwt_is_distinguished_from_a_public_client(either_hygiene: HygieneDesk) -> None:
    hygiene = either_hygiene
    public, signing = (hygiene.register(name, public_client=True) for name in ("Public", "Signing"))
    hygiene.exchange(public)
    sign(hygiene, signing, times=2)
    assert counted(hygiene) == NOTHING | {BY_SECRET: (1, 1), BY_NONE: (1, 1), BY_KEY: (1, 2)}

    hygiene.clock.advance(days=30)
    assert counted(hygiene) == NOTHING | {BY_SECRET: (1, 0), BY_NONE: (2, 0)}


def test_that_a_client_signed_is_stored_once_a_day_and_is_no_edit(either_hygiene: HygieneDesk) -> None:
    signing = either_hygiene.register("Signing", public_client=True)
    registered = noted(signing)
    assert registered.last_client_assertion_at is None
    sign(either_hygiene, signing)
    first = noted(signing)
    assert abs(first.last_client_assertion_at - either_hygiene.clock()) < timedelta(minutes=1)
    assert first[1:] == registered[1:]

    either_hygiene.clock.advance(hours=23)
    sign(either_hygiene, signing)
    assert noted(signing) == first
    either_hygiene.clock.advance(hours=1)
    sign(either_hygiene, signing)
    assert noted(signing).last_client_assertion_at >= first.last_client_assertion_at + timedelta(days=1)
    assert noted(signing)[1:] == registered[1:]


def test_a_client_assertion_that_is_refused_is_not_stored(hygiene: HygieneDesk) -> None:
    signing = hygiene.register("Signing", public_client=True)
    form = client_proof(hygiene.desk, signing, client_assertion(hygiene.desk, signing, aud="https://evil.example.com"))
    assert hygiene.desk.send({"token": "x", **form}, "/oauth/introspect").status_code == 401
    assert noted(signing).last_client_assertion_at is None


@pytest.mark.usefixtures("allowed_passwords")
def test_passwords_and_refresh_tokens_are_distinguished(hygiene: HygieneDesk) -> None:
    grants = GrantDesk(hygiene.desk)
    grants.add_maria()
    mobile = grants.register("password", issue_refresh_tokens=True)
    _, refresh_token = grants.both_tokens(mobile)
    for _ in range(2):
        assert grants.refresh(mobile, refresh_token).status_code == 200
    grants.by_password(mobile, password="wrong")

    expected: Counts = {("password", "secret"): (1, 1), ("refresh_token", "secret"): (1, 2), BY_SECRET: (1, 1)}
    assert counted(hygiene) == NOTHING | expected


@pytest.mark.usefixtures("allowed_passwords")
def test_where_no_refresh_tokens_are_issued_none_are_a_method(hygiene: HygieneDesk) -> None:
    grants = GrantDesk(hygiene.desk)
    grants.add_maria()
    assert grants.by_password(grants.register("password")).status_code == 200

    assert counted(hygiene) == NOTHING | {("password", "secret"): (1, 1), BY_SECRET: (1, 1)}


def test_client_credentials_have_their_own(hygiene: HygieneDesk) -> None:
    machine = hygiene.desk.register_as("client_credentials", "Machine", run_as=ROBOT)
    answer = hygiene.desk.send({"grant_type": "client_credentials", **machine.credentials})

    assert answer.status_code == 200
    assert counted(hygiene) == NOTHING | {("client_credentials", "secret"): (1, 1), BY_SECRET: (1, 1)}


def test_an_id_token_counts_as_authentication_by_the_provider(hygiene: HygieneDesk) -> None:
    register_id_token(hygiene.desk, scopes=["change_request.read"])
    assert read(hygiene.desk, hygiene.desk.assertion()).status_code == 200

    assert counted(hygiene) == NOTHING | {("id_token", None): (1, 1), BY_SECRET: (1, 1)}


def test_inactive_integrations_are_not_counted_but_their_tokens_are(hygiene: HygieneDesk) -> None:
    hygiene.set(active=False)
    assert counted(hygiene) == NOTHING | {BY_SECRET: (0, 1)}


def test_tokens_are_counted_for_a_week(hygiene: HygieneDesk) -> None:
    hygiene.clock.advance(days=8)
    assert counted(hygiene) == NOTHING | {BY_SECRET: (1, 0)}
