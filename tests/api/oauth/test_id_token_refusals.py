"""ID tokens that are refused at the APIs: whose they are, what it costs, and what is never taken for one."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from changegate.api import batch
from changegate.errors import RecordNotFound
from changegate.extensions import db
from changegate.models import OAuthTokenKey
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.key_blocking import block_key
from changegate.services.keys.signing_key import SigningKey
from changegate.services.oauth import id_token_rows, jwt_token
from changegate.services.oauth.access_tokens import find_token_caller
from changegate.services.oauth.event_bounds import MOST
from changegate.services.oauth.revocation import end_token
from tests.api.oauth.test_id_tokens import assert_refused, nothing_remembered
from tests.conftest import ADMIN_PASSWORD, BASE_URL, Clock
from tests.console.visitor import Visitor
from tests.support.attack_forms import ORDER_P256
from tests.support.forge import b64, ec_key, forge, header, jwk, key_set_document, rsa_key, unb64
from tests.support.id_token_desk import ONCE, read, register_id_token
from tests.support.misbehaving_jwks import Received, raw, reply
from tests.support.statements import counted_statements
from tests.support.token_desk import AUDIENCE, CHANGES, ISSUER, ROBOT, Integration, TokenDesk, token_desk

__all__ = ["nothing_remembered"]
LIMIT = 20
ELSEWHERE = "https://elsewhere.example.com"


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    return register_id_token(desk)


def signed(desk: TokenDesk, key: Any, alg: str, head: Any = None, **claims: Any) -> str:
    """Return a token with the claims of the instance's provider, signed by any key."""
    said = json.loads(unb64(desk.assertion(**claims).split(".")[1]))
    return forge(head or header(alg=alg), said, alg=alg, key=key)


class TestWhoseItIs:
    """A token is verified by the one integration that its issuer and audience name, or by none."""

    def test_a_token_for_the_jwt_bearer_grant_opens_no_api(self, desk: TokenDesk) -> None:
        grant = desk.register()
        assertion = desk.assertion()

        assert_refused(desk, assertion, "client_unknown")
        [rule] = desk.last_event().rules
        assert rule[0] == "integration" and ISSUER in rule[3]
        assert desk.exchange(grant, assertion=assertion).status_code == 200, "nor is it used up"

    def test_a_token_with_another_audience_is_refused_and_the_event_names_it(
        self, desk: TokenDesk, integration: Integration
    ) -> None:
        assert_refused(desk, desk.assertion(aud=ELSEWHERE), "aud_mismatch")

        event = desk.last_event()
        assert event.entity == integration.sys_id
        assert next(rule[2:4] for rule in event.rules if rule[1]) == [AUDIENCE, ELSEWHERE]

    def test_of_several_with_one_issuer_the_audience_decides(self, desk: TokenDesk) -> None:
        ours, theirs = (register_id_token(desk, name, audiences=[f"api://{name}"]) for name in ("Ours", "Theirs"))
        for name, meant in (("Ours", ours), ("Theirs", theirs)):
            assert desk.call(desk.assertion(aud=f"api://{name}")).status_code == 201
            assert desk.last_event().entity == meant.sys_id

        assert_refused(desk, desk.assertion(aud="api://Nobody"), "client_ambiguous")
        assert_refused(desk, desk.assertion(aud=["api://Ours", "api://Theirs"]), "client_ambiguous")

    def test_of_several_for_one_audience_none_is_chosen(self, desk: TokenDesk) -> None:
        """Two that are saved at the same moment do not see each other."""
        register_id_token(desk, "Ours")
        desk.set(register_id_token(desk, "Theirs", active=False), active=True)

        assert_refused(desk, desk.assertion(), "client_ambiguous")

    def test_an_inactive_one_does_not_stand_in_the_way(self, desk: TokenDesk) -> None:
        register_id_token(desk, "Former", active=False)
        register_id_token(desk, "Present")

        assert desk.call(desk.assertion()).status_code == 201

    def test_the_audience_is_the_client_id_where_nothing_else_is_said(self, desk: TokenDesk) -> None:
        made = register_id_token(desk, audiences=[])

        assert desk.call(desk.assertion(aud=made.client_id)).status_code == 201

    def test_the_audience_may_have_another_claim(self, desk: TokenDesk) -> None:
        for name in ("Ours", "Theirs"):
            register_id_token(desk, name, audiences=[f"api://{name}"], audience_claim="client_id")

        assert desk.call(desk.assertion(aud=..., client_id="api://Ours")).status_code == 201
        assert_refused(desk, desk.assertion(aud="api://Ours"), "client_ambiguous")

    def test_a_key_of_another_integration_signs_nothing(self, desk: TokenDesk, integration: Integration) -> None:
        register_id_token(desk, "Other", issuer=ELSEWHERE, key_source="jwks", jwks_url=..., jwks=_key_set("theirs"))

        assert_refused(desk, signed(desk, rsa_key("theirs"), "RS256"), "signature_invalid")
        assert desk.call(signed(desk, rsa_key("theirs"), "RS256", iss=ELSEWHERE)).status_code == 201

    def test_a_stored_key_set_will_do(self, desk: TokenDesk) -> None:
        register_id_token(desk, key_source="jwks", jwks_url=..., jwks=_key_set("ours"))
        token = desk.assertion()

        assert [desk.call(token).status_code for _ in range(2)] == [201, 201]
        assert desk.jwks.hits == 0
        with desk.app.app_context():
            assert id_token_rows.find_known_caller(token) is not None


