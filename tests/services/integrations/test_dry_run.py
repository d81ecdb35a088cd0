"""Trying an assertion: what an exchange would come to, with nothing coming of it."""

from collections.abc import Mapping
from dataclasses import astuple, replace
from typing import Any

import pytest

from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.schemas.integration import SCHEMAS
from changegate.schemas.integration_input import load_change
from changegate.services.integrations.dry_run import DryRun, client_of_fields, try_assertion
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import change_integration
from changegate.services.oauth.client_authentication import get_unauthenticated_client
from changegate.services.oauth.clients import Client
from tests.conftest import BASE_URL
from tests.support.certificates import certificate, pem
from tests.support.forge import forge, rsa_key
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import AUDIENCE, ISSUER, ROBOT, Integration, TokenDesk


def tried(desk: TokenDesk, text: str, integration: Integration | None = None, **changes: Any) -> DryRun:
    fields = {
        "name": "Pipeline",
        "provider_name": "Example CI",
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "run_as": ROBOT,
        "jwks_url": desk.jwks.url(),
    }
    wanted = {name: value for name, value in (fields | changes).items() if value is not ...}
    entity = get_integration(integration.client_id) if integration else None
    return try_assertion(SCHEMAS["jwt_bearer"].load(wanted), text, desk.app.extensions["key_store"], entity)


def failed(run: DryRun) -> list[str]:
    return [result.rule for result in run.results if not result.passed]


def test_shows_whether_an_unsaved_integration_accepts_a_token(desk: TokenDesk) -> None:
    run = tried(desk, f"  {desk.assertion(ref='main')}\n")
    assert (run.reason, failed(run), run.user) == (None, [], ROBOT)
    assert (run.claims or {})["ref"] == "main"


def test_shows_every_failed_rule(desk: TokenDesk) -> None:
    run = tried(desk, desk.assertion(aud="x", iss="y"))
    assert (run.reason, failed(run), run.user) == ("iss_mismatch", ["iss", "aud"], None)
    assert (run.claims or {})["aud"] == "x"


def test_shows_no_unverified_claims(desk: TokenDesk) -> None:
    run = tried(desk, forge(key=rsa_key("foreign")))
    assert (run.reason, run.claims) == ("signature_invalid", None)


def test_shows_that_a_token_was_signed_for_another_purpose(desk: TokenDesk) -> None:
    run = tried(desk, desk.assertion(events={"http://schemas.openid.net/event/backchannel-logout": {}}))
    assert (run.reason, failed(run)) == ("payload_invalid", ["events"])
    assert tried(desk, desk.assertion(iss=BASE_URL), issuer=BASE_URL).reason == "own_token"


def test_nothing_comes_of_it(desk: TokenDesk) -> None:
    integration, assertion = desk.register(), desk.assertion()
    assert tried(desk, assertion, integration).reason is None
    assert tried(desk, assertion, integration).reason is None
    assert desk.events() == []
    desk.token(integration, assertion=assertion)


def test_an_exchanged_assertion_would_be_refused(desk: TokenDesk) -> None:
    integration, assertion = desk.register(), desk.assertion()
    desk.token(integration, assertion=assertion)
    assert tried(desk, assertion, integration).reason == "jti_replayed"
    assert tried(desk, assertion, integration, replay_policy="reusable-until-exp").reason is None


def test_checks_against_the_unsaved_form(desk: TokenDesk) -> None:
    integration = desk.register()
    condition = {"claim": "ref", "operator": "equals", "value_type": "string", "value": "main", "report_only": False}
    assert tried(desk, desk.assertion(ref="fork"), integration, claim_conditions=[condition]).reason == (
        "claim_condition_failed"
    )
    run = tried(desk, desk.assertion(ref="fork"), integration, claim_conditions=[condition | {"report_only": True}])
    assert (run.reason, run.would_refuse) == (None, True)


def test_an_integration_without_audiences_expects_its_client_id(desk: TokenDesk) -> None:
    integration = desk.register()
    assert tried(desk, desk.assertion(aud=integration.client_id), integration, audiences=[]).reason is None
    assert tried(desk, desk.assertion(aud=""), audiences=[]).reason == "aud_mismatch"


