"""The refresh grant: a refresh token is exchanged for access tokens as long as all of its grounds hold."""

import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import delete, func, select

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthEntityScope, OAuthRefreshToken, SysUser
from changegate.services.oauth import refresh_grant
from changegate.services.oauth.access_tokens import revoke_tokens
from changegate.services.oauth.live_refresh_tokens import search_refresh_tokens
from changegate.services.oauth.oldest_tokens import MOST_LIVE
from changegate.services.oauth.refresh_tokens import TOKENS_KEPT_FOR, purge_ended
from tests.conftest import ADMIN_PASSWORD, Clock
from tests.support.grant_desk import MARIA, PASSWORD, GrantDesk
from tests.support.token_desk import RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

pytestmark = pytest.mark.usefixtures("allowed_passwords")
LIFESPAN_SECONDS = 8_640_000
REVOKE, INTROSPECT = "/oauth/revoke", "/oauth/introspect"
SERVICENOW_REVOKE = ("/oauth_revoke_token.do", "/oauth_revoke.do")
INACTIVE = {"active": False}


@pytest.fixture
def mobile(grants: GrantDesk) -> Integration:
    return registered(grants)


def registered(grants: GrantDesk, **columns: Any) -> Integration:
    scopes = ("change_request.create", "change_request.read")
    return grants.register("password", issue_refresh_tokens=True, scopes=scopes, **columns)


def require_refused(grants: GrantDesk, client: Integration, token: str, reason: str) -> None:
    answer = grants.refresh(client, token)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert "access_token" not in answer.get_json()
    assert grants.desk.last_event().reason == reason
    of_servicenow = grants.refresh(client, token, SERVICENOW_PATH)
    assert (of_servicenow.status_code, of_servicenow.get_json()["error"]) == (401, "server_error")
    assert introspected(grants, client, token) == INACTIVE


def introspected(grants: GrantDesk, client: Integration, token: str, **form: str) -> dict[str, Any]:
    found: dict[str, Any] = grants.desk.send(
        urlencode({"token": token, **client.credentials, **form}), INTROSPECT
    ).get_json()
    return found


def revoke(grants: GrantDesk, token: str, path: str = REVOKE, **form: str) -> int:
    return grants.desk.send(urlencode({"token": token, **form}), path).status_code


@pytest.mark.parametrize("path", [RFC_PATH, SERVICENOW_PATH])
@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_refresh_token_is_exchanged_for_an_access_token_and_stays_valid(
    grants: GrantDesk, path: str, token_format: str
) -> None:
    client = registered(grants, token_format=token_format)
    first, refresh_token = grants.both_tokens(client)

    answer = grants.refresh(client, refresh_token, path)

    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert body["refresh_token"] == refresh_token
    assert body["access_token"] != first
    assert grants.is_good(first) and grants.is_good(body["access_token"])
    assert grants.refreshed(client, refresh_token)


