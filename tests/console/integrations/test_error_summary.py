"""The summary of a refused form: all errors at once, each with a link to its field."""

import re

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.services.integrations.integrations import set_active
from changegate.services.integrations.saving import Registered, register_integration
from tests.console.conftest import fields
from tests.console.integrations.test_views import FORM, TYPED, record_path
from tests.console.visitor import Visitor, forms_of

# Errors of the schema, and errors that only the stored records show.
WRONG = {
    "provider_name": "",
    "clock_skew_seconds": "soon",
    "claim_conditions-0-claim": "team",
    "claim_conditions-0-value": "",
    "name": "build PIPELINE",
    "run_as": "nobody.here",
    "owner": "nobody.else",
    "scopes": "everything",
    "jwks_url": "file:///etc/passwd",
}


def summary_of(text: str) -> tuple[str, dict[str, str]]:
    """Return the first sentence of the summary, and the texts by the field that they link to."""
    [summary] = re.findall(r'<div [^>]*id="error-summary".*?</ul>', text, re.DOTALL)
    assert 'role="alert"' in summary
    assert 'tabindex="-1"' in summary
    [sentence] = re.findall(r"<p>([^<]+)</p>", summary)
    return sentence, dict(re.findall(r'<a href="#([^"]+)">[^<]+</a>: ([^<]*)</li>', summary))


def test_all_errors_of_a_new_integration_are_shown_at_once(admin: Visitor, integration: Registered) -> None:
    page = admin.send(admin.open(FORM), "integration", {**TYPED, **WRONG})
    assert page.status_code == 400
    sentence, errors = summary_of(page.text)
    assert errors.keys() == {name for name in WRONG if name != "claim_conditions-0-claim"}
    assert sentence == "Not saved. Correct 8 fields:"
    assert 'href="#run_as">Run-as user</a>' in page.text
    assert errors["run_as"] == "There is no active user nobody.here."
    ids = set(re.findall(r'\sid="([^"]+)"', page.text))
    assert errors.keys() <= ids


def test_all_errors_of_a_stored_integration_are_shown_at_once(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    with app.app_context():
        register_integration(fields(name="Other"), by="admin")
        db.session.commit()
    page = admin.send(admin.open(record_path(integration)), "integration", {**WRONG, "name": "OTHER"})
    assert summary_of(page.text)[1].keys() == {name for name in WRONG if name != "claim_conditions-0-claim"}


def test_all_errors_that_only_the_stored_records_show_are_shown_at_once(
    admin: Visitor, integration: Registered
) -> None:
    wrong = {name: WRONG[name] for name in ("name", "run_as", "owner", "scopes")}
    private = {"key_source": "jwks", "jwks": '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}'}
    page = admin.send(admin.open(FORM), "integration", {**TYPED, **wrong})
    assert summary_of(page.text)[1].keys() == wrong.keys()
    page = admin.send(admin.open(FORM), "integration", {**TYPED, **wrong, **private, "jwks_url": ""})
    assert summary_of(page.text)[1].keys() == {*wrong, "jwks"}


GITHUB = {
    "issuer": "https://token.actions.githubusercontent.com",
    "jwks_url": "https://token.actions.githubusercontent.com/.well-known/jwks",
}
PINS = "GitHub Actions signs for everybody under this issuer. Add a claim condition"


@pytest.mark.parametrize("claim", ["", "team", "repository_id"])
def test_a_missing_condition_is_shown_with_the_errors_of_single_fields(admin: Visitor, claim: str) -> None:
    wrong = {"provider_name": "", "clock_skew_seconds": "soon", **GITHUB}
    row = {"claim_conditions-0-claim": claim} if claim else {}
    page = admin.send(admin.open(FORM), "integration", {**TYPED, **wrong, **row})
    expected = {"provider_name", "clock_skew_seconds"}
    # A row without its value is the required condition, or another one beside it.
    expected |= {"claim_conditions-0-value"} if claim else set()
    expected |= set() if claim == "repository_id" else {"claim_conditions"}
    errors = summary_of(page.text)[1]
    assert errors.keys() == expected
    assert errors.get("claim_conditions", PINS).startswith(PINS)


def test_the_name_of_the_integration_itself_is_not_taken(admin: Visitor, integration: Registered) -> None:
    page = admin.send(admin.open(record_path(integration)), "integration", {"clock_skew_seconds": "soon"})
    assert summary_of(page.text)[1].keys() == {"clock_skew_seconds"}


def test_folded_fields_are_unfolded_for_their_errors(admin: Visitor, integration: Registered) -> None:
    path = record_path(integration)
    assert 'id="advanced">' in admin.open(path).text
    page = admin.send(admin.open(path), "integration", {"clock_skew_seconds": "soon"})
    assert 'id="advanced" open>' in page.text


def test_a_step_that_saves_nothing_does_not_say_that_nothing_was_saved(admin: Visitor) -> None:
    sent = forms_of(admin.open(FORM)).forms["integration"].copy()
    sent["step"] = "discover"
    answer = admin.client.post("/inbound-integrations/new/jwt-bearer/edit", data=sent)
    assert "Fill in the issuer first." in answer.text
    assert "error-summary" not in answer.text
    assert "Not saved" not in answer.text


def test_a_refused_enabling_names_itself(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        for name in ("One", "Two"):
            sent = fields(name=name) | {"type": "id_token", "user_claim": "sub", "require_email_verified": True}
            made = register_integration(sent, by="admin")
            set_active(made.entity, False, by="admin")
            path = record_path(made)
        db.session.commit()
    admin.send(admin.open(path), f"{path}/enable")
    first = (
        admin.open("/inbound-integrations?search=One").text.partition('class="row-link" href="')[2].partition('"')[0]
    )
    page = admin.send(admin.open(first), f"{first}/enable")
    assert page.status_code == 400
    assert summary_of(page.text)[0] == "Not enabled. Correct 1 field:"
