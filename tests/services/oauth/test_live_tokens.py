"""Live tokens: exactly those that a call would accept are found, counted, and revoked."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange, SysUser
from changegate.models.integration_fields import FIELDS
from changegate.schemas.auth_scope import load_scope
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.oauth.access_tokens import revoke_tokens
from changegate.services.oauth.log_tables import LONGEST_LIFESPAN, TOKENS, count_live_tokens
from changegate.services.oauth.revocation import end_token
from changegate.services.oauth.scope_reach import reach_of
from changegate.services.scopes.scopes import create_scope, get_scope
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import create_user
from tests.conftest import Clock
from tests.support.token_desk import ROBOT, ROOT, Integration, TokenDesk
from tests.support.token_desk import list_live_tokens as live

READS = "change_request.read"
CREATES = "change_request.create"


def entity_of(integration: Integration) -> OAuthEntity:
    found = db.session.get(OAuthEntity, integration.sys_id)
    assert found is not None
    return found


def test_a_live_token_is_listed_with_its_user_and_scopes(either_desk: TokenDesk) -> None:
    with either_desk.app.app_context():
        integration = either_desk.register(scopes=[CREATES, READS])
        either_desk.token(integration)
        either_desk.exchange(integration, assertion="nonsense")
        [found] = live()
        assert (found.integration, found.client_id) == ("Pipeline", integration.client_id)
        assert (found.user_name, found.subject) == (ROBOT, "build-42")
        assert found.scopes == (CREATES, READS)
        assert found.expires_at - found.issued_at == timedelta(seconds=1800)


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_listed_token_works_and_a_revoked_one_does_not(desk: TokenDesk, token_format: str) -> None:
    integration = desk.register(token_format=token_format)
    first, second = desk.token(integration), desk.token(integration)
    newest, oldest = live()
    assert end_token(oldest.correlation_id)
    db.session.commit()
    assert desk.call(first).status_code == 401
    assert desk.call(second).status_code == 201
    assert live() == [newest]
    assert not end_token(oldest.correlation_id), "it has ended once"


def test_revokes_nothing_for_an_exchange_without_a_token(desk: TokenDesk) -> None:
    desk.exchange(desk.register(), assertion="nonsense")
    [event] = desk.events()
    assert not end_token(event.correlation_id)
    assert not end_token("0" * 32)


def test_a_token_is_no_longer_listed_once_a_call_would_refuse_it(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register()

    def ends(token: str) -> None:
        assert desk.call(token).status_code == 401
        assert live() == []

    desk.token(integration)
    assert len(live()) == 1
    revoke_tokens(entity_of(integration))
    db.session.commit()
    assert live() == []

    token = desk.token(integration)
    desk.set(integration, active=False)
    ends(token)
    desk.set(integration, active=True)
    assert len(live()) == 1

    for column, value in (("active", False), ("locked_out", True)):
        db.session.execute(update(SysUser).where(SysUser.user_name == ROBOT).values({column: value}))
        db.session.commit()
        ends(token)
        db.session.execute(update(SysUser).where(SysUser.user_name == ROBOT).values({column: not value}))
        db.session.commit()

    clock.advance(seconds=1801)
    ends(token)


def test_the_longest_token_there_can_be_is_listed_until_it_ends(desk: TokenDesk, clock: Clock) -> None:
    longest = int(LONGEST_LIFESPAN.total_seconds())
    integration = desk.register(access_token_lifespan_seconds=longest)
    desk.token(integration)
    clock.advance(seconds=longest - 20)
    assert len(live()) == 1
    assert FIELDS["access_token_lifespan_seconds"].most == longest


def test_finds_tokens_by_each_condition(either_desk: TokenDesk) -> None:
    desk = either_desk
    with desk.app.app_context():
        one, other = desk.register("One", scopes=[CREATES, READS]), desk.register("Other", scopes=[READS])
        desk.token(one, assertion=desk.assertion(sub="100% shop"))
        desk.token(one, scope=CREATES)
        desk.token(other)
        for query, expected in (
            ("", 3),
            (f"entity={one.sys_id}", 2),
            (f"entity.client_id={other.client_id}", 1),
            (f"scopeLIKE{CREATES}", 2),
            (f"scope={READS}", 1),
            (f"user={ROBOT.upper()}", 3),
            ("user=release", 0),
            ("123TEXTQUERY321=0% SHOP", 1),
            ("123TEXTQUERY321=ci.example", 3),
            ("123TEXTQUERY321=_uild", 0),
        ):
            assert len(live(query)) == expected, query
        for counted, number in (
            ({}, 3),
            ({"entity": one.sys_id}, 2),
            ({"scope": CREATES}, 2),
            ({"scope": READS}, 2),
            ({"scope": "change_request.rea"}, 0),
            ({"scope": "change_request_create"}, 0),
        ):
            assert count_live_tokens(**counted) == number, counted


def test_owners_see_the_tokens_and_events_of_their_integrations(either_desk: TokenDesk) -> None:
    """Not those of others, and not calls that belong to no integration."""
    desk = either_desk
    with desk.app.app_context():
        nora = create_user(user_name="nora", password=None, email=None, name=None, roles=[])
        db.session.commit()
        owner = Caller(nora.sys_id, "nora", Permissions(frozenset()))
        own, other = desk.register("Own", owner="nora"), desk.register("Other")
        for integration in (own, other):
            desk.token(integration)
            desk.exchange(integration, assertion="nonsense")
        desk.call("unknown")
        assert [token.integration for token in live(caller=owner)] == ["Own"]
        events = get_table("oauth_exchange")
        for query, seen in (("", 2), ("outcome=accepted", 1), ("outcome=refused", 1), (f"entity={other.sys_id}", 0)):
            assert count_records(events, owner, parse_encoded_query(query)) == seen, query
        assert count_records(events, ROOT, parse_encoded_query("")) == 5
        assert count_records(get_table("oauth_entity"), owner, parse_encoded_query("")) == 1


def test_a_token_shows_the_scopes_it_has_now(desk: TokenDesk) -> None:
    integration = desk.register(scopes=[CREATES, READS])
    desk.token(integration)
    desk.token(integration, scope=CREATES)
    assert [token.scopes for token in live()] == [(CREATES,), (CREATES, READS)]
    entity_of(integration).scopes = [get_scope(READS)]
    db.session.commit()
    assert [token.scopes for token in live()] == [(), (READS,)]
    assert count_live_tokens(scope=CREATES) == 0


def test_looks_only_at_exchanges_that_could_be_live_and_at_no_claims(desk: TokenDesk) -> None:
    desk.token(desk.register())
    assert len(live()) == 1
    listing = str(select(TOKENS))
    assert "oauth_exchange.correlation_id >=" in listing
    assert "claims" not in listing and "rules" not in listing
    assert db.session.execute(select(OAuthExchange.token_hash)).scalar_one()


def test_a_change_of_a_scope_lists_integrations_with_it_and_without_any(desk: TokenDesk) -> None:
    one = desk.register("One", scopes=[READS])
    broad = desk.register("Broad", scope_restriction=False)
    desk.register("Off", scope_restriction=False, active=False)
    desk.token(one)
    desk.token(broad)
    reach = reach_of(get_scope(READS))
    assert reach.uses == ((one.client_id, "One"),)
    assert reach.live_tokens == 1
    assert reach.broadly_scoped == ((broad.client_id, "Broad"),)
    assert reach_of(get_scope(CREATES)).broadly_scoped == (), "it has that scope"
    made = create_scope(load_scope({"name": "unused"}), by="ann")
    assert (reach_of(made).uses, reach_of(made).live_tokens) == ((), 0)
    assert reach_of(None).broadly_scoped == ((broad.client_id, "Broad"),)