def test_it_is_kept_as_a_hash_and_never_logged(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, token = grants.both_tokens(mobile)
        grants.refreshed(mobile, token)
        grants.refresh(registered(grants), token)
        revoke(grants, token)
        grants.refresh(mobile, token)

    assert re.fullmatch(r"cgrt_[A-Za-z0-9_-]{43}", token)
    [row] = grants.refresh_rows()
    kept = repr(vars(row)) + "".join(repr(vars(event)) + repr(event.rules) for event in desk.events())
    for secret in (token, token[5:20], PASSWORD):
        assert secret not in kept and secret not in caplog.text


def test_an_event_contains_its_grant(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    grants.refreshed(mobile, token)

    issued, refreshed = desk.events()
    assert [row[0] for row in refreshed.rules] == ["grant allowed", "client", "refresh token", "user"]
    assert refreshed.rules[0] == ["grant allowed", None, "password, refresh_token", "refresh_token"]
    assert (refreshed.user, refreshed.issuer, refreshed.subject) == (grants.sys_id(MARIA), None, None)
    assert refreshed.refresh_token == issued.refresh_token == issued.correlation_id


def test_junk_that_clients_append_is_ignored(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)

    answer = grants.refresh(mobile, token, allow_redirects="True", url="https://desk/api", verify="None", timeout="3")

    assert answer.status_code == 200


def test_it_opens_no_api(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)

    assert desk.call(token).status_code == 401


@pytest.mark.parametrize(
    ("token", "status"), [("", 400), (..., 400), ("cgrt_" + "A" * 43, 400), ("nonsense", 400), ("cgrt_\u00e4", 400)]
)
def test_an_unknown_refresh_token_is_refused(grants: GrantDesk, mobile: Integration, token: str, status: int) -> None:
    assert grants.refresh(mobile, token).status_code == status


def test_an_access_token_is_not_a_refresh_token(grants: GrantDesk, mobile: Integration) -> None:
    access_token, _ = grants.both_tokens(mobile)

    assert grants.refresh(mobile, access_token).status_code == 400
    assert grants.desk.last_event().reason == "refresh_token_unknown"


def test_another_client_can_do_nothing_with_it(grants: GrantDesk, mobile: Integration) -> None:
    other = registered(grants)
    access_token, token = grants.both_tokens(mobile)

    require_refused(grants, other, token, "refresh_token_foreign")
    assert revoke(grants, token, **other.credentials) == 200

    assert grants.is_good(access_token)
    assert grants.refreshed(mobile, token), "a refusal to another client changes nothing"


def test_without_its_secret_a_client_can_do_nothing_with_it(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)

    for secret in ("wrong", ...):
        answer = grants.refresh(mobile, token, client_secret=secret)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_a_client_that_became_public_can_do_nothing_with_it(grants: GrantDesk, mobile: Integration) -> None:
    """Its refresh token does not change, which is for clients that prove themselves (RFC 9700 §2.2.2)."""
    _, token = grants.both_tokens(mobile)
    grants.desk.set(mobile, public_client=True)

    for answer in (
        grants.refresh(mobile, token, client_secret=...),
        grants.by_password(mobile, client_secret=...),
    ):
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
        assert grants.desk.last_event().reason == "client_unproven"


class TestScopes:
    """RFC 6749 §6: no scope that was not granted at first."""

    def test_all_or_some_are_given_again(self, grants: GrantDesk, mobile: Integration) -> None:
        _, token = grants.both_tokens(mobile)

        assert grants.refresh(mobile, token).get_json()["scope"] == "change_request.create change_request.read"
        assert grants.refresh(mobile, token, scope="change_request.read").get_json()["scope"] == "change_request.read"
        narrow = grants.refreshed(mobile, token, scope="change_request.read")
        assert grants.desk.call(narrow).status_code == 403

    def test_none_is_added(self, grants: GrantDesk, mobile: Integration) -> None:
        _, token = grants.both_tokens(mobile, scope="change_request.read")

        assert grants.refresh(mobile, token).get_json()["scope"] == "change_request.read"
        for wider in ("change_request.create", "change_request.read change_request.create", "useraccount"):
            answer = grants.refresh(mobile, token, scope=wider)
            assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_scope")
        assert grants.desk.call(grants.refreshed(mobile, token)).status_code == 403

    @pytest.mark.parametrize("scope", [..., "change_request.create change_request.read"])
    def test_one_that_was_taken_away_is_not_given_again(
        self, grants: GrantDesk, mobile: Integration, scope: str
    ) -> None:
        _, token = grants.both_tokens(mobile, scope=scope)
        with grants.desk.app.app_context():
            db.session.execute(delete(OAuthEntityScope).where(OAuthEntityScope.entity == mobile.sys_id))
            db.session.commit()

        answer = grants.refresh(mobile, token)
        assert (answer.status_code, answer.get_json()["scope"]) == (200, "")
        assert grants.desk.call(answer.get_json()["access_token"]).status_code == 403
        assert grants.refresh(mobile, token, scope="change_request.create").status_code == 400


def take_back(name: str) -> Callable[[GrantDesk, Integration], None]:
    """Return what takes away something that a refresh token rests on."""

    def revoke_all(grants: GrantDesk, client: Integration) -> None:
        with grants.desk.app.app_context():
            revoke_tokens(db.session.get_one(OAuthEntity, client.sys_id))
            db.session.commit()

    return {
        "user_inactive": lambda grants, _: grants.set_user(active=False),
        "user_locked": lambda grants, _: grants.set_user(locked_out=True),
        "user_web_service_only": lambda grants, _: grants.set_user(web_service_access_only=True),
        "password_changed": lambda grants, _: grants.set_password("another password"),
        "refresh_token_revoked": revoke_all,
    }[name]


@pytest.mark.parametrize(
    "reason",
    ["user_inactive", "user_locked", "user_web_service_only", "password_changed", "refresh_token_revoked"],
)
def test_it_ends_at_the_next_request_with_what_it_rests_on(grants: GrantDesk, mobile: Integration, reason: str) -> None:
    _, token = grants.both_tokens(mobile)
    assert grants.refreshed(mobile, token)

    take_back(reason)(grants, mobile)

    require_refused(grants, mobile, token, reason)


def test_a_password_that_is_set_again_to_the_same_ends_it_too(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    grants.set_password(PASSWORD)

    require_refused(grants, mobile, token, "password_changed")


def test_it_ends_with_its_integration(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    grants.desk.set(mobile, active=False)

    answer = grants.refresh(mobile, token)

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_it_is_refused_once_the_integration_issues_none(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    grants.desk.set(mobile, issue_refresh_tokens=False)

    answer = grants.refresh(mobile, token)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")
    assert introspected(grants, mobile, token) == INACTIVE
    assert "refresh_token" not in grants.by_password(mobile).get_json()


def test_it_expires(grants: GrantDesk, mobile: Integration, clock: Clock) -> None:
    _, token = grants.both_tokens(mobile)
    clock.advance(seconds=LIFESPAN_SECONDS - 5)
    assert grants.refreshed(mobile, token)
    clock.advance(seconds=6)

    require_refused(grants, mobile, token, "refresh_token_expired")


def test_its_lifespan_is_the_integrations(grants: GrantDesk, clock: Clock) -> None:
    client = registered(grants, refresh_token_lifespan_seconds=60)
    _, token = grants.both_tokens(client)
    clock.advance(seconds=61)

    require_refused(grants, client, token, "refresh_token_expired")


def test_a_lifespan_that_is_shortened_counts_at_once(grants: GrantDesk, mobile: Integration, clock: Clock) -> None:
    _, token = grants.both_tokens(mobile)
    issued_at = int(grants.refresh_rows()[0].issued_at.timestamp())
    clock.advance(seconds=100)

    for seconds, expected in ((200, issued_at + 200), (LIFESPAN_SECONDS + 1, issued_at + LIFESPAN_SECONDS)):
        grants.desk.set(mobile, refresh_token_lifespan_seconds=seconds)
        assert introspected(grants, mobile, token)["exp"] == expected
    grants.desk.set(mobile, refresh_token_lifespan_seconds=100)

    require_refused(grants, mobile, token, "refresh_token_expired")
    with grants.desk.app.app_context():
        assert search_refresh_tokens() == []


@pytest.mark.parametrize("path", [REVOKE, *SERVICENOW_REVOKE])
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", ""])
def test_revoking_a_refresh_token_ends_all_its_access_tokens(
    grants: GrantDesk, mobile: Integration, path: str, hint: str
) -> None:
    first, token = grants.both_tokens(mobile)
    second = grants.refreshed(mobile, token)
    apart, other_token = grants.both_tokens(mobile)

    assert revoke(grants, token, path, token_type_hint=hint) == 200

    assert [grants.is_good(each) for each in (first, second, apart)] == [False, False, True]
    require_refused(grants, mobile, token, "refresh_token_revoked")
    assert grants.refreshed(mobile, other_token)
    assert revoke(grants, token, path) == 200, "what has ended is no error"


def test_servicenows_clients_revoke_it_by_get(grants: GrantDesk, desk: TokenDesk, mobile: Integration) -> None:
    access_token, token = grants.both_tokens(mobile)

    with desk.app.app_context():
        assert desk.client.get(f"{SERVICENOW_REVOKE[0]}?token={token}").status_code == 200

    assert not grants.is_good(access_token)
    require_refused(grants, mobile, token, "refresh_token_revoked")


def test_a_revoked_access_token_leaves_it(grants: GrantDesk, mobile: Integration) -> None:
    access_token, token = grants.both_tokens(mobile)
    assert revoke(grants, access_token, **mobile.credentials) == 200

    assert not grants.is_good(access_token)
    assert grants.is_good(grants.refreshed(mobile, token))


def test_only_its_client_can_introspect_it(grants: GrantDesk, mobile: Integration) -> None:
    access_token, token = grants.both_tokens(mobile)
    row = grants.refresh_rows()[0]

    found = introspected(grants, mobile, token, token_type_hint="refresh_token")

    assert found == {
        "active": True,
        "token_type": "refresh_token",
        "client_id": mobile.client_id,
        "scope": "change_request.create change_request.read",
        "jti": row.correlation_id,
        "username": MARIA,
        "sub": grants.sys_id(MARIA),
        "aud": "https://change.example.com",
        "iss": "https://change.example.com",
        "iat": int(row.issued_at.timestamp()),
        "exp": int(row.expires_at.timestamp()),
    }
    service = grants.desk.register("Service", scopes=["token.introspect"])
    assert introspected(grants, service, token) == INACTIVE, "a service might take it for what may call an API"
    assert introspected(grants, service, access_token)["active"] is True


def test_beyond_the_limit_the_oldest_refresh_token_ends_with_its_access_tokens(
    grants: GrantDesk, mobile: Integration, clock: Clock
) -> None:
    first, oldest = grants.both_tokens(mobile)
    grants.both_tokens(mobile, username="admin", password=ADMIN_PASSWORD)
    tokens = []
    for _ in range(MOST_LIVE):
        clock.advance(seconds=1)
        tokens.append(grants.both_tokens(mobile)[1])

    require_refused(grants, mobile, oldest, "refresh_token_revoked")
    assert not grants.is_good(first)
    assert [grants.refresh(mobile, token).status_code for token in tokens[:2]] == [200, 200]


def test_refreshing_on_and_on_leaves_only_the_latest_access_tokens(
    grants: GrantDesk, mobile: Integration, clock: Clock
) -> None:
    _, token = grants.both_tokens(mobile)
    issued = []
    for _ in range(MOST_LIVE + 1):
        clock.advance(seconds=1)
        issued.append(grants.refreshed(mobile, token))

    assert [grants.is_good(each) for each in issued] == [False] + [True] * MOST_LIVE


def test_a_deleted_user_takes_it_along(grants: GrantDesk, mobile: Integration) -> None:
    _, token = grants.both_tokens(mobile)
    with grants.desk.app.app_context():
        db.session.delete(db.session.execute(select(SysUser).where(SysUser.user_name == MARIA)).scalar_one())
        db.session.commit()

    require_refused(grants, mobile, token, "refresh_token_unknown")


def test_a_deleted_integration_takes_it_along(grants: GrantDesk, mobile: Integration) -> None:
    grants.both_tokens(mobile)
    with grants.desk.app.app_context():
        db.session.delete(db.session.get_one(OAuthEntity, mobile.sys_id))
        db.session.commit()

    assert grants.refresh_rows() == []


def test_an_integration_that_is_deleted_meanwhile_issues_nothing(
    grants: GrantDesk, desk: TokenDesk, mobile: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = grants.both_tokens(mobile)
    issue = refresh_grant.make_token

    def deleted_meanwhile(*given: Any, **options: Any) -> Any:
        with desk.app.app_context():
            db.session.delete(db.session.get_one(OAuthEntity, mobile.sys_id))
            db.session.commit()
        return issue(*given, **options)

    monkeypatch.setattr(refresh_grant, "make_token", deleted_meanwhile)

    answer = grants.refresh(mobile, token)

    assert answer.status_code == 400
    assert not desk.last_event().is_accepted


def test_those_that_ended_long_ago_are_forgotten(grants: GrantDesk, desk: TokenDesk, clock: Clock) -> None:
    short, long = registered(grants, refresh_token_lifespan_seconds=60), registered(grants)
    grants.both_tokens(short)
    _, kept = grants.both_tokens(long)
    _, revoked = grants.both_tokens(long)
    revoke(grants, revoked)
    for days, left in ((1, 3), (TOKENS_KEPT_FOR.days + 1, 1)):
        clock.advance(days=days)
        with desk.app.app_context():
            purge_ended(clock())
            db.session.commit()
            assert db.session.execute(select(func.count(OAuthRefreshToken.correlation_id))).scalar_one() == left
    assert grants.refreshed(long, kept)
