"""Try a token: verified against the unsaved form and a real key set on loopback, and nothing is stored."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthExchange
from changegate.services.integrations.saving import Registered
from tests.console.visitor import Changes, Visitor, forms_of
from tests.support.forge import forge, header
from tests.support.misbehaving_jwks import MisbehavingJwks, reply
from tests.support.postponing import served

NEW = "/inbound-integrations/new/jwt-bearer"
FORM = f"{NEW}/form"
AUDIENCE = "https://desk.example.com"


def token(app: Flask, **claims: Any) -> str:
    """Sign a token with the provider's key."""
    issued_at = int(app.config["CLOCK"]().timestamp())
    usual = {"iss": "https://ci.example.com", "sub": "build", "aud": AUDIENCE, "iat": issued_at, "exp": issued_at + 300}
    return forge(header(kid="rsa-1"), {**usual, "jti": "j-1", **claims})


def typed(provider: MisbehavingJwks, **changes: str) -> dict[str, str]:
    """Return what a form needs for its trial: no name, and nothing saved."""
    usual = {"issuer": "https://ci.example.com", "audiences": AUDIENCE, "run_as": "admin", "jwks_url": provider.url()}
    return usual | changes


def try_it(visitor: Visitor, assertion: str, changes: Changes, path: str = NEW) -> str:
    """Try a token as the page's script does, and return what it inserts."""
    form = forms_of(visitor.open(FORM if path == NEW else path)).forms["integration"]
    for name, value in changes.items():
        form[name] = str(value)
    headers = {"X-CSRFToken": form["csrf_token"], "X-Fragment": "trial"}
    answer = visitor.client.post(f"{path}/try-token", data={**form.to_dict(), "assertion": assertion}, headers=headers)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    return answer.text


def test_shows_that_a_token_would_be_accepted_and_its_user(
    app: Flask, admin: Visitor, provider: MisbehavingJwks
) -> None:
    text = try_it(admin, f" {token(app)}\n", typed(provider))
    assert "It would be accepted" in text
    assert "act as admin" in text
    assert "Failed" not in text


def test_shows_every_rule_with_what_was_expected_and_received(
    app: Flask, admin: Visitor, provider: MisbehavingJwks
) -> None:
    text = try_it(admin, token(app, aud="https://other.example.com"), typed(provider))
    for shown in ("Refused</strong> with", "aud_mismatch", AUDIENCE, "https://other.example.com", "signature"):
        assert shown in text


def test_checks_conditions_that_are_not_saved(app: Flask, admin: Visitor, provider: MisbehavingJwks) -> None:
    row = {
        "claim_conditions-0-claim": "ref",
        "claim_conditions-0-operator": "equals",
        "claim_conditions-0-value": "main",
    }
    assert "claim_condition_failed" in try_it(admin, token(app, ref="topic"), typed(provider, **row))
    reports = {**row, "claim_conditions-0-report_only": "on"}
    text = try_it(admin, token(app, ref="topic"), typed(provider, **reports))
    assert "It would be accepted" in text
    assert "a report-only condition failed" in text


def test_a_trial_stores_nothing(app: Flask, admin: Visitor, integration: Registered, provider: MisbehavingJwks) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    for _ in range(2):
        assert "It would be accepted" in try_it(admin, token(app), typed(provider), path)
    with app.app_context():
        assert db.session.execute(select(func.count()).select_from(OAuthExchange)).scalar_one() == 0


@pytest.mark.parametrize("headers", [{}, {"X-Fragment": "trial"}])
def test_the_page_never_contains_the_token(
    app: Flask, admin: Visitor, provider: MisbehavingJwks, headers: dict[str, str]
) -> None:
    form = forms_of(admin.open(FORM)).forms["integration"].to_dict() | typed(provider)
    assertion = token(app)
    answer = admin.client.post(f"{NEW}/try-token", data={**form, "assertion": assertion}, headers=headers)
    assert "It would be accepted" in answer.text
    assert not [segment for segment in assertion.split(".") if segment in answer.text]


@pytest.mark.parametrize("assertion", ["", "  ", "x", "a.b.c", "eyJ.eyJ.\x00", "\u202e", "x" * 70_000, "." * 60_000])
def test_accepts_any_text_as_a_token(admin: Visitor, provider: MisbehavingJwks, assertion: str) -> None:
    assert "notice-danger" in try_it(admin, assertion, typed(provider))


