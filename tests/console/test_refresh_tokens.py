"""Refresh tokens and the other grants in the console: what is shown of them, and how they are revoked."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser
from tests.console.conftest import SignIn
from tests.console.visitor import Visitor, forms_of
from tests.support.grant_desk import MARIA, GrantDesk
from tests.support.token_desk import ROBOT, Integration, token_desk

pytestmark = pytest.mark.usefixtures("allowed_passwords")
TOKENS = "/tokens"
REFRESH_TOKENS = "/tokens/refresh-tokens"
EVENTS = "/inbound-integrations/events"


@pytest.fixture
def grants(allowed_passwords: None, app: Flask) -> Iterator[GrantDesk]:
    with token_desk(app) as desk:
        made = GrantDesk(desk)
        made.add_maria()
        yield made


@pytest.fixture
def mobile(grants: GrantDesk) -> Integration:
    return grants.register(
        "password", issue_refresh_tokens=True, refresh_token_lifespan_seconds=3600, name="Mobile app"
    )


def refresh_tokens_in(text: str) -> list[str]:
    """Return the correlation IDs of the refresh tokens that a page offers to revoke, in its order."""
    return re.findall(r'action="/tokens/refresh-tokens/([0-9a-f]{32})/revoke"', text)


def test_lists_refresh_tokens_without_the_token(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    assert f'href="{REFRESH_TOKENS}"' in admin.open(TOKENS).text
    assert "No integration has a refresh token that works now." in admin.open(REFRESH_TOKENS).text
    access_token, token = grants.both_tokens(mobile)

    text = admin.open(REFRESH_TOKENS).text

    assert all(shown in text for shown in ("Refresh tokens", "Mobile app", MARIA, 'total">1<'))
    assert token not in text and token[5:20] not in text and access_token not in text
    assert refresh_tokens_in(text) == [grants.refresh_rows()[0].correlation_id]
    unused = f"{REFRESH_TOKENS}?sysparm_query=last_used_atISEMPTY"
    assert len(refresh_tokens_in(admin.open(unused).text)) == 1
    grants.refreshed(mobile, token)
    assert refresh_tokens_in(admin.open(unused).text) == []


def test_filters_them(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    other = grants.register("password", issue_refresh_tokens=True, scopes=("change_request.read",))
    grants.both_tokens(mobile)
    grants.both_tokens(other)
    first, second = (row.correlation_id for row in grants.refresh_rows())
    for query, expected in (
        ("", [second, first]),
        (f"sysparm_query=entity={mobile.sys_id}", [first]),
        (f"sysparm_query=entity={'0' * 32}", []),
        (f"sysparm_query=user_name={MARIA}^ORDERBYissued_at", [first, second]),
        ("search=mobile", [first]),
        ("page=2", []),
    ):
        assert refresh_tokens_in(admin.open(f"{REFRESH_TOKENS}?{query}").text) == expected, query
    assert f"{REFRESH_TOKENS}?sysparm_query=entity%3D{mobile.sys_id}" in (
        admin.open(f"{TOKENS}?sysparm_query=entity={mobile.sys_id}").text
    )


def test_owners_see_those_of_their_integrations(
    app: Flask, sign_in: SignIn, grants: GrantDesk, mobile: Integration
) -> None:
    other = grants.register("password", issue_refresh_tokens=True)
    grants.both_tokens(mobile)
    grants.both_tokens(other)
    owner, visitor = sign_in("olga"), sign_in("eve")
    assert owner.open(REFRESH_TOKENS).status_code == 403
    with app.app_context():
        olga = db.session.execute(select(SysUser.sys_id).filter_by(user_name="olga")).scalar_one()
        db.session.execute(update(OAuthEntity).where(OAuthEntity.sys_id == mobile.sys_id).values(owner=olga))
        db.session.commit()
    text = owner.open(REFRESH_TOKENS).text
    assert ('total">1<' in text, "Mobile app" in text, refresh_tokens_in(text)) == (True, True, [])
    # The export of a list is open to every user, and has the rows of its reader.
    assert len(owner.open("/records/refresh_token/export/csv").text.splitlines()) == 2
    assert len(visitor.open("/records/refresh_token/export/csv").text.splitlines()) == 1


@pytest.mark.parametrize(
    "what", ["user", "password", "web service", "integration", "issues none", "all", "revoked", "expired"]
)
def test_lists_no_refresh_token_that_would_be_refused(
    admin: Visitor, grants: GrantDesk, mobile: Integration, what: str
) -> None:
    _, token = grants.both_tokens(mobile)
    assert len(refresh_tokens_in(admin.open(REFRESH_TOKENS).text)) == 1
    {
        "user": lambda: grants.set_user(active=False),
        "password": lambda: grants.set_password("another password"),
        "web service": lambda: grants.set_user(web_service_access_only=True),
        "integration": lambda: grants.desk.set(mobile, active=False),
        "issues none": lambda: grants.desk.set(mobile, issue_refresh_tokens=False),
        "all": lambda: grants.desk.set(mobile, token_generation=1),
        "revoked": lambda: grants.desk.send(f"token={token}", "/oauth/revoke"),
        "expired": lambda: grants.desk.app.config["CLOCK"].advance(hours=2),
    }[what]()

    assert refresh_tokens_in(admin.open(REFRESH_TOKENS).text) == []


def test_revokes_one_with_its_access_tokens(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    access_token, token = grants.both_tokens(mobile)
    place = f"{REFRESH_TOKENS}?search={MARIA}"
    page = admin.open(place)
    [shown] = refresh_tokens_in(page.text)

    answer = admin.send(page, f"{REFRESH_TOKENS}/{shown}/revoke")

    assert answer.location == place
    assert not grants.is_good(access_token)
    assert grants.refresh(mobile, token).status_code == 400
    assert "it and its access tokens have stopped working" in admin.open(place).text
    admin.send(page, f"{REFRESH_TOKENS}/{shown}/revoke")
    assert "was already revoked" in admin.open(place).text


def test_an_unknown_refresh_token_cannot_be_revoked(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    csrf = forms_of(admin.open(TOKENS)).forms["/logout"]["csrf_token"]

    for name in ("0" * 32, "x"):
        answer = admin.client.post(f"{REFRESH_TOKENS}/{name}/revoke", data={"csrf_token": csrf})
        assert answer.status_code == 404


def test_all_of_an_integration_are_revoked_together(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    access_token, token = grants.both_tokens(mobile)
    grants.desk.send(f"token={access_token}", "/oauth/revoke")
    place = f"{TOKENS}?sysparm_query=entity={mobile.sys_id}"

    admin.send(admin.open(place), f"{TOKENS}/integrations/{mobile.client_id}/revoke")

    assert grants.refresh(mobile, token).status_code == 400


def test_events_of_grants_without_an_assertion_are_explained(
    admin: Visitor, grants: GrantDesk, mobile: Integration
) -> None:
    machine = grants.register("client_credentials", name="Nightly job")
    _, token = grants.both_tokens(mobile)
    grants.refreshed(mobile, token)
    grants.send("client_credentials", machine)
    for event, name, who in zip(
        grants.desk.events(), ("Mobile app", "Mobile app", "Nightly job"), (MARIA, MARIA, ROBOT), strict=True
    ):
        text = admin.open(f"{EVENTS}/{event.correlation_id}").text
        assert name in text and who in text and "grant allowed" in text
        for absent in ("Issuer", "Key ID", "Digest of the jti", "Claims</h2>"):
            assert absent not in text, absent


def test_a_refused_password_is_explained(admin: Visitor, grants: GrantDesk, mobile: Integration) -> None:
    grants.by_password(mobile, password="not her password")
    grants.set_user(web_service_access_only=True)
    grants.by_password(mobile)
    wrong, web_service = grants.desk.events()

    text = admin.open(f"{EVENTS}/{wrong.correlation_id}").text
    assert "password_wrong" in text and MARIA in text and "not her password" not in text
    assert "Basic takes this password." in admin.open(f"{EVENTS}/{web_service.correlation_id}").text
    listed = admin.open(EVENTS).text
    assert "password_wrong" in listed and "Mobile app" in listed
