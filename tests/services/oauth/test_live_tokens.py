"""Live tokens: exactly those that a call would accept are found, counted, and revoked."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange, SysUser
from changegate.models.integration_fields import FIELDS
from changegate.schemas.auth_scope import load_scope
from changegate.services.oauth.access_tokens import revoke_tokens
from changegate.services.oauth.live_tokens import (
    LONGEST_LIFESPAN,
    LiveToken,
    TokenFilter,
    count_tokens,
    search_tokens,
)
from changegate.services.oauth.revocation import end_token
from changegate.services.oauth.scope_reach import reach_of
from changegate.services.scopes.scopes import create_scope, get_scope
from tests.conftest import Clock
from tests.support.statements import counted_statements
from tests.support.token_desk import ROBOT, Integration, TokenDesk

ANY = TokenFilter()
READS = "change_request.read"
CREATES = "change_request.create"


def live() -> list[LiveToken]:
    """Return all live tokens as another request would see them."""
    db.session.rollback()
    return search_tokens(ANY)


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


def test_finds_tokens_by_each_filter(either_desk: TokenDesk) -> None:
    desk = either_desk
    with desk.app.app_context():
        one, other = desk.register("One", scopes=[CREATES, READS]), desk.register("Other", scopes=[READS])
        desk.token(one, assertion=desk.assertion(sub="100% shop"))
        desk.token(one, scope=CREATES)
        desk.token(other)
        db.session.rollback()
        for wanted, expected in (
            (ANY, 3),
            (TokenFilter(entity=one.sys_id), 2),
            (TokenFilter(scope=CREATES), 2),
            (TokenFilter(scope=READS), 2),
            (TokenFilter(scope=READS, entity=one.sys_id), 1),
            (TokenFilter(scope="change_request.rea"), 0),
            (TokenFilter(scope="change_request_create"), 0),
            (TokenFilter(user=ROBOT.upper()), 3),
            (TokenFilter(user="release"), 0),
            (TokenFilter(text="0% SHOP"), 1),
            (TokenFilter(text="ci.example"), 3),
            (TokenFilter(text="_uild"), 0),
        ):
            assert (count_tokens(wanted), len(search_tokens(wanted))) == (expected, expected), wanted


def test_a_token_shows_the_scopes_it_has_now(desk: TokenDesk) -> None:
    integration = desk.register(scopes=[CREATES, READS])
    desk.token(integration)
    desk.token(integration, scope=CREATES)
    assert [token.scopes for token in live()] == [(CREATES,), (CREATES, READS)]
    entity_of(integration).scopes = [get_scope(READS)]
    db.session.commit()
    assert [token.scopes for token in live()] == [(), (READS,)]
    assert count_tokens(TokenFilter(scope=CREATES)) == 0


def test_lists_tokens_page_by_page(desk: TokenDesk) -> None:
    integration = desk.register(token_format="opaque")
    for _ in range(5):
        desk.token(integration)
    everything = [token.correlation_id for token in live()]
    assert everything == sorted(everything, reverse=True)
    assert [token.correlation_id for token in search_tokens(ANY, 2, before=everything[1])] == everything[2:4]


def test_looks_only_at_exchanges_that_could_be_live_and_at_no_claims(desk: TokenDesk) -> None:
    desk.token(desk.register())
    with counted_statements() as statements:
        live()
    listing = next(text for text in statements if "oauth_exchange" in text)
    assert "oauth_exchange.correlation_id >=" in listing
    assert "claims" not in listing and "rules" not in listing
    assert len(statements) == 2
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
