"""The forms and records of the connection types, to a browser without scripts."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.schemas.integration.cautions import PASSWORDS, STORED, SWITCHED_OFF
from changegate.services.scopes.scopes import get_scope
from tests.console.visitor import Visitor, forms_of

NEW = "/inbound-integrations/new"
NAMED = {"name": "Nightly", "provider_name": "Scheduler"}
TRUST = {"issuer": "https://idp.example.com", "jwks_url": "https://idp.example.com/jwks", "run_as": "admin"}
FILLED = {
    "client-credentials": NAMED | {"run_as": "admin"},
    "password": NAMED,
    "id-token": NAMED | TRUST,
}
OF_EVERY_TYPE = {
    *("csrf_token", "name", "provider_name", "owner", "owner_group", "review_date", "active", "comments", "scopes"),
    *("scope_restriction", "creations_per_hour", "creations_per_day"),
}


def stored(app: Flask) -> OAuthEntity:
    """Return the one integration."""
    with app.app_context():
        return db.session.execute(select(OAuthEntity)).scalar_one()


def saved(admin: Visitor, slug: str, **changes: str) -> str:
    """Register an integration; answers the page of its record."""
    answer = admin.send(admin.open(f"{NEW}/{slug}"), "integration", {**FILLED[slug], **changes})
    assert answer.status_code in (200, 302), answer.text
    return record(admin)


def record(admin: Visitor) -> str:
    """Return the page of the one integration."""
    return admin.open(path_of(admin)).text


def path_of(admin: Visitor) -> str:
    """Return the address of the one integration, from the list."""
    href = admin.open("/inbound-integrations").text.partition('class="row-link" href="')[2]
    return href.partition('"')[0]


@pytest.mark.parametrize(
    ("slug", "own"),
    [
        ("client-credentials", {"run_as", "token_format", "access_token_lifespan_seconds"}),
        ("password", {"token_format", "access_token_lifespan_seconds", "refresh_token_lifespan_seconds"}),
    ],
)
def test_a_form_has_exactly_the_fields_of_its_type(admin: Visitor, slug: str, own: set[str]) -> None:
    page = admin.open(f"{NEW}/{slug}")
    assert {*forms_of(page).forms["integration"]} == OF_EVERY_TYPE | own
    for section in ("Details", "Auth scope", "Advanced options"):
        assert f">{section}</h2>" in page.text
    assert "Try a token" not in page.text


def test_the_form_of_id_tokens_has_a_user_claim_and_no_secret(admin: Visitor) -> None:
    page = admin.open(f"{NEW}/id-token")
    names = {*forms_of(page).forms["integration"]}
    assert {"issuer", "audiences", "user_claim", "user_field", "jwks_url", "jti_claim", "algorithms"} <= names
    assert names.isdisjoint({"token_format", "access_token_lifespan_seconds", "public_client"})
    assert "Client secret" not in page.text and "Try a token" in page.text


def test_a_scope_without_a_description_is_described_by_its_rules(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        get_scope("change_request.read_own").description = None
        db.session.commit()
    page = admin.open(f"{NEW}/password").text
    reads = "May read change requests that it created, also through the Change Management API"
    assert f"{reads}; may count and sum up change requests that it created." in page


def test_the_type_without_a_stored_secret_is_the_one_recommended(admin: Visitor) -> None:
    offers = admin.open(NEW).text.split("<li>")
    assert [offer.partition("<strong>")[2].partition("</strong>")[0] for offer in offers if "Recommended" in offer] == [
        "OAuth - JWT bearer grant"
    ]


def test_client_credentials_are_registered_with_servicenows_label_and_a_secret(app: Flask, admin: Visitor) -> None:
    page = admin.open(f"{NEW}/client-credentials")
    assert "OAuth Application User" in page.text
    answer = admin.send(page, "integration", FILLED["client-credentials"])
    assert "will not be shown again" in answer.text and "Token endpoint" in answer.text
    entity = stored(app)
    assert (entity.type, entity.public_client, entity.issuer) == ("client_credentials", False, "")


def test_names_the_stored_secret_and_the_type_without_one(admin: Visitor) -> None:
    page = admin.open(f"{NEW}/client-credentials").text
    assert STORED in page
    assert f'href="{NEW}/jwt-bearer"' in page


def test_warns_of_the_password_grant_and_says_when_it_is_off(app: Flask, admin: Visitor) -> None:
    off = admin.open(f"{NEW}/password").text
    assert PASSWORDS.replace("'", "&#39;") in off and SWITCHED_OFF in off
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], password_grant_enabled=True)
    on = admin.open(f"{NEW}/password").text
    assert PASSWORDS.replace("'", "&#39;") in on and SWITCHED_OFF not in on


def test_refresh_tokens_are_warned_of_where_they_are_switched_on(app: Flask, admin: Visitor) -> None:
    page = admin.open(f"{NEW}/password")
    assert "issue_refresh_tokens" not in forms_of(page).forms["integration"]
    assert "RFC 9700 §4.14" in page.text
    saved(admin, "password", issue_refresh_tokens="on")
    assert stored(app).issue_refresh_tokens is True


@pytest.mark.parametrize("slug", FILLED)
def test_saving_the_form_unchanged_changes_nothing(app: Flask, admin: Visitor, slug: str) -> None:
    saved(admin, slug)
    before = stored(app)
    answer = admin.send(admin.open(path_of(admin)), "integration")
    assert answer.status_code == 302
    after = stored(app)
    for name in {*OAuthEntity.__table__.columns.keys()} - {"sys_updated_on", "sys_mod_count"}:
        assert getattr(after, name) == getattr(before, name), name


@pytest.mark.parametrize("slug", FILLED)
def test_a_refusal_keeps_what_was_typed_and_the_form_of_the_type(admin: Visitor, slug: str) -> None:
    answer = admin.send(admin.open(f"{NEW}/{slug}"), "integration", {**FILLED[slug], "provider_name": ""})
    assert answer.status_code == 400
    assert "This field is required." in answer.text
    again = forms_of(answer)
    assert again.forms["integration"]["name"] == "Nightly"
    assert again.actions["integration"] == f"{NEW}/{slug}"


@pytest.mark.parametrize("slug", ["client-credentials", "password"])
def test_a_record_without_a_provider_has_no_keys_and_no_trial(admin: Visitor, slug: str) -> None:
    page = saved(admin, slug)
    assert 'id="keys"' not in page and 'id="try"' not in page
    assert "Rotate secret" in page


def test_the_record_of_id_tokens_has_keys_and_no_secret(admin: Visitor) -> None:
    page = saved(admin, "id-token")
    assert 'id="keys"' in page and 'id="try"' in page
    assert "Rotate secret" not in page


def test_fields_of_other_types_are_ignored_in_a_form(app: Flask, admin: Visitor) -> None:
    foreign = {"issuer": "https://evil.example", "public_client": "on", "type": "jwt_bearer", "jwks_url": "x"}
    saved(admin, "client-credentials", **foreign)
    entity = stored(app)
    assert (entity.type, entity.issuer, entity.public_client, entity.jwks_url) == ("client_credentials", "", False, "")


@pytest.mark.parametrize("slug", ["authorization-code", "jwt_bearer", "JWT-BEARER", "%00", "x" * 500])
def test_an_unknown_connection_type_is_a_404(admin: Visitor, slug: str) -> None:
    assert admin.open(f"{NEW}/{slug}").status_code == 404
    token = forms_of(admin.open(f"{NEW}/password")).forms["integration"]["csrf_token"]
    assert admin.client.post(f"{NEW}/{slug}", data={"csrf_token": token}).status_code == 404


@pytest.mark.parametrize("action", ["test-connection", "check-conditions", "try-token"])
def test_the_steps_of_a_provider_are_not_there_for_types_without(admin: Visitor, action: str) -> None:
    saved(admin, "password")
    token = forms_of(admin.open(f"{NEW}/password")).forms["integration"]["csrf_token"]
    for place in (f"{NEW}/password", f"{NEW}/nonsense", path_of(admin)):
        sent = {"csrf_token": token, "step": "add claim_conditions"}
        assert admin.client.post(f"{place}/{action}", data=sent).status_code == 404


def test_a_step_of_a_provider_changes_nothing_in_the_form_of_a_type_without(admin: Visitor) -> None:
    page = admin.open(f"{NEW}/password")
    sent = forms_of(page).forms["integration"].to_dict() | {"step": "add claim_conditions", "name": "Typed"}
    answer = admin.client.post(f"{NEW}/password/edit", data=sent)
    assert answer.status_code == 200
    assert forms_of(answer).forms["integration"]["name"] == "Typed"
    assert "claim_conditions-0" not in answer.text
    assert admin.client.post(f"{NEW}/nonsense/edit", data=sent).status_code == 404


def test_the_steps_of_a_provider_keep_the_form_of_its_type(admin: Visitor) -> None:
    page = admin.open(f"{NEW}/id-token")
    sent = forms_of(page).forms["integration"].to_dict() | {"step": "preset", "preset": "gitlab", "user_claim": "mail"}
    changed = admin.client.post(f"{NEW}/id-token/edit", data=sent)
    shown = forms_of(changed)
    assert shown.actions["integration"] == f"{NEW}/id-token"
    assert shown.forms["integration"]["issuer"] == "https://gitlab.com"
    assert shown.forms["integration"]["user_claim"] == "mail"
    # The provider's replay policy is for assertions: an ID token would be good for one call only.
    assert shown.forms["integration"]["replay_policy"] == "reusable-until-exp"
    assert "enable_jti_verification" not in shown.forms["integration"]


def test_the_list_shows_the_type_of_each(admin: Visitor) -> None:
    for slug, name in (("client-credentials", "One"), ("password", "Two"), ("id-token", "Three")):
        admin.send(admin.open(f"{NEW}/{slug}"), "integration", {**FILLED[slug], "name": name})
    page = admin.open("/inbound-integrations").text
    for short in ("Client credentials", "Password", "ID token"):
        assert f'data-label="Type and provider">{short}' in page


def test_keys_of_a_type_without_any_are_refused_in_a_sentence(admin: Visitor) -> None:
    saved(admin, "client-credentials")
    token = forms_of(admin.open(f"{NEW}/password")).forms["integration"]["csrf_token"]
    answer = admin.client.post(f"{path_of(admin)}/refresh-keys", data={"csrf_token": token}, follow_redirects=True)
    assert answer.status_code in (200, 400)
    assert "A client credentials integration has no keys." in answer.text


def test_a_second_addressee_of_id_tokens_is_not_enabled(admin: Visitor) -> None:
    addressed = FILLED["id-token"] | {"audiences": "desk"}
    saved(admin, "id-token", audiences="desk")
    admin.send(admin.open(f"{NEW}/id-token"), "integration", addressed | {"name": "A second", "active": None})
    path = path_of(admin)
    answer = admin.send(admin.open(path), f"{path}/enable")
    assert answer.status_code == 400 and 'id="audiences-error-1"' in answer.text
    assert "The ID token integration Nightly takes the tokens of this issuer for desk already." in answer.text
    assert "Inactive" in admin.open(path).text