def _key_set(name: str) -> str:
    return key_set_document(jwk(rsa_key(name))).decode()


class TestWhatIsNone:
    """The format of a token selects its verifier; no token is verified in two ways."""

    @pytest.fixture
    def ours(self, desk: TokenDesk) -> str:
        """A token in JWT format that this instance has issued, while it also accepts those of a provider."""
        register_id_token(desk)
        return desk.token(desk.register("Grant", token_format="JWT"))

    def test_an_own_token_is_not_looked_up_among_those_of_providers(self, desk: TokenDesk, ours: str) -> None:
        with desk.app.app_context(), counted_statements() as statements:
            assert desk.call(ours).status_code == 201
        assert not [statement for statement in statements if "replay_key =" in statement]

    def test_a_token_in_the_own_format_is_not_treated_as_a_providers(self, desk: TokenDesk, ours: str) -> None:
        events = len(desk.events())
        head = unb64(ours.split(".")[0])
        for claims in ({}, {"iss": BASE_URL}):
            assert desk.call(signed(desk, ec_key(), "ES256", head, **claims)).status_code == 401
        assert [event.reason for event in desk.events()[events:]] == ["token_refused"] * 2

    def test_a_provider_cannot_issue_tokens_as_this_instance(self, desk: TokenDesk, ours: str) -> None:
        for alg, key in (("RS256", rsa_key()), ("ES256", ec_key())):
            head = {"alg": alg, "typ": "at+jwt", "kid": "k1"}
            assert_refused(desk, signed(desk, key, alg, head, iss=BASE_URL), "own_token")

    def test_an_integration_that_trusts_our_own_keys_accepts_none_of_our_tokens(
        self, desk: TokenDesk, ours: str
    ) -> None:
        published = desk.client.get("/api/now/oauth/jwks").data
        register_id_token(desk, "Circle", issuer=BASE_URL, key_source="jwks", jwks_url=..., jwks=published.decode())
        with desk.app.app_context():
            db.session.query(OAuthTokenKey).delete()
            db.session.commit()
        jwt_token._find_verifier.cache_clear()

        assert_refused(desk, ours, "own_token")

    def test_a_providers_header_in_our_own_format_is_still_a_providers(self, desk: TokenDesk) -> None:
        """The same members in the same order, and a thumbprint as kid: possibly from another instance."""
        register_id_token(desk, algorithms=["ES256"], required_typ="at+jwt")
        kid = SigningKey.from_jwk(jwk(ec_key())).thumbprint
        desk.jwks.answer = reply(key_set_document(jwk(ec_key(), kid)))
        head = f'{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}'

        assert desk.call(signed(desk, ec_key(), "ES256", head)).status_code == 201

    def test_text_without_three_segments_is_not_a_providers_token(self, desk: TokenDesk) -> None:
        for token in ("cgat_a.b.c", "cgrt_a", "a.b", "a.b.c.d", "opaque", "cgat_..", "é"):
            assert desk.call(token).status_code == 401, token
            event = desk.last_event()
            assert event is not None
            assert (event.reason, event.rules, event.entity) == ("token_refused", None, None)

    def test_garbage_is_refused_with_an_event(self, desk: TokenDesk, integration: Integration) -> None:
        garbage = ("..", "a.b.c", "e30.e30.e30", f"{'e30' * 8000}.e30.e30", "é.é.é", "A.B.C=", "\x7f.\x7f.\x7f")
        for number, token in enumerate(garbage, 1):
            assert desk.call(token).status_code == 401, token
            assert len(desk.events()) == number, token

    def test_introspection_and_revocation_do_not_accept_id_tokens(
        self, desk: TokenDesk, integration: Integration
    ) -> None:
        """RFC 7662 and RFC 7009 apply to tokens of this instance."""
        asking = desk.register("Asking")
        token = desk.assertion()
        desk.call(token)

        told = desk.client.post("/oauth/introspect", data={"token": token, **asking.credentials})
        ended = desk.client.post("/oauth/revoke", data={"token": token, **asking.credentials})

        assert (told.get_json(), ended.status_code) == ({"active": False}, 200)
        assert desk.call(token).status_code == 201
        with desk.app.app_context():
            assert find_token_caller(token) is None

    def test_no_id_token_manages_integrations(self, desk: TokenDesk) -> None:
        register_id_token(desk, run_as="admin", scopes=["useraccount"])
        answer = read(desk, desk.assertion(), "/api/now/oauth/integrations")

        assert answer.status_code == 403
        assert "Access tokens cannot manage integrations" in answer.get_json()["error"]["detail"]


