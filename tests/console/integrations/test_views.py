"""Registering and managing integrations."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange
from changegate.models.oauth_exchange import new_correlation_id
from changegate.services.integrations.integrations import get_integration, list_integrations
from changegate.services.integrations.saving import Registered, register_integration
from changegate.services.oauth.secrets import hash_client_secret
from tests.conftest import Clock
from tests.console.conftest import SignIn, fields
from tests.console.visitor import Changes, Visitor, forms_of
from tests.support.statements import counted_statements

NEW = "/inbound-integrations/new/jwt-bearer"
FORM = f"{NEW}/form"
TYPED: Changes = {
    "name": "Build pipeline",
    "provider_name": "Example CI",
    "issuer": "https://ci.example.com",
    "jwks_url": "https://ci.example.com/jwks.json",
    "run_as": "admin",
    "public_client": None,
}
SHARED_KEY = "a shared key of more than thirty-two bytes"
EVERYTHING: dict[str, object] = {
    "preset": "keycloak",
    "claim_conditions": [
        {"claim": "azp", "operator": "one_of", "value": ["shop", "basket"]},
        {"claim": "/realm_access/roles", "operator": "contains", "value_type": "list", "value": "deploy"},
        {"claim": "email_verified", "operator": "equals", "value_type": "boolean", "value": True, "report_only": True},
    ],
    "allow_additional_audiences": True,
    "allow_missing_kid": True,
    "required_typ": "at+jwt",
    "audience_claim": "azp",
    "replay_policy": "once-if-present",
    "token_format": "jwt",
    "owner": "admin",
    "review_date": "2027-01-31",
    "scope_restriction": False,
    "enforce_token_restriction": True,
    "creations_per_hour": 20,
    "creations_per_day": 100,
    "comments": "Two\nlines",
}
ATTACK = "<script>alert(1)</script>\"'>"
EVENT_NUMBERS = itertools.count()


def record_path(registered: Registered) -> str:
    """Return the path of an integration's record."""
    return f"/inbound-integrations/{registered.entity.client_id}"


def stored(app: Flask) -> OAuthEntity:
    """Return the one integration there is, as it stands in the database."""
    with app.app_context():
        [entity] = list_integrations()
        db.session.expunge_all()
        return entity


def facts_of(entity: OAuthEntity) -> dict[str, Any]:
    """Return what an integration is made of, but for when it was last written."""
    columns = {column.name: getattr(entity, column.name) for column in OAuthEntity.__table__.columns}
    return {name: value for name, value in columns.items() if name not in {"sys_updated_on", "sys_mod_count"}}


def secret_in(text: str) -> str:
    """Return the secret that a page shows."""
    found = re.search(r'<code id="client-secret">([^<]+)</code>', text)
    assert found
    return found[1]


def test_invites_to_the_first_integration(admin: Visitor) -> None:
    assert "No integrations yet" in admin.open("/inbound-integrations").text


def test_offers_four_connection_types_and_names_the_fifth(admin: Visitor) -> None:
    text = admin.open("/inbound-integrations/new").text
    for slug in ("jwt-bearer", "client-credentials", "password", "id-token"):
        assert f'href="/inbound-integrations/new/{slug}"' in text
    assert text.count("Not offered<") == 1
    labels = (
        "OAuth - JWT bearer grant",
        "Third party ID token issued by OIDC supporting identity provider",
        "OAuth - Client credentials grant",
        "OAuth - Resource owner password credential grant",
        "OAuth - Authorization code grant",
    )
    places = [text.index(label) for label in labels]
    assert places == sorted(places), "the recommended type comes first"


def test_registers_an_integration(app: Flask, admin: Visitor) -> None:
    answer = admin.send(admin.open(FORM), "integration", {**TYPED, "audiences": "desk\nother"})
    assert answer.status_code == 200
    entity = stored(app)
    assert (entity.name, entity.issuer, entity.audiences) == (
        "Build pipeline", "https://ci.example.com", ["desk", "other"],
    )  # fmt: skip
    assert (entity.active, entity.enable_jti_verification, entity.public_client) == (True, True, False)
    assert entity.sys_created_by == "admin"
    assert [scope.name for scope in entity.scopes] == ["change_request.create"]


def test_shows_the_secret_once(app: Flask, admin: Visitor) -> None:
    answer = admin.send(admin.open(FORM), "integration", TYPED)
    secret, entity = secret_in(answer.text), stored(app)
    assert hash_client_secret(secret) == entity.client_secret_hash
    assert answer.headers["Cache-Control"] == "no-store"
    with admin.client.session_transaction() as session:
        assert secret not in str(dict(session))
    for path in ("/inbound-integrations", f"/inbound-integrations/{entity.client_id}"):
        assert secret not in admin.open(path).text


