"""Typical mistakes in an integration, each made in the form, on the command line, in a file, and in the admin API.

Each is refused with the remedy, or saved with a warning that stays as a finding.
"""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from sqlalchemy import update

from changegate.cli.integrations.options import option_name
from changegate.extensions import db, now
from changegate.models import OAuthEntity
from changegate.models.integration_choices import JWT_BEARER
from changegate.models.integration_fields import FIELDS_OF
from changegate.schemas import presets
from changegate.services.hygiene.assessment import assess
from changegate.services.integrations.integrations import list_integrations
from changegate.services.users.accounts import create_user
from tests.cli.conftest import Run, run, run_prepared
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.visitor import FormReader, Visitor, forms_of
from tests.support.certificates import certificate, pem
from tests.support.forge import rsa_key
from tests.support.integration_api import IntegrationApi
from tests.support.provider_site import JWKS, OPENID, provider_site

__all__ = ["run", "run_prepared"]

FORM = "/inbound-integrations/new/jwt-bearer/form"
USUAL: Mapping[str, Any] = {
    "provider_name": "Example CI",
    "issuer": "https://ci.example.com",
    "jwks_url": "https://ci.example.com/signing",
    "audiences": ["https://change.example.com"],
    "claim_conditions": [{"claim": "project", "operator": "equals", "value": "shop"}],
    "run_as": "robot",
    "public_client": True,
}
PASTED = {"key_source": "jwks", "jwks_url": ...}
TENANT = "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90"
MICROSOFT = "https://login.microsoftonline.com"
ENTRA = {
    "preset": "entra-id",
    "issuer": f"{MICROSOFT}/{TENANT}/v2.0",
    "jwks_url": f"{MICROSOFT}/{TENANT}/discovery/v2.0/keys",
}
GITHUB = {
    "preset": "github-actions",
    "issuer": "https://token.actions.githubusercontent.com",
    "jwks_url": "https://token.actions.githubusercontent.com/.well-known/jwks",
}
CLUSTER = {"preset": "kubernetes", "issuer": "https://oidc.example.com/cluster-1"}
PRIVATE = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
NO_URLS = {"issuer": ..., "jwks_url": ...}


@dataclass(frozen=True)
class Mistake:
    """Fields that differ from the usual ones, and the answer; with a finding, it is saved, and refused without."""

    fields: Mapping[str, Any]
    answer: str
    finding: str = ""


def named(claim: str, value: str) -> list[dict[str, str]]:
    """Return a claim condition."""
    return [{"claim": claim, "operator": "equals", "value": value}]


