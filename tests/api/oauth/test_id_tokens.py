"""Third-party ID tokens: a provider's JWT sent straight to an API.

See docs/reference/token-endpoint.md#third-party-id-tokens-at-the-apis.
"""

from collections import Counter

import pytest
from sqlalchemy import update

from changegate.extensions import db
from changegate.models import ChangeRequest, OAuthExchange, SysUser
from changegate.services.oauth import id_token_rows
from changegate.services.oauth.revocation import end_token
from tests.conftest import Clock
from tests.support.concurrent_calls import concurrent_calls
from tests.support.forge import header, jwk, key_set_document, rsa_key
from tests.support.id_token_desk import ONCE, read, register_id_token, save_id_token
from tests.support.misbehaving_jwks import reply
from tests.support.statements import counted_statements
from tests.support.token_desk import AUDIENCE, CHANGES, ISSUER, ROBOT, Integration, TokenDesk, list_live_tokens

UNAUTHENTICATED = {
    "error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
    "status": "failure",
}
MANY_CALLS = 20


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return register_id_token(desk)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop the tokens that this process has verified in other tests."""
    monkeypatch.setattr(id_token_rows, "_verified_tokens", id_token_rows._VerifiedTokens())


def assert_refused(desk: TokenDesk, token: str, reason: str) -> None:
    """Insist on RFC 6750's answer, and on the event that it names."""
    answer = desk.call(token)
    assert (answer.status_code, answer.get_json()) == (401, UNAUTHENTICATED)
    assert 'error="invalid_token"' in answer.headers.getlist("WWW-Authenticate")[1]
    event = desk.last_event()
    assert (event.is_accepted, event.reason) == (False, reason)
    assert event.correlation_id == answer.headers["X-Request-Id"]


def accepted(desk: TokenDesk) -> list[OAuthExchange]:
    return [event for event in desk.events() if event.is_accepted]


def test_a_providers_token_needs_no_token_endpoint(desk: TokenDesk, integration: Integration) -> None:
    assert desk.call(desk.assertion()).status_code == 201


def test_only_its_first_use_is_stored_as_an_event(desk: TokenDesk, integration: Integration) -> None:
    token = desk.assertion()
    for _ in range(3):
        assert desk.call(token).status_code == 201

    [event] = desk.events()
    assert event.is_accepted and event.entity == integration.sys_id and event.client_id == integration.client_id
    assert (event.issuer, event.subject, event.scope) == (ISSUER, "build-42", "change_request.create")
    assert event.claims["aud"] == AUDIENCE
    assert [rule[0] for rule in event.rules if rule[0] in ("signature", "iss", "jti", "user")] == [
        *("signature", "iss", "jti", "user")
    ]


def test_a_token_that_may_come_again_is_among_the_live_ones(desk: TokenDesk, integration: Integration) -> None:
    desk.call(desk.assertion())

    with desk.app.app_context():
        [live] = list_live_tokens()
    assert (live.client_id, live.user_name, live.issuer) == (integration.client_id, ROBOT, ISSUER)
    assert live.scopes == ("change_request.create",)


def test_reading_is_a_use_as_well(desk: TokenDesk) -> None:
    register_id_token(desk, scopes=["change_request.read"])
    token = desk.assertion()

    assert [read(desk, token).status_code for _ in range(2)] == [200, 200]
    assert len(desk.events()) == 1


def test_records_it_creates_show_their_provenance(desk: TokenDesk, integration: Integration) -> None:
    token = desk.assertion()
    created = [desk.call(token).get_json()["result"]["sys_id"] for _ in range(2)]

    with desk.app.app_context():
        for sys_id in created:
            change = db.session.get(ChangeRequest, sys_id)
            assert (change.oauth_client_id, change.oauth_issuer) == (integration.client_id, ISSUER)
            assert change.oauth_subject == "build-42"
            assert change.oauth_exchange == desk.events()[0].correlation_id


def test_its_scopes_are_those_of_its_integration_at_this_moment(desk: TokenDesk, integration: Integration) -> None:
    token = desk.assertion()
    assert read(desk, token).status_code == 403
    save_id_token(desk, integration, scopes=["change_request.read"])

    assert (read(desk, token).status_code, desk.call(token).status_code) == (200, 403)


def test_a_later_call_finds_its_caller_by_one_statement(desk: TokenDesk, integration: Integration) -> None:
    desk.call(desk.assertion())  # the key set is there from now on
    token = desk.assertion()
    desk.call(token)

    with desk.app.app_context(), counted_statements() as statements:
        assert id_token_rows.find_known_caller(token) is not None
        text = id_token_rows._KNOWN._compiled["sqlite"].text
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("",) * text.count("?"))
        steps = [row[3] for row in plan if "oauth_exchange " in row[3]]
    assert len(statements) == 2, "the second one is the question for the plan"
    assert len(steps) == 1 and "(replay_key=?)" in steps[0], steps