def test_says_what_must_be_filled_in_first(app: Flask, admin: Visitor, provider: MisbehavingJwks) -> None:
    text = try_it(admin, token(app), typed(provider, run_as="", issuer=""))
    assert "Fix the errors in the form before you try a token." in text
    assert 'href="#issuer"' in text


def test_shows_that_the_keys_are_unavailable(app: Flask, admin: Visitor, provider: MisbehavingJwks) -> None:
    text = try_it(admin, token(app), typed(provider, jwks_url="https://10.0.0.7/jwks.json"))
    assert "Nothing could be checked." in text
    assert "10.0.0.7" in text


def test_shows_no_claims_of_a_token_that_was_not_signed_by_the_provider(
    app: Flask, admin: Visitor, provider: MisbehavingJwks
) -> None:
    whole = token(app, color="blue")
    text = try_it(admin, whole[:-8] + "AAAAAAAA", typed(provider))
    assert "signature_invalid" in text
    assert "blue" not in text


def test_a_click_pins_a_claim(app: Flask, admin: Visitor, provider: MisbehavingJwks) -> None:
    text = try_it(admin, token(app, repository_id="42", ref="main"), typed(provider, preset="github-actions"))
    assert 'aria-label="Pin repository_id"' in text
    assert "Can be changed, or taken over by another person" in text
    assert 'aria-label="Pin jti"' not in text
    step = "pin " + json.dumps({"claim": "repository_id", "value": "42"})
    form = forms_of(admin.open(FORM)).forms["integration"].to_dict()
    page = admin.client.post(f"{NEW}/edit", data={**form, "name": "Typed already", "step": step})
    kept = forms_of(page).forms["integration"]
    assert (kept["claim_conditions-0-claim"], kept["claim_conditions-0-value"]) == ("repository_id", "42")
    assert (kept["claim_conditions-0-operator"], kept["name"]) == ("equals", "Typed already")


def test_a_step_of_a_record_gives_its_form_back(admin: Visitor, integration: Registered) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    form = forms_of(admin.open(path)).forms["integration"]
    headers = {"X-CSRFToken": form["csrf_token"], "X-Fragment": "form"}
    answer = admin.client.post(f"{path}/edit", data={**form.to_dict(), "step": "add claim_conditions"}, headers=headers)
    assert "<html" not in answer.text
    assert f'action="{path}"' in answer.text
    assert 'data-focus="claim_conditions-0-claim"' in answer.text


def paste(visitor: Visitor, issuer: str) -> TestResponse:
    """Paste an issuer into the form, without scripts."""
    form = forms_of(visitor.open(FORM)).forms["integration"].to_dict()
    return visitor.client.post(f"{NEW}/edit", data={**form, "issuer": issuer, "step": "discover"})


def test_pasting_an_issuer_copies_its_discovery_document(admin: Visitor, provider: MisbehavingJwks) -> None:
    issuer = provider.url(path="")
    signs = {"id_token_signing_alg_values_supported": ["ES256", "none"]}
    document = {"issuer": issuer, "jwks_uri": provider.url(path="/keys"), **signs}
    provider.answer = reply(json.dumps(document).encode())
    page = paste(admin, f" {issuer} ")
    kept = forms_of(page).forms["integration"]
    assert (kept["issuer"], kept["jwks_url"]) == (issuer, provider.url(path="/keys"))
    assert "Its ID tokens are signed with ES256." in page.text
    assert provider.hits == 1


def test_says_why_an_issuer_cannot_be_read(admin: Visitor, provider: MisbehavingJwks) -> None:
    # This provider answers everything with its key set, which is no metadata.
    assert "The document names no issuer." in paste(admin, provider.url(path="")).text
    assert "Fill in the issuer first." in paste(admin, "").text
    assert "https" in paste(admin, "file:///etc/passwd").text


def test_a_trial_and_a_pasted_issuer_wait_without_a_thread(
    app: Flask, admin: Visitor, provider: MisbehavingJwks
) -> None:
    server = served(app)
    assert "It would be accepted" in try_it(admin, token(app), typed(provider))
    assert (provider.hits, server.postponed) == (1, 1)
    assert "The document names no issuer." in paste(admin, provider.url(path="")).text
    assert (provider.hits, server.postponed) == (2, 2)


def test_asks_for_a_missing_shared_key(app: Flask, admin: Visitor, provider: MisbehavingJwks) -> None:
    changes = {"key_source": "shared_key", "algorithms": "HS256", "verifier_maps-0-name": "ours"}
    text = try_it(admin, token(app), typed(provider, **changes))
    assert "Nothing could be checked." in text
    assert "give the shared key" in text