class TestRevoked:
    """What an administrator has ended stays ended."""

    def test_another_signature_over_the_same_does_not_bring_a_token_back(self, desk: TokenDesk) -> None:
        """Any reader of the token can make (r, n - s) of an ECDSA signature (r, s)."""
        register_id_token(desk)
        desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
        token = signed(desk, ec_key(), "ES256")
        signed_part, _, signature = token.rpartition(".")
        r, s = unb64(signature)[:32], int.from_bytes(unb64(signature)[32:])
        twin = f"{signed_part}.{b64(r + (ORDER_P256 - s).to_bytes(32))}"
        assert [desk.call(one).status_code for one in (token, twin)] == [201, 201]
        assert len(desk.events()) == 1
        self._end_last(desk)

        for one in (token, twin):
            assert_refused(desk, one, "token_revoked")

    @staticmethod
    def _end_last(desk: TokenDesk) -> None:
        with desk.app.app_context():
            assert end_token(desk.last_event().correlation_id)
            db.session.commit()

    def test_revoking_all_includes_tokens_that_were_not_used_yet(
        self, desk: TokenDesk, integration: Integration, clock: Clock
    ) -> None:
        used, unused = desk.assertion(), desk.assertion()
        desk.call(used)
        clock.advance(seconds=2)
        visitor = Visitor(desk.app.test_client())
        visitor.sign_in("admin", ADMIN_PASSWORD)
        revoke_all = f"/tokens/integrations/{integration.client_id}/revoke"
        assert (
            visitor.send(visitor.open(f"/tokens?sysparm_query=entity={integration.sys_id}"), revoke_all).status_code
            == 302
        )

        for token in (used, unused):
            assert_refused(desk, token, "token_revoked")
        clock.advance(seconds=2)
        assert desk.call(desk.assertion()).status_code == 201

    def test_a_blocked_key_signs_nothing_more(self, desk: TokenDesk, integration: Integration) -> None:
        token = desk.assertion()
        desk.call(token)
        with desk.app.app_context():
            thumbprint = SigningKey.from_jwk(jwk(rsa_key())).thumbprint
            block_key(get_integration(integration.client_id), thumbprint, by="admin")
            db.session.commit()

        assert_refused(desk, token, "key_blocked")