def test_shows_the_user_of_the_subject(desk: TokenDesk) -> None:
    desk.add_user("pipeline.user")
    mapped = {"run_as": ..., "user_field": "user_name"}
    assert tried(desk, desk.assertion(sub="pipeline.user"), **mapped).user == "pipeline.user"
    assert tried(desk, desk.assertion(sub="nobody"), **mapped).reason == "sub_unmapped"
    assert tried(desk, desk.assertion(), run_as="nobody.here").reason == "user_inactive"


def test_a_blocked_key_is_blocked_here_too(desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration)
    thumbprint = desk.app.extensions["key_store"].probe(desk.jwks.url()).key_set.keys[0].thumbprint
    desk.set(integration, blocked_keys=[thumbprint])
    db.session.expire_all()
    assert tried(desk, desk.assertion(jti="2"), integration).reason == "key_blocked"


def test_says_so_where_no_keys_can_be_had(desk: TokenDesk) -> None:
    desk.jwks.answer = reply(b"down", status=500)
    for integration in (None, desk.register()):
        run = tried(desk, desk.assertion(), integration)
        assert (run.reason, run.results) == ("jwks_fetch_failed", [])
        assert "500" in str(run.problem)


def test_text_that_is_not_a_jwt_is_reported(desk: TokenDesk) -> None:
    run = tried(desk, "hello")
    assert (run.reason, failed(run)) == ("assertion_not_compact_jws", ["form"])


CHANGES: dict[str, Mapping[str, Any]] = {
    "jwt_bearer": {
        "issuer": "https://new.example.com",
        "audiences": ["b", "a"],
        "audience_claim": "azp",
        "allow_additional_audiences": True,
        "allow_missing_kid": True,
        "algorithms": ["PS512"],
        "required_typ": "at+jwt",
        "claim_conditions": ["ref equals main", "report-only: sha exists"],
        "replay_policy": "once-if-present",
        "jti_claim": "uti",
        "clock_skew_seconds": 7,
        "max_assertion_lifetime_seconds": 77,
        "jwks_cache_lifespan_minutes": 17,
        "public_client": True,
        "token_format": "jwt",
        "access_token_lifespan_seconds": 777,
        "scopes": ["change_request.read", "change_request.create"],
        "run_as": "other.bot",
    },
    "id_token": {
        "audiences": [],
        "user_field": "email",
        "user_claim": "email",
        "require_email_verified": False,
        "key_source": "certificates",
        "verifier_maps": [{"name": "Signer", "kid": "k1", "certificate": pem(certificate())}],
    },
}


@pytest.mark.parametrize("connection_type", CHANGES)
def test_unsaved_fields_are_checked_as_an_exchange_checks_them_once_saved(
    desk: TokenDesk, connection_type: str
) -> None:
    desk.add_user("other.bot", "itil")
    trust = {"issuer": ISSUER, "run_as": ROBOT, "jwks_url": desk.jwks.url()}
    entity = get_integration(desk.register_as(connection_type, **trust).client_id)
    fields = load_change(CHANGES[connection_type], fields_of(entity))
    assert comparable(client_of_fields(fields_of(entity), entity)) == comparable(exchanged(entity))
    unsaved = client_of_fields(fields, entity)
    change_integration(entity, fields, by="admin")
    db.session.commit()
    saved = exchanged(entity)
    # Saving other trust revokes the tokens that were issued under the old one, which a dry run does not.
    revoked = {name: getattr(saved, name) for name in ("token_generation", "tokens_valid_from")}
    assert comparable(replace(unsaved, **revoked)) == comparable(saved)


def exchanged(entity: OAuthEntity) -> Client:
    """Return the client as an exchange reads it."""
    return get_unauthenticated_client(entity.client_id)


def comparable(client: Client) -> Client:
    """Return a client without the functions of its conditions, which are compiled at each reading."""
    conditions: Any = tuple(astuple(replace(each, is_met_by=bool)) for each in client.policy.conditions)
    return replace(client, policy=replace(client.policy, conditions=conditions))