MISTAKES: Mapping[str, Mistake] = {
    "a JWKS URL as issuer": Mistake(
        {"issuer": "https://ci.example.com/.well-known/jwks.json"},
        "This is a JWKS URL. Enter it as JWKS URL, and here the iss of the provider's tokens, which is probably "
        "https://ci.example.com.",
    ),
    "a JWKS URL of a known provider as issuer": Mistake(
        {"issuer": "https://sso.example.com/realms/main/protocol/openid-connect/certs"},
        "which is probably https://sso.example.com/realms/main.",
    ),
    "a discovery URL as issuer": Mistake(
        {"issuer": f"https://ci.example.com/tenant{OPENID}"},
        "This is the URL of a discovery document. Enter the issuer that the document names; its URL suggests "
        "https://ci.example.com/tenant.",
    ),
    "an inserted discovery URL as issuer": Mistake(
        {"issuer": "https://ci.example.com/.well-known/oauth-authorization-server/tenant"},
        "its URL suggests https://ci.example.com/tenant.",
    ),
    "an issuer without a scheme": Mistake(
        {"issuer": "ci.example.com"},
        "The issuer has no https://. Enter https://ci.example.com if tokens have this iss.",
    ),
    "an issuer with http": Mistake(
        {"issuer": "http://ci.example.com"},
        "The issuer begins with http://. Enter https://ci.example.com if tokens have this iss.",
    ),
    "a discovery document as JWKS URL": Mistake(
        {"jwks_url": f"https://ci.example.com{OPENID}"},
        "This is the URL of a discovery document. Enter the URL that the document names as jwks_uri.",
    ),
    "keys that cannot be reached": Mistake({}, "Its keys have never been fetched (1 attempt).", "key_fetch_failing"),
    "Entra ID without an audience": Mistake(
        {**ENTRA, "audiences": [], "claim_conditions": named("azp", TENANT)},
        "The accepted audience is Changegate's client ID, and Microsoft Entra ID issues no tokens for it. Enter the "
        "audience. Version 2: the client ID (a GUID) of the application that represents Changegate.",
        "impossible_audience",
    ),
    "Entra ID without a condition": Mistake(
        {**ENTRA, "claim_conditions": []},
        "Microsoft Entra ID signs for many workloads, and each that gets a token for this audience is accepted. Add a "
        "claim condition, best on tid or oid or azp or appid or roles.",
        "no_condition",
    ),
    "Kubernetes without a condition": Mistake(
        {**CLUSTER, "claim_conditions": []}, "Kubernetes signs for many workloads", "no_condition"
    ),
    "GitHub without a condition": Mistake(
        {**GITHUB, "claim_conditions": []}, "GitHub Actions signs for everybody under this issuer."
    ),
    "a name in place of GitHub's number": Mistake(
        {**GITHUB, "claim_conditions": named("repository_id", "acme/shop")},
        "repository_id is a number; acme/shop is not. gh api repos/OWNER/NAME --jq .id shows it.",
    ),
    "a name beside a number": Mistake(
        {**GITHUB, "claim_conditions": named("repository_owner_id", "42") + named("repository_id", "acme/shop")},
        "repository_id is a number; acme/shop is not.",
    ),
    "an unknown user": Mistake({"run_as": "release.bot"}, "There is no active user release.bot."),
    "an administrator": Mistake(
        {"run_as": "admin"},
        "act as admin, who may read and write every table, users and their passwords among them (role admin). Let the "
        "integrations run as an account that has only the required roles.",
        "account_administers",
    ),
    "an account that may not create": Mistake(
        {"run_as": "reader"},
        "It runs as reader, who may not create changes: each creation is refused. Give the account the role "
        "sn_change_write, or choose another account.",
        "run_as_may_not_create",
    ),
    "a review date in the past": Mistake(
        {"review_date": "2020-01-01"}, "Its review was due on 2020-01-01.", "review_overdue"
    ),
    "an audience with a space": Mistake(
        {"audiences": ["https://a b"]}, "The accepted audience https://a b contains a space", "audience_with_blanks"
    ),
    "a private key": Mistake({**PASTED, "jwks": PRIVATE}, "This is a private key."),
    "a cut-off key set": Mistake(
        {**PASTED, "jwks": '{"keys": [{"kty": "RSA", "n": "sX'}, "The key set is cut off or damaged at character "
    ),
    "a certificate as key set": Mistake(
        {**PASTED, "jwks": pem(certificate())}, "This is a certificate. Choose the key source Certificates."
    ),
    "a public key as key set": Mistake(
        {**PASTED, "jwks": "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"}, "This is PEM."
    ),
    "a URL as key set": Mistake(
        {**PASTED, "jwks": "https://ci.example.com/jwks"},
        "This is a URL. Choose the key source JWKS URL, and enter it there.",
    ),
    "a token as key set": Mistake({**PASTED, "jwks": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"}, "This is a token."),
    "a discovery document as key set": Mistake(
        {**PASTED, "jwks": '{"issuer": "https://ci.example.com", "jwks_uri": "https://ci.example.com/jwks"}'},
        "This is a discovery document.",
    ),
    "a cluster's issuer without https": Mistake(
        {
            **NO_URLS,
            "preset": "kubernetes",
            "place": "other",
            "placeholders": {"issuer_url": "oidc.example.com/cluster-1"},
        },
        "The issuer has no https://. Enter https://oidc.example.com/cluster-1.",
    ),
    "a domain as tenant": Mistake(
        {**NO_URLS, "preset": "entra-id", "placeholders": {"tenant_id": "contoso.onmicrosoft.com"}},
        "contoso.onmicrosoft.com is not a GUID. Enter the Directory (tenant) ID, which is a GUID, not the domain.",
    ),
    "a domain in the issuer": Mistake(
        {**ENTRA, "issuer": f"{MICROSOFT}/contoso.onmicrosoft.com/v2.0"},
        "contoso.onmicrosoft.com is a domain, and tokens have the ID of the directory in their issuer.",
    ),
    "the issuer of another preset": Mistake(
        {**ENTRA, "preset": "okta"}, "The issuer belongs to Microsoft Entra ID, not to Okta."
    ),
    "a name that is too long": Mistake({"name": "x" * 300}, "At most 100 characters."),
}


@pytest.fixture
def desk(app: Flask) -> Flask:
    """Return the application, with an account for automation and one that may only read."""
    with app.app_context():
        for user_name, roles in {"robot": ["sn_change_write"], "reader": ["sn_change_read"]}.items():
            create_user(user_name=user_name, password=None, email=None, name=None, roles=roles)
        db.session.commit()
    return app


@pytest.fixture
def visitor(desk: Flask) -> Visitor:
    """Return the administrator in the console."""
    found = Visitor(desk.test_client())
    found.sign_in("admin", ADMIN_PASSWORD)
    return found


@pytest.fixture
def api(desk: Flask) -> IntegrationApi:
    """Return the administrator at the admin API."""
    return IntegrationApi(desk.test_client(), basic("admin", ADMIN_PASSWORD))


Answer = tuple[bool, str]  # whether the integration was saved, and the text of the answer


def by_form(visitor: Visitor, fields: Mapping[str, Any]) -> Answer:
    page = visitor.open(FORM)
    changes = {name: text for field, value in fields.items() for name, text in typed(field, value).items()}
    if "placeholders" in fields:
        # The form fills in the issuer by a step before it is saved.
        fields_of_page = {"place": fields.get("place", ""), "step": "fill"}
        shown = visitor.client.post(
            FORM.removesuffix("form") + "edit",
            data={**changes, **fields_of_page, "csrf_token": token_of(page.text)},
        )
        return False, html.unescape(shown.text)
    sent = visitor.send(page, "integration", changes)
    is_saved = sent.status_code == 302
    shown = visitor.open(sent.headers["Location"]) if is_saved else sent
    return is_saved, html.unescape(shown.text)


def token_of(text: str) -> str:
    """Return the CSRF token of a page."""
    return text.partition('name="csrf_token" value="')[2].partition('"')[0]


def typed(name: str, value: Any) -> dict[str, str]:
    """Return the inputs of a field."""
    if name == "placeholders":
        return {f"placeholder-{key}": text for key, text in value.items()}
    if name == "claim_conditions":
        rows = enumerate([{"value_type": "string", **row} for row in value])
        return {f"{name}-{number}-{key}": text for number, row in rows for key, text in row.items()}
    if isinstance(value, list):
        return {name: "\r\n".join(value)}
    return {name: "on" if value is True else value}


def by_command(run: Run, fields: Mapping[str, Any], folder: Path) -> Answer:
    arguments = [text for name, value in fields.items() for text in options(name, value, folder)]
    ran = run("integration", "create", *arguments, "--json")
    if ran.code == 0:
        assert all(f"! {sentence}" in ran.err for sentence in json.loads(ran.out)["warnings"])
    return ran.code == 0, ran.err


def options(name: str, value: Any, folder: Path) -> list[str]:
    """Return the options of a field."""
    if name == "jwks":
        file = folder / "keys.json"
        file.write_text(value)
        return ["--jwks-file", str(file)]
    if name == "placeholders":
        return [text for key, given in value.items() for text in ("--placeholder", f"{key}={given}")]
    if name == "claim_conditions":
        texts = [f"{row['claim']} {row['operator']} {row['value']}" for row in value]
        return [part for text in texts for part in ("--claim-condition", text)]
    option = f"--{name}" if name in ("name", "place", "preset") else f"--{option_name(FIELDS_OF[JWT_BEARER][name])}"
    if value is True:
        return [option]
    return [part for text in (value if isinstance(value, list) else [value]) for part in (option, text)]


def by_file(run: Run, fields: Mapping[str, Any], folder: Path) -> Answer:
    file = folder / "integrations.yaml"
    file.write_text(json.dumps({"integrations": [fields]}))
    ran = run("integration", "apply", "-f", str(file), "--json")
    if ran.code == 0:
        [row] = json.loads(ran.out)
        assert all(f"! {row['name']}: {sentence}" in ran.err for sentence in row["warnings"])
    return ran.code == 0, ran.err


def by_api(api: IntegrationApi, fields: Mapping[str, Any]) -> Answer:
    response = api.send("POST", "", fields)
    assert response.status_code in (201, 400)
    answered = response.get_json()
    is_saved = response.status_code == 201
    return is_saved, " ".join(answered["warnings"]) if is_saved else answered["error"]["message"]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_or_stays_as_a_finding(
    mistake: Mistake, desk: Flask, visitor: Visitor, api: IntegrationApi, run_prepared: Run, tmp_path: Path
) -> None:
    ways: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
        "form": lambda fields: by_form(visitor, fields),
        "command line": lambda fields: by_command(run_prepared, fields, tmp_path),
        "file": lambda fields: by_file(run_prepared, fields, tmp_path),
        "admin API": lambda fields: by_api(api, fields),
    }
    for way, make in ways.items():
        given = {"name": f"By {way}", **USUAL, **mistake.fields}
        is_saved, text = make({name: value for name, value in given.items() if value is not ...})
        assert (way, is_saved) == (way, bool(mistake.finding)), text
        assert mistake.answer in text, f"{way}: {text}"
    with desk.app_context():
        assert len(list_integrations()) == (4 if mistake.finding else 0)
        codes = [finding.code for finding in assess(now(), presets).findings]
        # All four integrations share the account.
        of_each = 1 if mistake.finding == "account_administers" else 4
        assert codes.count(mistake.finding) == (of_each if mistake.finding else 0)


def test_a_stored_mistake_keeps_working_and_can_be_saved_with_other_changes(
    desk: Flask, visitor: Visitor, api: IntegrationApi, run_prepared: Run, tmp_path: Path
) -> None:
    fields = {"name": "Old", **USUAL}
    client_id = api.result("POST", "", fields)["client_id"]
    wrong = "https://ci.example.com/.well-known/jwks.json"
    with desk.app_context():
        db.session.execute(update(OAuthEntity).values(issuer=wrong))
        db.session.commit()
        assert "mistaken_value" in {finding.code for finding in assess(now(), presets).findings}

    page = visitor.open(f"/inbound-integrations/{client_id}")
    assert "This is a JWKS URL." in html.unescape(page.text)
    assert visitor.send(page, "integration", {"comments": "by form"}).status_code == 302
    assert run_prepared("integration", "update", client_id, "--comments", "by command").code == 0
    file = tmp_path / "integrations.yaml"
    file.write_text(json.dumps({"integrations": [{**fields, "issuer": wrong, "comments": "by file"}]}))
    assert run_prepared("integration", "apply", "-f", str(file)).code == 0
    changed = api.send("PATCH", f"/{client_id}", {"comments": "by API"})
    assert any(sentence.startswith("This is a JWKS URL.") for sentence in changed.get_json()["warnings"])
    assert "This is a JWKS URL." in api.refused(
        "PATCH", f"/{client_id}", {"issuer": "https://ci.example.com/other/.well-known/jwks.json"}
    )


def test_the_form_looks_up_the_issuer_of_any_url_of_a_provider(visitor: Visitor) -> None:
    with provider_site() as site:
        issuer = site.publish()
        for entered in (site.url + JWKS, issuer + OPENID):
            shown = step(visitor, "discover", issuer=entered)
            assert (shown["issuer"], shown["jwks_url"]) == (issuer, site.url + JWKS)
        site.documents.clear()
        page = send_step(visitor, "discover", issuer=site.url + JWKS)
        assert "This is a JWKS URL." in html.unescape(page)


def test_another_location_leaves_no_issuer_of_the_first(visitor: Visitor) -> None:
    first, other = (form.name for form in presets.PRESETS["entra-id"].issuers[:2])
    filled = {**ENTRA, "place": other, "name": "Directory", "provider_name": "Entra", "run_as": "robot"}
    text = html.unescape(send(visitor, "", **filled))
    assert "This is the issuer of the location" in text
    assert step(visitor, "preset", **filled)["issuer"] == ""
    assert step(visitor, "preset", **{**filled, "place": first})["issuer"] == ENTRA["issuer"]


def test_without_a_provider_its_settings_are_reset(visitor: Visitor) -> None:
    chosen = step(visitor, "preset", preset="keycloak", issuer="https://sso.example.com/realms/main")
    assert (chosen["max_assertion_lifetime_seconds"], chosen["provider_name"]) == ("900", "Keycloak")
    reset = step(visitor, "preset", **{**chosen, "preset": ""})
    assert (reset["max_assertion_lifetime_seconds"], reset["provider_name"], reset["issuer"]) == ("3600", "", "")
    bound = {"claim_conditions-0-claim": "azp", "claim_conditions-0-operator": "equals"}
    assert "claim_conditions-0-claim" not in step(visitor, "preset", preset="", **bound)


def test_the_form_cuts_no_name(visitor: Visitor) -> None:
    page = visitor.open(FORM).text
    assert "maxlength" not in page.partition('id="name"')[2].partition(">")[0]


def test_a_token_may_have_bearer_before_it(
    visitor: Visitor, api: IntegrationApi, run_prepared: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider_site() as site:
        issuer = site.publish()
        urls = {"issuer": issuer, "jwks_url": site.url + JWKS}
        client_id = api.result("POST", "", {**USUAL, **urls, "name": "Shop"})["client_id"]
        pasted = "Authorization: Bearer " + site.sign(issuer, project="shop", aud="https://change.example.com")
        assert api.result("POST", f"/{client_id}/try", {"assertion": pasted})["accepted"] is True
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(pasted.encode())))
        assert run_prepared("integration", "try", client_id).code == 0
        page = visitor.open(f"/inbound-integrations/{client_id}")
        form = {**dict(forms_of(page).forms["integration"]), "assertion": pasted}
        tried = visitor.client.post(f"/inbound-integrations/{client_id}/try-token", data=form)
        assert "It would be accepted" in html.unescape(tried.text)


def send(visitor: Visitor, path: str, **typed: str) -> str:
    """Send the form with some inputs filled in; answers the page."""
    page = visitor.open(FORM)
    token = {"csrf_token": token_of(page.text)}
    kept = {name: value for name, value in forms_of(page).forms["integration"].items(multi=False) if name not in typed}
    return visitor.client.post(FORM.removesuffix("/form") + path, data={**kept, **typed, **token}).text


def send_step(visitor: Visitor, word: str, **typed: str) -> str:
    """Take a step of the form; answers the page."""
    return send(visitor, "/edit", step=word, **typed)


def step(visitor: Visitor, word: str, **typed: str) -> dict[str, str]:
    """Take a step of the form; answers what it shows."""
    reader = FormReader()
    reader.feed(send_step(visitor, word, **typed))
    return dict(reader.forms["integration"].items(multi=False))