class TestFailures:
    """What cannot be verified fills neither the log nor the provider's."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda desk: desk.assertion(iss=ELSEWHERE),
            lambda desk: desk.assertion(aud=ELSEWHERE),
            lambda desk: signed(desk, rsa_key("foreign"), "RS256"),
            lambda _desk: "a.b.c",
        ],
        ids=["issuer", "audience", "signature", "garbage"],
    )
    def test_are_limited_by_address_and_so_is_the_log(
        self, desk: TokenDesk, integration: Integration, make: Callable[[TokenDesk], str]
    ) -> None:
        known = desk.assertion()
        for _ in range(2):
            assert desk.call(known).status_code == 201
        answers = [desk.call(make(desk)) for _ in range(3 * LIMIT)]

        assert Counter(answer.status_code for answer in answers) == {401: LIMIT, 429: 2 * LIMIT}
        self._assert_limited(answers[-1])
        assert len(desk.events()) == 1 + 2 * LIMIT
        assert desk.call(known).status_code == 201, "a known caller is not delayed"

    @staticmethod
    def _assert_limited(answer: TestResponse) -> None:
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.get_json()["status"] == "failure"
        assert answer.get_json()["error"]["message"] == "Rate limit exceeded"

    def test_do_not_hold_up_another_address(self, desk: TokenDesk, integration: Integration) -> None:
        for _ in range(LIMIT + 1):
            desk.call(desk.assertion(aud=ELSEWHERE))
        desk.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"

        assert desk.call(desk.assertion()).status_code == 201

    def test_a_flood_of_unknown_kids_is_one_fetch(self, desk: TokenDesk, integration: Integration) -> None:
        desk.call(desk.assertion())
        answers = [desk.call(desk.assertion(header(kid=f"kid{number}"))).status_code for number in range(LIMIT)]

        assert answers == [401] * LIMIT
        assert desk.jwks.hits == 2

    def test_an_unavailable_provider_is_a_503_and_counts_as_no_failure(
        self, desk: TokenDesk, integration: Integration
    ) -> None:
        desk.jwks.answer = raw(b"")
        answers = [desk.call(desk.assertion()) for _ in range(MOST["address"] + 5)]

        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["Retry-After"] == "5"
        assert answers[0].get_json()["status"] == "failure"
        assert "127.0.0.1" not in answers[0].text
        assert [event.reason for event in desk.events()] == ["jwks_fetch_failed"] * MOST["address"]

    def test_no_token_is_written_anywhere(
        self, desk: TokenDesk, integration: Integration, caplog: pytest.LogCaptureFixture
    ) -> None:
        good, bad = desk.assertion(), desk.assertion(aud=ELSEWHERE)
        for token in (good, bad):
            desk.call(token)
        stored = b"".join(file.read_bytes() for file in Path(desk.app.instance_path).glob("changegate.db*"))

        assert b"aud_mismatch" in stored
        for token in (good, bad):
            for secret in (token, token.split(".")[2]):
                assert secret.encode() not in stored and secret not in caplog.text


class TestWhileKeysAreFetched:
    """A slow provider does not make other requests wait."""

    def test_other_requests_can_write_meanwhile(self, desk: TokenDesk) -> None:
        register_id_token(desk, scopes=["change_request.read"])
        written: list[int] = []

        def answer_late(connection: Any, received: Received) -> None:
            written.append(_write_elsewhere(desk))
            reply(key_set_document(jwk(rsa_key())))(connection, received)

        desk.jwks.answer = answer_late
        assert read(desk, desk.assertion()).status_code == 200
        assert written == [1]

    def test_no_transaction_is_open(self, allowed_loopback: None, postgres_app: Flask) -> None:
        idle: list[int] = []

        def answer_late(connection: Any, received: Received) -> None:
            idle.append(_count_idle_transactions(postgres_app))
            reply(key_set_document(jwk(rsa_key())))(connection, received)

        with token_desk(postgres_app) as desk:
            register_id_token(desk)
            desk.jwks.answer = answer_late
            assert desk.call(desk.assertion()).status_code == 201
        assert idle == [0]

    def test_other_requests_can_write_while_it_is_answered(
        self, desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The event of the first use is committed before the view begins."""
        register_id_token(desk, scopes=["change_request.read"])
        written: list[int] = []

        def open_slowly(*_arguments: Any, **_options: Any) -> Any:
            written.append(_write_elsewhere(desk))
            raise RecordNotFound

        monkeypatch.setattr("changegate.api.table.open_record", open_slowly)
        assert read(desk, desk.assertion(), f"{CHANGES}/{'0' * 32}").status_code == 404
        assert written == [1]