def test_a_public_client_has_no_secret(app: Flask, admin: Visitor) -> None:
    assert forms_of(admin.open(FORM)).forms["integration"]["public_client"] == "on"
    answer = admin.send(admin.open(FORM), "integration", {**TYPED, "public_client": "on"})
    entity = stored(app)
    assert answer.location == f"/inbound-integrations/{entity.client_id}"
    assert entity.client_secret_hash is None
    text = admin.open(answer.location).text
    assert "Build pipeline is registered." in text
    assert "Public clients have no secret" in text
    assert "rotate-secret" not in text
    assert "CLIENT_SECRET" not in text


def test_keeps_the_input_of_a_refused_form(app: Flask, admin: Visitor) -> None:
    typed = {
        **TYPED,
        "clock_skew_seconds": "soon",
        "comments": ATTACK,
        "algorithms": ["ES384"],
        "active": None,
    }
    page = admin.send(admin.open(FORM), "integration", typed)
    assert page.status_code == 400
    assert "Give a whole number." in page.text
    assert "Not saved. Correct 1 field:" in page.text
    kept = forms_of(page).forms["integration"]
    assert (kept["name"], kept["clock_skew_seconds"], kept["comments"]) == ("Build pipeline", "soon", ATTACK)
    assert kept.getlist("algorithms") == ["ES384"]
    assert "active" not in kept
    with app.app_context():
        assert list_integrations() == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("name", "build PIPELINE", "There is an integration named"),
        ("run_as", "nobody.here", "There is no active user"),
        ("scopes", "everything", "There is no auth scope"),
        ("jwks_url", "file:///etc/passwd", "https"),
        ("jwks_url", "https://10.0.0.7/jwks.json", "10.0.0.7"),
    ],
)
def test_shows_errors_of_the_service_at_their_fields(
    admin: Visitor, integration: Registered, name: str, value: str, sentence: str
) -> None:
    page = admin.send(admin.open(FORM), "integration", {**TYPED, "name": "Another", name: value})
    assert page.status_code == 400
    assert re.search(rf'id="{name}-error-1">.*?{re.escape(sentence)}', page.text)


def test_lists_integrations_with_their_last_event(app: Flask, admin: Visitor, integration: Registered) -> None:
    add_event(app, integration, is_accepted=False, reason="iss_mismatch")
    text = admin.open("/inbound-integrations").text
    for shown in ("Build pipeline", "Example CI", "https://ci.example.com"):
        assert shown in text
    assert "Refused" in text