class TestUser:
    """Whom a token acts as."""

    @pytest.mark.parametrize(("claim", "field"), [("sub", "user_name"), ("preferred_username", "email")])
    def test_is_identified_by_the_user_claim(self, desk: TokenDesk, claim: str, field: str) -> None:
        register_id_token(desk, run_as=..., user_field=field, user_claim=claim)
        desk.add_user("jane", "itil", email="jane@example.com")
        named = "jane" if field == "user_name" else "jane@example.com"

        created = desk.call(desk.assertion(**{claim: named})).get_json()["result"]

        assert created["sys_created_by"] == "jane"

    def test_acts_only_as_its_own_user(self, desk: TokenDesk) -> None:
        register_id_token(desk, run_as=..., user_field="user_name", user_claim="preferred_username")
        desk.add_user("jane", "itil")
        desk.add_user("locked", "itil", locked_out=True)

        for value in (..., 7, True, ["jane"], "", "x" * 256):
            assert_refused(desk, desk.assertion(preferred_username=value, sub="jane"), "user_claim_missing")
        for value, reason in (("joe", "sub_unmapped"), ("Jane", "sub_unmapped"), ("jane ", "sub_unmapped")):
            assert_refused(desk, desk.assertion(preferred_username=value, sub="jane"), reason)
        assert_refused(desk, desk.assertion(preferred_username="locked"), "user_locked")

    def test_may_act_at_each_call(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        for change in ({"active": False}, {"locked_out": True}):
            self._set_robot(desk, active=True, locked_out=False)
            assert desk.call(token).status_code == 201
            self._set_robot(desk, **change)
            assert_refused(desk, token, "user_inactive")

    @staticmethod
    def _set_robot(desk: TokenDesk, **columns: bool) -> None:
        with desk.app.app_context():
            db.session.execute(update(SysUser).where(SysUser.user_name == ROBOT).values(columns))
            db.session.commit()

    def test_is_another_one_as_soon_as_the_integration_says_so(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        desk.call(token)
        desk.add_user("other.bot", "itil")
        save_id_token(desk, integration, run_as="other.bot")

        assert desk.call(token).get_json()["result"]["sys_created_by"] == "other.bot"
        assert len(accepted(desk)) == 1


class TestWithJtiVerification:
    """A token allows one call."""

    def test_a_second_call_is_refused(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        token = desk.assertion()
        assert desk.call(token).status_code == 201

        assert_refused(desk, token, "jti_replayed")

    def test_another_token_with_the_same_jti_is_refused(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        desk.call(desk.assertion(jti="one"))

        assert_refused(desk, desk.assertion(jti="one", nonce="other"), "jti_replayed")

    def test_a_token_without_jti_is_refused_if_jti_is_required(self, desk: TokenDesk) -> None:
        register_id_token(desk, replay_policy="jti-required-once", enable_jti_verification=True)

        assert_refused(desk, desk.assertion(jti=...), "jti_missing")

    def test_a_token_without_jti_is_accepted_once_if_jti_is_optional(self, desk: TokenDesk) -> None:
        register_id_token(desk, replay_policy="once-if-present", enable_jti_verification=True)
        token = desk.assertion(jti=...)
        assert desk.call(token).status_code == 201

        assert_refused(desk, token, "jti_replayed")

    def test_what_a_call_asked_for_in_vain_has_used_it_up(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        token = desk.assertion()
        assert desk.call(token, path="/api/now/table/no_such_table").status_code == 400

        assert_refused(desk, token, "jti_replayed")

    def test_a_refused_token_is_not_used_up(self, desk: TokenDesk) -> None:
        register_id_token(desk, run_as=..., user_field="user_name", **ONCE)
        token = desk.assertion(sub="late.bot")
        assert_refused(desk, token, "sub_unmapped")
        desk.add_user("late.bot", "itil")

        assert desk.call(token).status_code == 201

    def test_of_many_calls_at_once_one_is_served(self, either_desk: TokenDesk) -> None:
        register_id_token(either_desk, **ONCE)
        token = either_desk.assertion()
        assert Counter(_call_at_once(either_desk, token)) == {201: 1, 401: MANY_CALLS - 1}

        reasons = Counter(event.reason for event in either_desk.events())
        assert reasons == {None: 1, "jti_replayed": MANY_CALLS - 1}

    def test_a_used_id_token_is_not_listed_as_active(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        assert desk.call(desk.assertion()).status_code == 201

        with desk.app.app_context():
            assert list_live_tokens() == []

    def test_switching_it_on_ends_what_was_used_before(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        desk.call(token)
        save_id_token(desk, integration, **ONCE)

        assert_refused(desk, token, "jti_replayed")
        assert desk.call(desk.assertion()).status_code == 201


def test_of_many_first_calls_at_once_all_are_served_by_one_row(either_desk: TokenDesk) -> None:
    register_id_token(either_desk)
    token = either_desk.assertion()

    assert Counter(_call_at_once(either_desk, token)) == {201: MANY_CALLS}
    [event] = either_desk.events()
    assert event.is_accepted


def _call_at_once(desk: TokenDesk, token: str) -> list[int]:
    bearer = {"Authorization": f"Bearer {token}"}

    def call(_number: int) -> int:
        change = {"short_description": "Deploy"}
        return desk.app.test_client().post(CHANGES, json=change, headers=bearer).status_code

    with concurrent_calls(MANY_CALLS) as pool:
        return list(pool.map(call, range(MANY_CALLS)))


class TestEndsAtOnce:
    """All grounds of a token are checked at every call."""

    def test_with_its_integration_and_for_good(self, desk: TokenDesk, integration: Integration, clock: Clock) -> None:
        token, unused = desk.assertion(), desk.assertion()
        desk.call(token)
        desk.set_active(integration, is_active=False)
        assert_refused(desk, token, "client_unknown")

        desk.set_active(integration, is_active=True)
        for ended in (token, unused):
            assert_refused(desk, ended, "token_revoked")
        clock.advance(seconds=2)
        assert desk.call(desk.assertion()).status_code == 201

    def test_with_the_trust_in_it(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        is_main = {"claim": "ref", "operator": "equals", "value_type": "string", "value": "main"}
        for change, reason in (
            ({"audiences": ["https://elsewhere.example.com"]}, "aud_mismatch"),
            ({"algorithms": ["ES256"]}, "alg_not_allowed"),
            ({"required_typ": "at+jwt"}, "typ_not_allowed"),
            ({"max_assertion_lifetime_seconds": 60}, "lifetime_too_long"),
            ({"user_field": "email", "run_as": ...}, "sub_unmapped"),
            ({"claim_conditions": [is_main]}, "claim_condition_failed"),
        ):
            save_id_token(desk, integration)
            assert desk.call(token).status_code == 201
            save_id_token(desk, integration, **change)
            assert_refused(desk, token, reason)
        assert len(accepted(desk)) == 1

    def test_when_it_expires(self, desk: TokenDesk, integration: Integration, clock: Clock) -> None:
        token = desk.assertion()
        desk.call(token)
        # Its last second is as late as the clock skew allows.
        clock.advance(seconds=300 + 55)
        assert desk.call(token).status_code == 201
        clock.advance(seconds=10)

        assert_refused(desk, token, "expired")

    def test_no_later_than_its_longest_lifetime_unless_it_is_verified_again(
        self, desk: TokenDesk, integration: Integration, clock: Clock
    ) -> None:
        """Its provider's clock is ahead, as far as the skew allows."""
        save_id_token(desk, integration, max_assertion_lifetime_seconds=300)
        ahead = int(clock().timestamp()) + 50
        token = desk.assertion(iat=ahead, exp=ahead + 300)
        assert desk.call(token).status_code == 201
        [event] = desk.events()
        assert (event.expires_at - event.happened_at).total_seconds() == 300
        clock.advance(seconds=330)
        assert desk.call(token).status_code == 201

        assert len(desk.events()) == 1
        assert desk.events()[0].expires_at > event.expires_at

    def test_by_an_administrators_word_until_it_expires(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        desk.call(token)
        with desk.app.app_context():
            assert end_token(desk.last_event().correlation_id)
            db.session.commit()
        assert_refused(desk, token, "token_revoked")

        # Not even another trust, under which it would be verified again, brings it back.
        save_id_token(desk, integration, comments="Saved", clock_skew_seconds=30)
        assert_refused(desk, token, "token_revoked")
        assert desk.call(desk.assertion(sub="other")).status_code == 201

    def test_when_its_provider_publishes_its_key_no_longer(
        self, desk: TokenDesk, integration: Integration, clock: Clock
    ) -> None:
        token = desk.assertion(exp=int(clock().timestamp()) + 3600)
        desk.call(token)
        desk.jwks.answer = reply(key_set_document(jwk(rsa_key("other"), "other")))
        assert desk.call(token).status_code == 201, "the provider was not asked again"
        desk.call(desk.assertion(header(kid="other")))

        assert_refused(desk, token, "kid_unknown")

    def test_a_key_set_that_is_due_is_fetched_for_a_token_that_was_seen_before(
        self, desk: TokenDesk, integration: Integration, clock: Clock
    ) -> None:
        save_id_token(desk, integration, max_assertion_lifetime_seconds=86_400)
        token = desk.assertion(exp=int(clock().timestamp()) + 86_400)
        assert [desk.call(token).status_code for _ in range(2)] == [201, 201]
        desk.jwks.answer = reply(key_set_document(jwk(rsa_key("other"), "other")))
        clock.advance(hours=2)

        assert_refused(desk, token, "kid_unknown")