def _write_elsewhere(desk: TokenDesk) -> int:
    with closing(sqlite3.connect(f"{desk.app.instance_path}/changegate.db", timeout=0)) as other:
        touched = other.execute("UPDATE sys_user SET locked_out = 0 WHERE user_name = 'admin'").rowcount
        other.commit()
        return touched


def _count_idle_transactions(app: Flask) -> int:
    """Return how many connections of the application stand within a transaction and wait."""
    question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.execute(text(question)).scalar_one())


class TestInABatch:
    """A batch is one call, whatever is in it."""

    def test_a_one_time_token_serves_a_whole_batch(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        token = desk.assertion()

        assert _statuses(desk, token) == [201, 201, 201]
        assert len(desk.events()) == 1
        assert_refused(desk, token, "jti_replayed")

    def test_its_grounds_are_checked_for_each_request(self, desk: TokenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        register_id_token(desk, **ONCE)
        answer = batch.answer_subrequest

        def answer_and_lock_out(*arguments: Any) -> dict[str, Any]:
            answered = answer(*arguments)
            with closing(sqlite3.connect(f"{desk.app.instance_path}/changegate.db")) as other:
                other.execute("UPDATE sys_user SET locked_out = 1 WHERE user_name = ?", (ROBOT,))
                other.commit()
            return answered

        monkeypatch.setattr(batch, "answer_subrequest", answer_and_lock_out)
        assert _statuses(desk, desk.assertion()) == [201, 401, 401]

    def test_no_header_grants_access(self, desk: TokenDesk) -> None:
        register_id_token(desk, **ONCE)
        token = desk.assertion()
        desk.call(token)
        admitted = desk.last_event().correlation_id
        with desk.app.app_context():
            named = dict.fromkeys(("changegate.admitted", "Changegate-Admitted", "CHANGEGATE_ADMITTED"), admitted)
            bearer = {"Authorization": f"Bearer {token}"}
            assert desk.client.post(CHANGES, json={}, headers=bearer | named).status_code == 401


def _statuses(desk: TokenDesk, token: str) -> list[int]:
    body = b64(b'{"short_description": "Deploy"}')
    body += "=" * (-len(body) % 4)
    listed = [{"id": str(n), "method": "POST", "url": CHANGES, "body": body} for n in range(3)]
    bearer = {"Authorization": f"Bearer {token}"}
    with desk.app.app_context():
        sent = {"batch_request_id": "1", "rest_requests": listed}
        answer = desk.client.post("/api/now/v1/batch", json=sent, headers=bearer)
    return [served["status_code"] for served in answer.get_json()["serviced_requests"]]