def test_the_list_distinguishes_clients_that_sign_from_public_clients(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        for name, is_public in (("Public", True), ("Secret", False), ("Signing", True)):
            register_integration(fields(name=name, public_client=is_public), by="admin")
        signed = update(OAuthEntity).where(OAuthEntity.name == "Signing")
        db.session.execute(signed.values(last_client_assertion_at=datetime.now(UTC)))
        db.session.commit()
    rows = admin.open("/inbound-integrations").text.partition("<tbody>")[2].split("<tr>")[1:]
    shown = {
        row.split("</a>")[0].rpartition(">")[2]: re.findall(r'data-label="Type and provider">([^<]*)<', row)
        for row in rows
    }
    assert shown == {
        "Public": ["JWT bearer, public client"],
        "Secret": ["JWT bearer"],
        "Signing": ["JWT bearer, private_key_jwt"],
    }


def test_the_list_shows_owners_and_due_reviews(app: Flask, admin: Visitor) -> None:
    today = datetime.now(UTC).date()
    with app.app_context():
        for name, owner, days in (("Overdue", "admin", -1), ("In time", "admin", 1), ("Nobody's", None, 0)):
            day = (today + timedelta(days=days)).isoformat()
            register_integration(fields(name=name, owner=owner, review_date=day), by="admin")
        db.session.commit()
    rows = admin.open("/inbound-integrations").text.partition("<tbody>")[2].split("<tr>")[1:]
    shown = {row.split("</a>")[0].rpartition(">")[2]: row for row in rows}
    assert [name for name, row in shown.items() if "Review overdue</span>" in row] == ["Overdue"]
    assert [name for name, row in shown.items() if "System Administrator" in row] == ["In time", "Overdue"]


def test_the_list_reads_no_more_statements_for_more_integrations(app: Flask, admin: Visitor) -> None:
    counts = []
    admin.open("/inbound-integrations")
    for number in range(4):
        with app.app_context():
            made = register_integration(fields(name=f"Number {number}", owner="admin"), by="admin")
            db.session.commit()
            add_event(app, made, is_accepted=True)
        with app.app_context(), counted_statements() as statements:
            page = admin.open("/inbound-integrations").text
        assert page.count("Accepted") == number + 1
        counts.append(len(statements))
    # Choices are read again when their cache has expired; a statement for each integration would add three.
    assert max(counts) - min(counts) <= 2, counts


def test_opens_a_record_with_its_stored_values(admin: Visitor, integration: Registered) -> None:
    kept = forms_of(admin.open(record_path(integration))).forms["integration"]
    assert (kept["name"], kept["audiences"], kept["run_as"]) == (
        "Build pipeline", "https://desk.example.com", "admin",
    )  # fmt: skip
    assert (kept["access_token_lifespan_seconds"], kept["subject_rule"]) == ("900", "run_as")


def test_saves_a_record(app: Flask, admin: Visitor, integration: Registered) -> None:
    path = record_path(integration)
    changes: Changes = {"name": "Renamed", "subject_rule": "user_field", "user_field": "user_name"}
    answer = admin.send(admin.open(path), "integration", changes)
    assert answer.location == path
    entity = stored(app)
    assert (entity.name, entity.run_as, entity.user_field) == ("Renamed", None, "user_name")
    assert entity.client_secret_hash == integration.entity.client_secret_hash
    assert "Renamed is saved." in admin.open(path).text


def test_saving_a_record_again_changes_nothing_of_it(app: Flask, admin: Visitor) -> None:
    """Every field comes back from the page as it went there: none is wiped by who only looks after another."""
    with app.app_context():
        register_integration(fields(**EVERYTHING), by="admin")
        db.session.commit()
    before = facts_of(stored(app))
    path = f"/inbound-integrations/{stored(app).client_id}"
    assert admin.send(admin.open(path), "integration").location == path
    assert facts_of(stored(app)) == before


def test_a_blank_shared_key_is_kept_and_never_shown(app: Flask, admin: Visitor) -> None:
    typed = {**TYPED, "key_source": "shared_key", "algorithms": ["HS256"], "verifier_maps-0-name": "ours"}
    page = admin.send(admin.open(FORM), "integration", {**typed, "verifier_maps-0-shared_key": SHARED_KEY})
    assert page.status_code == 200
    with app.app_context():
        sealed = list_integrations()[0].jwt_verifier_maps[0].shared_key
    path = f"/inbound-integrations/{stored(app).client_id}"
    record = admin.open(path)
    assert SHARED_KEY not in record.text
    assert admin.send(record, "integration", {"name": "Renamed"}).location == path
    with app.app_context():
        assert [one.shared_key for one in list_integrations()[0].jwt_verifier_maps] == [sealed]


def test_refuses_a_shared_issuer_without_a_tenants_pin_at_the_conditions(app: Flask, admin: Visitor) -> None:
    github = {"issuer": "https://token.actions.githubusercontent.com", "preset": "github-actions"}
    page = admin.send(admin.open(FORM), "integration", {**TYPED, **github})
    assert page.status_code == 400
    assert re.search(r'id="claim_conditions-error-1">.*?GitHub Actions signs for everybody', page.text)
    pin = {"claim_conditions-0-claim": "repository_id", "claim_conditions-0-value": "42"}
    assert admin.send(page, "integration", pin).status_code == 200
    assert stored(app).claim_conditions == [
        {"claim": "repository_id", "operator": "equals", "value_type": "string", "value": "42", "report_only": False}
    ]


def test_a_refused_edit_changes_nothing_and_keeps_the_input(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    page = admin.send(admin.open(record_path(integration)), "integration", {"name": "New", "run_as": "nobody"})
    assert page.status_code == 400
    assert "There is no active user nobody." in page.text
    assert forms_of(page).forms["integration"]["name"] == "New"
    assert stored(app).name == "Build pipeline"


def test_a_client_that_stops_being_public_gets_a_secret(app: Flask, admin: Visitor) -> None:
    answer = admin.send(admin.open(FORM), "integration", {**TYPED, "public_client": "on"})
    saved = admin.send(admin.open(str(answer.location)), "integration", {"public_client": None})
    assert hash_client_secret(secret_in(saved.text)) == stored(app).client_secret_hash


def test_disables_and_enables(app: Flask, admin: Visitor, integration: Registered) -> None:
    path = record_path(integration)
    admin.send(admin.open(path), f"{path}/disable")
    assert stored(app).active is False
    page = admin.open(path)
    assert "its tokens have stopped working" in page.text
    admin.send(page, f"{path}/enable")
    assert stored(app).active is True


@pytest.mark.parametrize(("overlap", "works_on"), [("24", True), ("0", False), ("9999", False)])
def test_rotates_the_secret(app: Flask, admin: Visitor, integration: Registered, overlap: str, works_on: bool) -> None:
    path = record_path(integration)
    answer = admin.send(admin.open(path), f"{path}/rotate-secret", {"overlap_hours": overlap})
    entity = stored(app)
    assert hash_client_secret(secret_in(answer.text)) == entity.client_secret_hash
    kept = entity.previous_client_secret_hash
    assert kept == (integration.entity.client_secret_hash if works_on else None)


def test_says_when_the_old_secret_ends(app: Flask, admin: Visitor, integration: Registered, clock: Clock) -> None:
    path = record_path(integration)
    assert "The previous secret works until" not in admin.open(path).text
    answer = admin.send(admin.open(path), f"{path}/rotate-secret", {"overlap_hours": "24"})
    until = stored(app).previous_client_secret_expires_at
    assert until is not None
    assert f"{until:%Y-%m-%d %H:%M:%S}</time> UTC; configure the new secret in all clients before then" in answer.text
    shown = f"The previous secret works until {until:%Y-%m-%d %H:%M} UTC"
    assert shown in admin.open(path).text
    clock.advance(hours=11)
    assert shown in admin.open(path).text
    at_once = admin.send(admin.open(path), f"{path}/rotate-secret", {"overlap_hours": "0"})
    assert "The previous secret works until" not in at_once.text
    assert "The previous secret works until" not in admin.open(path).text


def test_an_expired_old_secret_is_not_mentioned(app: Flask, admin: Visitor, integration: Registered) -> None:
    path = record_path(integration)
    admin.send(admin.open(path), f"{path}/rotate-secret", {"overlap_hours": "24"})
    with app.app_context():
        entity = get_integration(integration.entity.client_id)
        entity.previous_client_secret_expires_at = datetime.now(UTC) - timedelta(seconds=1)
        db.session.commit()
    assert "The previous secret works until" not in admin.open(path).text


def test_a_public_client_cannot_rotate(app: Flask, admin: Visitor, integration: Registered) -> None:
    path = record_path(integration)
    page = admin.open(path)
    with app.app_context():
        get_integration(integration.entity.client_id).public_client = True
        db.session.commit()
    answer = admin.send(page, f"{path}/rotate-secret")
    assert answer.status_code == 400
    assert "A public client has no secret." in answer.text


def test_shows_the_latest_events(app: Flask, admin: Visitor, integration: Registered) -> None:
    refused = add_event(app, integration, is_accepted=False, reason="iss_mismatch", kid=ATTACK)
    issued = add_event(app, integration, is_accepted=True, subject="repo:shop")
    text = admin.open(f"{record_path(integration)}/events").text
    for shown in ("Accepted", "Refused", "iss_mismatch", "repo:shop", refused, issued):
        assert shown in text
    assert f'href="/inbound-integrations/events/{refused}"' in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_counts_what_reporting_conditions_would_have_refused(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    for would_refuse in (True, True, None):
        add_event(app, integration, is_accepted=True, would_refuse=would_refuse)
    text = admin.open(f"{record_path(integration)}/events").text
    assert "2 exchanges of the last 30 days would have been refused" in text
    assert "2 would have been refused" in admin.open("/inbound-integrations").text


def test_escapes_the_input(app: Flask, admin: Visitor) -> None:
    typed = {
        **TYPED,
        "name": ATTACK,
        "provider_name": ATTACK,
        "issuer": "https://ci.example.com/\"'onload=alert(1)",
        "comments": ATTACK,
        "audiences": ATTACK,
    }
    pages = [admin.send(admin.open(FORM), "integration", typed)]
    path = f"/inbound-integrations/{stored(app).client_id}"
    pages += [admin.open(path), admin.open("/inbound-integrations"), admin.open("/")]
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
    assert forms_of(pages[1]).forms["integration"]["comments"] == ATTACK


def test_an_unknown_integration_is_a_404(admin: Visitor) -> None:
    assert admin.open("/inbound-integrations/nope").status_code == 404


def test_suggests_active_users(app: Flask, admin: Visitor, sign_in: SignIn) -> None:
    sign_in("release.bot")
    assert '<option value="release.bot">release.bot</option>' in admin.open(FORM).text


def add_event(app: Flask, registered: Registered, **facts: Any) -> str:
    """Write an event as the token endpoint does, and return its correlation ID."""
    # Events of the same millisecond have no order, so that each has a millisecond of its own.
    happened_at = datetime.now(UTC) + timedelta(milliseconds=next(EVENT_NUMBERS))
    correlation_id = new_correlation_id(happened_at)
    with app.app_context():
        event = OAuthExchange(
            happened_at=happened_at,
            correlation_id=correlation_id,
            entity=registered.entity.sys_id,
            **facts,
        )
        db.session.add(event)
        db.session.commit()
    return correlation_id
