"""The quick setup: the box, drafts, and what is saved."""

import logging
import re
from unittest import mock

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from sqlalchemy import select

from changegate.console.integrations import setup_views
from changegate.console.integrations.setup_form import SetupForm
from changegate.errors import InputInvalid, JwksFetchFailed
from changegate.extensions import db
from changegate.models import IntegrationDraft, OAuthEntity, SysUser
from changegate.private_keys import LEAKED
from changegate.schemas.presets import PRESETS
from changegate.services.integrations.integrations import list_integrations
from changegate.services.integrations.recognition import NOT_VERIFIED, Recognition
from changegate.services.integrations.saving import Registered
from changegate.services.keys.fetches import Fetches
from changegate.services.users.accounts import caller_of, create_user
from tests.conftest import BASE_URL, Clock
from tests.console.conftest import SignIn
from tests.console.visitor import Changes, Visitor, forms_of
from tests.support.certificates import certificate, pem
from tests.support.forge import ec_key, forge, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import reply
from tests.support.postponing import served
from tests.support.provider_site import JWKS, OPENID, ProviderSite

LIST = "/inbound-integrations"
NEW = f"{LIST}/new/jwt-bearer"
GITHUB = "https://token.actions.githubusercontent.com"
CLUSTER = "https://kubernetes.default.svc.cluster.local"
REMEDY = PRESETS["kubernetes"].keys_advice
ATTACK = "<script>alert(1)</script>\"'>"


@pytest.fixture
def issuer(site: ProviderSite) -> str:
    """Return the issuer of a site that publishes its keys."""
    return site.publish()


def paste(visitor: Visitor, text: str):
    """Paste a text into the box."""
    return visitor.send(visitor.open(NEW), "box", {"pasted": text})


def begin(visitor: Visitor, text: str) -> str:
    """Paste a text that leads to a draft, and return the path of the draft."""
    answer = paste(visitor, text)
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def save(visitor: Visitor, draft: str, changes: Changes | None = None):
    """Send the form of a draft with changes."""
    return visitor.send(visitor.open(draft), "setup", changes)


def integrations(app: Flask) -> list[OAuthEntity]:
    """Return all integrations, as they stand in the database."""
    with app.app_context():
        found = list_integrations()
        db.session.expunge_all()
        return found


def drafts(app: Flask) -> list[str]:
    """Return the contents of all drafts."""
    with app.app_context():
        return list(db.session.execute(select(IntegrationDraft.content)).scalars())


def test_a_jwks_url_and_two_clicks_make_an_integration(
    app: Flask, admin: Visitor, site: ProviderSite, issuer: str
) -> None:
    draft = begin(admin, site.url + JWKS)
    page = admin.open(draft)
    assert f"This is the JWKS URL of the issuer {issuer}" in page.text
    assert "2 usable keys: ES256, " in page.text
    host = issuer.removeprefix("http://")
    assert f"<strong>{host}</strong>" in page.text
    fetched = len(site.asked)
    saved = save(admin, draft, {"conditions-0-value": "repo:shop"})
    [entity] = integrations(app)
    assert saved.location == f"{LIST}/{entity.client_id}/run"
    # Once to test the keys before the integration is saved, and once to store them with it.
    assert site.asked[fetched:] == [JWKS, JWKS]
    assert (entity.name, entity.issuer, entity.jwks_url) == (host, issuer, site.url + JWKS)
    assert entity.public_client
    assert entity.client_secret_hash is None
    assert entity.audiences == [BASE_URL]
    [condition] = entity.claim_conditions
    assert (condition["claim"], condition["operator"], condition["value"]) == ("sub", "equals", "repo:shop")
    with app.app_context():
        user = db.session.get(SysUser, entity.run_as)
        assert user
        assert caller_of(user).roles == {"sn_change_write"}
        assert (user.user_password, user.web_service_access_only, user.sys_created_by) == (None, True, "admin")
    assert drafts(app) == []
    assert admin.open(draft).status_code == 404


def test_a_token_fills_in_the_claims_and_is_never_kept(
    app: Flask, admin: Visitor, site: ProviderSite, issuer: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.sign(issuer, repository="acme/shop", sha="c0ffee")
    with caplog.at_level(logging.DEBUG):
        answer = paste(admin, f"Bearer {token}")
        draft = str(answer.location)
        pages = [answer, admin.open(draft), admin.open(LIST), admin.open(f"{draft}/form"), save(admin, draft)]
    assert "The token was signed by one of these keys." in pages[1].text
    [content, *_] = [*drafts(app), *(entity.comments or "" for entity in integrations(app))]
    cookies = "".join(repr(cookie) for cookie in admin.client._cookies.values())
    everything = "".join(page.text + repr(page.headers) for page in pages) + content + cookies + caplog.text
    for segment in token.split("."):
        assert segment not in everything
    # Claims that differ in each token are not kept either.
    assert "one-of-a-kind" not in everything
    assert "c0ffee" not in everything
    assert integrations(app)[0].claim_conditions[0]["value"] == "repo:shop"


@pytest.mark.parametrize("kind", ["broken", "leads nowhere", "private key", "nonsense"])
def test_a_text_that_leads_nowhere_is_neither_shown_nor_stored(
    app: Flask, admin: Visitor, site: ProviderSite, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = {
        "broken": "Bearer eyJhbGciOiJub25lIn0.e30.c2VjcmV0c2VjcmV0",
        "leads nowhere": forge(None, b"c2VjcmV0c2VjcmV0"),
        "private key": '{"kty": "EC", "d": "c2VjcmV0c2VjcmV0"}',
        "nonsense": "c2VjcmV0c2VjcmV0",
    }
    with caplog.at_level(logging.DEBUG):
        answer = paste(admin, texts[kind])
    assert answer.status_code == 400
    assert (LEAKED in answer.text) == (kind == "private key")
    for secret in ("c2VjcmV0c2VjcmV0", texts[kind]):
        assert secret not in answer.text
        assert secret not in caplog.text
    assert drafts(app) == []


def test_a_url_that_leads_nowhere_can_be_corrected(admin: Visitor, site: ProviderSite) -> None:
    answer = paste(admin, f" {site.url}/jwks.json ")
    assert "it leads to no keys" in answer.text
    assert forms_of(answer).forms["box"]["pasted"] == f"{site.url}/jwks.json"


def test_a_token_of_an_ended_session_does_not_reach_the_login_page(
    admin: Visitor, site: ProviderSite, issuer: str, clock: Clock
) -> None:
    page = admin.open(NEW)
    clock.advance(hours=13)
    token = site.sign(issuer)
    answer = admin.send(page, "box", {"pasted": token})
    assert answer.status_code == 302
    for segment in token.split("."):
        assert segment not in answer.text + repr(answer.headers)


def test_the_issuer_of_a_token_is_named_plainly_and_its_claims_are_escaped(
    admin: Visitor, site: ProviderSite, issuer: str
) -> None:
    draft = begin(admin, site.sign(issuer, key="attacker", sub=ATTACK, role=ATTACK))
    page = admin.open(draft)
    assert f"<strong>{issuer.removeprefix('http://')}</strong>" in page.text
    assert "Unknown provider" in page.text
    assert "The signature could not be verified" in page.text
    assert "Its values below are unverified." in page.text
    assert ATTACK not in page.text


def test_a_token_of_a_host_that_the_guard_refuses_is_not_fetched(app: Flask, admin: Visitor) -> None:
    answer = paste(admin, forge(None, {"iss": "http://169.254.169.254/latest", "sub": "x"}))
    page = admin.open(str(answer.location))
    assert "<strong>169.254.169.254</strong>" in page.text
    saved = save(admin, str(answer.location), {"jwks": "http://169.254.169.254/keys"})
    assert saved.status_code == 400
    assert integrations(app) == []


def test_drafts_belong_to_one_user(app: Flask, admin: Visitor, sign_in: SignIn, issuer: str) -> None:
    draft = begin(admin, issuer)
    other = sign_in("olga", "admin")
    for path in (draft, f"{draft}/form"):
        assert other.open(path).status_code == 404
    fields = forms_of(admin.open(draft)).forms["setup"].to_dict()
    fields["csrf_token"] = forms_of(other.open(NEW)).forms["box"]["csrf_token"]
    for path in (draft, f"{draft}/keep", f"{draft}/edit", f"{draft}/discard"):
        assert other.client.post(path, data=fields).status_code == 404
    assert "Continue:" not in other.open(LIST).text
    assert admin.open(draft).status_code == 200
    assert integrations(app) == []


def test_a_draft_is_left_resumed_and_discarded(app: Flask, admin: Visitor, issuer: str) -> None:
    draft = begin(admin, issuer)
    page = admin.open(draft)
    kept = forms_of(page).forms["setup"].to_dict()
    kept.update({"name": "Shop pipeline", "conditions-0-value": "repo:shop", "is_for_all": "on"})
    answer = admin.client.post(f"{draft}/keep", data=kept)
    assert answer.location == LIST
    listed = admin.open(LIST)
    assert f'<a href="{draft}">Continue: Shop pipeline</a>' in listed.text
    resumed = forms_of(admin.open(draft)).forms["setup"]
    assert (resumed["name"], resumed["conditions-0-value"], resumed["is_for_all"]) == (
        "Shop pipeline",
        "repo:shop",
        "on",
    )
    assert admin.send(listed, f"{draft}/discard").location == LIST
    assert drafts(app) == []
    assert "Continue:" not in admin.open(LIST).text


def test_a_draft_ends_after_a_week(admin: Visitor, issuer: str, clock: Clock) -> None:
    draft = begin(admin, issuer)
    clock.advance(days=7, seconds=1)
    admin.sign_in("admin", "correct horse battery")
    assert admin.open(draft).status_code == 404


def test_the_full_form_takes_the_values_of_a_draft_and_ends_it(app: Flask, admin: Visitor, issuer: str) -> None:
    draft = begin(admin, issuer)
    fields = forms_of(admin.open(draft)).forms["setup"].to_dict()
    fields.update({"step": "full", "conditions-0-value": "repo:shop", "account": "existing", "run_as": "admin"})
    answer = admin.client.post(f"{draft}/keep", data=fields)
    assert answer.location == f"{draft}/form"
    page = admin.open(f"{draft}/form")
    form = forms_of(page).forms["integration"]
    assert (form["issuer"], form["audiences"], form["run_as"]) == (issuer, BASE_URL, "admin")
    assert (form["claim_conditions-0-claim"], form["claim_conditions-0-value"]) == ("sub", "repo:shop")
    assert form["public_client"] == "on"
    edited = admin.client.post(f"{NEW}/edit", data={**form.to_dict(), "step": "add claim_conditions"})
    assert forms_of(edited).forms["integration"]["draft"] == draft.rpartition("/")[2]
    saved = admin.send(page, "integration", {"comments": "From the full form"})
    [entity] = integrations(app)
    assert saved.location == f"{LIST}/{entity.client_id}"
    assert entity.comments == "From the full form"
    assert drafts(app) == []


def test_the_full_form_cannot_end_the_draft_of_another_user(
    app: Flask, admin: Visitor, sign_in: SignIn, issuer: str
) -> None:
    draft = begin(admin, issuer)
    other = sign_in("olga", "admin")
    page = other.open(f"{NEW}/form")
    typed: Changes = {
        **{"name": "Mine", "provider_name": "Mine", "issuer": issuer, "jwks_url": f"{issuer}{JWKS}"},
        **{"run_as": "admin", "draft": draft.rpartition("/")[2]},
    }
    assert other.send(page, "integration", typed).status_code == 302
    assert len(drafts(app)) == 1


def test_all_errors_are_listed_at_once_with_links_to_their_fields(
    app: Flask, admin: Visitor, site: ProviderSite
) -> None:
    document = key_set_document(jwk(rsa_key())).decode()
    draft = begin(admin, document)
    changes: Changes = {
        **{"account": "existing", "run_as": "nobody.there", "audience_choice": "other", "audience": ""},
        **{"name": "x" * 101, "provider_name": "", "issuer": ""},
        **{"conditions-1-claim": "/a//b", "conditions-1-value": "x"},
    }
    page = save(admin, draft, changes)
    assert page.status_code == 400
    links = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>: ([^<]+)</li>', page.text)
    assert {target for target, _, _ in links} == {
        *("run_as", "audience", "name", "provider_name", "issuer", "conditions-1-claim")
    }
    for target, label, _ in links:
        assert f'id="{target}"' in page.text
        assert label != "Form"
    assert 'tabindex="-1" autofocus' in page.text
    # Nothing typed is lost, also after leaving.
    again = forms_of(admin.open(draft)).forms["setup"]
    assert (again["run_as"], again["conditions-1-claim"]) == ("nobody.there", "/a//b")
    assert integrations(app) == []


def test_a_condition_is_demanded_or_waived(app: Flask, admin: Visitor, issuer: str) -> None:
    draft = begin(admin, issuer)
    page = save(admin, draft)
    assert page.status_code == 400
    assert "so that not every token of this issuer is accepted" in page.text
    assert save(admin, draft, {"is_for_all": "on"}).status_code == 303
    assert integrations(app)[0].claim_conditions == []


def test_a_shared_issuer_demands_one_of_its_claims(app: Flask, admin: Visitor, site: ProviderSite) -> None:
    site.publish()
    # The keys are on loopback; the issuer is GitHub's.
    document = site.documents[JWKS].decode()
    draft = begin(admin, document)
    typed: Changes = {"issuer": GITHUB, "conditions-0-value": "repo:acme/shop:ref:refs/heads/main"}
    page = save(admin, draft, typed)
    assert page.status_code == 400
    assert "GitHub Actions signs for everybody under this issuer" in page.text
    assert "is_for_all" not in forms_of(admin.open(draft)).forms["setup"]
    assert 'name="is_for_all"' not in admin.open(draft).text
    typed = {"issuer": GITHUB, "conditions-1-claim": "repository_id", "conditions-1-value": "42"}
    assert save(admin, draft, typed).status_code == 303
    [entity] = integrations(app)
    assert entity.preset == "github-actions"
    assert entity.max_assertion_lifetime_seconds == 900


def test_the_claims_of_a_known_provider_are_proposed(app: Flask) -> None:
    claims = {"iss": GITHUB, "sub": "repo:acme/shop", "aud": "https://github.com/acme", "repository_id": "42"}
    fields = {"issuer": GITHUB, "preset": "github-actions"}
    with app.test_request_context():
        recognition = Recognition("token", "", fields, claims={**claims, "run_id": 1})
        form = SetupForm.proposed(recognition, may_create_account=True)
    rows = {row["claim"]: row["is_used"] for row in form.values["conditions"]}
    assert rows == {"repository_id": True, "sub": False, "": False}
    assert "run_id" not in form.recognition.claims
    assert form.values["name"] == "GitHub Actions"
    assert form.values["new_account"] == "github-actions.bot"


@pytest.fixture
def no_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no issuer be reached, as where it has a name of the cluster only."""
    failure = mock.Mock(side_effect=JwksFetchFailed("The server could not be reached."))
    for name in ("discover", "discover_at"):
        monkeypatch.setattr(Fetches, name, failure)


def test_a_search_is_waited_for_without_a_thread(app: Flask, admin: Visitor, site: ProviderSite) -> None:
    issuer = site.publish()
    server = served(app)
    assert issuer in admin.open(begin(admin, f"{site.url}{JWKS}")).text
    assert (site.asked, server.postponed) == ([JWKS, OPENID], 1)


def recognize_again(visitor: Visitor, draft: str, changes: dict[str, str]):
    """Send the form of a draft with changes, to have an issuer or keys recognized."""
    sent = forms_of(visitor.open(draft)).forms["setup"].to_dict()
    return visitor.client.post(f"{draft}/recognize", data={**sent, **changes})


@pytest.mark.usefixtures("no_discovery")
def test_keys_that_cannot_be_fetched_are_pasted(app: Flask, admin: Visitor, site: ProviderSite) -> None:
    site.publish()
    draft = begin(admin, site.sign(CLUSTER, sub="system:serviceaccount:deploy:release", jti=...))
    page = admin.open(draft)
    for text in ("The server could not be reached.", REMEDY, "Paste the key set (or its JWKS URL)"):
        assert text in page.text
    assert "The pasted token is not kept, so its signature cannot be verified" in page.text
    refused = save(admin, draft)
    assert refused.status_code == 400
    assert f'<a href="#jwks">Key set</a>: {REMEDY}' in refused.text
    assert "field is required" not in refused.text
    shown = recognize_again(admin, draft, {"step": "keys", "jwks": site.documents[JWKS].decode(), "name": "Mine"})
    assert shown.status_code == 200
    for text in (f"The issuer is {CLUSTER}. This is a key set.", "2 usable keys", NOT_VERIFIED):
        assert text in shown.text
    assert REMEDY not in shown.text.partition("things to watch out for")[0]
    assert 'name="jwks"' not in shown.text
    # The answers are kept.
    assert forms_of(admin.open(draft)).forms["setup"]["name"] == "Mine"
    assert save(admin, draft).status_code == 303
    [entity] = integrations(app)
    assert (entity.name, entity.issuer, entity.key_source) == ("Mine", CLUSTER, "jwks")
    assert (entity.preset, entity.replay_policy) == ("kubernetes", "reusable-until-exp")
    assert entity.claim_conditions[0]["value"] == "system:serviceaccount:deploy:release"


def test_the_jwks_url_of_an_issuer_without_discovery_is_pasted_and_saved_at_once(
    app: Flask, admin: Visitor, site: ProviderSite
) -> None:
    site.publish()
    issuer = f"{site.url}/no-discovery"
    draft = begin(admin, site.sign(issuer))
    assert save(admin, draft, {"jwks": site.url + JWKS}).status_code == 303
    [entity] = integrations(app)
    assert (entity.issuer, entity.jwks_url) == (issuer, site.url + JWKS)


def test_keys_of_another_issuer_are_named(admin: Visitor, site: ProviderSite, issuer: str) -> None:
    draft = begin(admin, site.sign(f"{issuer}/no-discovery"))
    shown = recognize_again(admin, draft, {"step": "keys", "jwks": issuer})
    assert f"These keys are those of another issuer, {issuer}." in shown.text


def test_keys_can_be_pasted_after_the_fresh_test_failed(
    app: Flask, admin: Visitor, site: ProviderSite, issuer: str
) -> None:
    document = site.documents[JWKS].decode()
    draft = begin(admin, issuer)
    assert 'name="jwks"' not in admin.open(draft).text
    site.server.answer = reply(b"no", 503)
    page = save(admin, draft, {"conditions-0-value": "x"})
    assert "The keys cannot be used at the moment" in page.text
    assert admin.send(page, "setup", {"jwks": document}).status_code == 303
    [entity] = integrations(app)
    assert (entity.key_source, entity.jwks_url) == ("jwks", "")


@pytest.mark.usefixtures("no_discovery")
@pytest.mark.parametrize("path", ["", "/keep", "/recognize"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kty": "EC", "d": "c2VjcmV0c2VjcmV0"}', LEAKED),
        ('{"keys": [{"kty": "XX"}]}', "usable"),
        ("c2VjcmV0c2VjcmV0", "The text was not recognized."),
    ],
)
def test_text_without_keys_is_refused_at_its_field(
    app: Flask, admin: Visitor, site: ProviderSite, path: str, text: str, message: str
) -> None:
    draft = begin(admin, site.sign(CLUSTER))
    sent = forms_of(admin.open(draft)).forms["setup"].to_dict() | {"jwks": text, "provider_name": "Kept"}
    answer = admin.client.post(f"{draft}{path}", data=sent)
    assert answer.status_code == 400
    [error] = re.findall(r'id="jwks-error-1">(.*)</p>', answer.text)
    assert message in error
    # Only saving is something that can fail to be done.
    assert ("Not saved. " in answer.text) == (path == "")
    assert "c2VjcmV0" not in answer.text + drafts(app)[0]
    assert forms_of(admin.open(draft)).forms["setup"]["provider_name"] == "Kept"


def test_the_test_of_keys_needs_a_text(admin: Visitor, site: ProviderSite) -> None:
    draft = begin(admin, site.sign(f"{site.url}/no-discovery"))
    answer = recognize_again(admin, draft, {"step": "keys"})
    assert answer.status_code == 400
    assert 'id="jwks-error-1"' in answer.text


def test_an_entered_issuer_selects_its_provider(app: Flask, admin: Visitor, site: ProviderSite) -> None:
    draft = begin(admin, key_set_document(jwk(ec_key(), "ec-1", alg="ES256")).decode())
    assert "The issuer is unknown." in admin.open(draft).text
    typed = {
        **{"issuer": CLUSTER, "conditions-0-value": "system:serviceaccount:deploy:release"},
        **{"account": "existing", "run_as": "admin", "audience_choice": "other", "audience": "api://changegate"},
    }
    page = recognize_again(admin, draft, typed)
    assert page.status_code == 200
    assert '<span class="pill pill-good">Kubernetes</span>' in page.text
    assert "The issuer is unknown." not in page.text
    form = forms_of(admin.open(draft)).forms["setup"]
    assert (form["name"], form["provider_name"], form["new_account"]) == ("Kubernetes", "Kubernetes", "kubernetes.bot")
    assert [form[f"conditions-{number}-claim"] for number in range(3)] == [
        *("sub", "/kubernetes.io/serviceaccount/uid", "")
    ]
    assert {name: form[name] for name in typed} == typed
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', save(admin, draft).text)
    assert confirmed
    saved = save(admin, draft, {"confirmed": confirmed[1]})
    [entity] = integrations(app)
    assert (entity.preset, entity.replay_policy) == ("kubernetes", "reusable-until-exp")
    # The algorithms of the preset would refuse every token of these keys.
    assert entity.algorithms == ["ES256"]
    assert "serviceAccountToken" in admin.open(str(saved.location)).text
    assert site.asked == []


def test_an_entered_issuer_changes_no_answer_that_was_entered_before(admin: Visitor) -> None:
    draft = begin(admin, key_set_document(jwk(rsa_key())).decode())
    typed = {"issuer": CLUSTER, "name": "Mine", "provider_name": "Our cluster", "new_account": "mine.bot"}
    recognize_again(admin, draft, typed | {"conditions-1-claim": "team", "conditions-1-value": "shop"})
    recognize_again(admin, draft, {"issuer": GITHUB})
    form = forms_of(admin.open(draft)).forms["setup"]
    assert {name: form[name] for name in typed} == typed | {"issuer": GITHUB}
    claims = [text for name, text in form.items() if re.fullmatch(r"conditions-\d+-claim", name)]
    assert claims[0] == "team"
    assert "repository_id" in claims
    assert "/kubernetes.io/serviceaccount/uid" not in claims


def test_keys_that_cannot_be_fetched_ask_once_more(app: Flask, admin: Visitor, site: ProviderSite, issuer: str) -> None:
    draft = begin(admin, issuer)
    site.server.answer = reply(b"no", 503)
    page = save(admin, draft, {"conditions-0-value": "x"})
    assert page.status_code == 200
    assert "The keys cannot be used at the moment: The server answered with status 503" in page.text
    assert integrations(app) == []
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page.text)
    assert confirmed
    assert admin.send(page, "setup", {"confirmed": "something else"}).status_code == 200
    assert admin.send(page, "setup", {"confirmed": confirmed[1]}).status_code == 303
    assert len(integrations(app)) == 1


def test_accounts_that_are_better_not_used_ask_once_more(app: Flask, admin: Visitor, issuer: str) -> None:
    with app.app_context():
        create_user(user_name="reader", password=None, email=None, name=None, roles=[])
        create_user(user_name="writer", password=None, email=None, name=None, roles=["itil"])
        db.session.commit()
    draft = begin(admin, issuer)
    typed: Changes = {"account": "existing", "conditions-0-value": "x"}
    assert "is an administrator" in save(admin, draft, {**typed, "run_as": "Admin"}).text
    assert "reader may not create changes" in save(admin, draft, {**typed, "run_as": "reader"}).text
    assert save(admin, draft, {**typed, "run_as": "writer"}).status_code == 303


def test_only_administrators_create_accounts(app: Flask, sign_in: SignIn, issuer: str) -> None:
    person = sign_in("oauth.admin", "oauth_admin")
    draft = begin(person, issuer)
    page = person.open(draft)
    assert 'value="created"' not in page.text
    typed: Changes = {"conditions-0-value": "x", "account": "created", "new_account": "mine.bot"}
    refused = person.send(page, "setup", typed)
    assert refused.status_code == 400
    assert "Only an administrator can create accounts" in refused.text
    as_admin = person.send(page, "setup", {**typed, "account": "existing", "run_as": "admin"})
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', as_admin.text)
    assert confirmed
    denied = person.send(as_admin, "setup", {"confirmed": confirmed[1]})
    assert denied.status_code == 403
    assert integrations(app) == []
    with app.app_context():
        assert not db.session.execute(select(SysUser).filter_by(user_name="mine.bot")).first()


@pytest.mark.parametrize(
    ("user_name", "message"),
    [("admin", "There is a user admin already."), ("", "printable characters"), ("a:b", "no colon")],
)
def test_an_account_gets_a_sound_name(app: Flask, admin: Visitor, issuer: str, user_name: str, message: str) -> None:
    draft = begin(admin, issuer)
    page = save(admin, draft, {"conditions-0-value": "x", "new_account": user_name})
    assert page.status_code == 400
    assert message in page.text


def test_a_refused_integration_leaves_no_account(app: Flask, admin: Visitor, issuer: str) -> None:
    draft = begin(admin, issuer)
    changes: Changes = {"conditions-0-value": "x", "new_account": "left.bot", "name": "x" * 101}
    assert save(admin, draft, changes).status_code == 400
    with app.app_context():
        assert not db.session.execute(select(SysUser).filter_by(user_name="left.bot")).first()


def test_names_are_generated_and_unique(app: Flask, admin: Visitor, issuer: str, integration: Registered) -> None:
    for number in (1, 2):
        draft = begin(admin, issuer)
        assert save(admin, draft, {"conditions-0-value": str(number)}).status_code == 303
    host = issuer.removeprefix("http://")
    assert {entity.name for entity in integrations(app)} == {host, f"{host} 2", integration.entity.name}
    draft = begin(admin, issuer)
    refused = save(admin, draft, {"conditions-0-value": "3", "name": host.upper()})
    assert "already" in refused.text


def test_the_audience_of_the_token_can_be_chosen(app: Flask, admin: Visitor, site: ProviderSite, issuer: str) -> None:
    draft = begin(admin, site.sign(issuer, aud="api://changegate"))
    assert "The pasted token is not for the address of this server." in admin.open(draft).text
    assert save(admin, draft, {"audience_choice": "token"}).status_code == 303
    assert integrations(app)[0].audiences == ["api://changegate"]
    matching = begin(admin, site.sign(issuer, aud=[BASE_URL]))
    text = admin.open(matching).text
    assert "The pasted token is for this server." in text
    assert 'value="token"' not in text, "the same audience is offered once"
    both = begin(admin, site.sign(issuer, aud=[BASE_URL, "api://changegate"]))
    assert "The pasted token is for other services, too." in admin.open(both).text


@pytest.mark.parametrize("field", ["audience_choice", "account"])
def test_choices_that_are_not_offered_change_nothing(app: Flask, admin: Visitor, issuer: str, field: str) -> None:
    draft = begin(admin, issuer)
    saved = save(admin, draft, {"conditions-0-value": "x", field: "dance"})
    assert saved.status_code == 303
    assert integrations(app)[0].audiences == [BASE_URL]


def test_pasted_keys_and_certificates_are_saved(app: Flask, admin: Visitor, site: ProviderSite) -> None:
    public = ec_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text, source in ((public, "jwks"), (pem(certificate(rsa_key())), "certificates")):
        draft = begin(admin, text)
        saved = save(admin, draft, {"issuer": "https://idp.example.com", "conditions-0-value": "x"})
        assert saved.status_code == 303, saved.text
        assert admin.open(str(saved.location)).status_code == 200
        assert source in [entity.key_source for entity in integrations(app)]
    assert site.asked == []


def test_a_form_of_an_ended_session_is_filled_in_again(admin: Visitor, issuer: str, clock: Clock) -> None:
    draft = begin(admin, issuer)
    page = admin.open(draft)
    clock.advance(hours=13)
    login = admin.send(page, "setup", {"name": "Kept name"})
    assert login.status_code == 403
    shown = admin.send(login, "/login", {"user_name": "admin", "password": "correct horse battery"})
    assert forms_of(shown).forms["setup"]["name"] == "Kept name"


def test_the_tabs_lead_to_each_other(admin: Visitor, issuer: str) -> None:
    box = admin.open(NEW)
    for page in (box, paste(admin, "hello"), admin.open(begin(admin, issuer))):
        assert f'<a href="{LIST}" aria-current="page"' in page.text
    assert f'<a href="{NEW}" aria-current="page">Quick setup</a>' in box.text
    full = admin.open(f"{NEW}/form")
    assert f'<a href="{NEW}/form" aria-current="page">Full form</a>' in full.text
    assert "Quick setup" not in admin.open(f"{LIST}/new/id-token").text
    assert "Quick setup" not in admin.open(f"{LIST}/new/password").text


def test_entra_does_not_propose_an_audience_that_it_cannot_issue(admin: Visitor, app: Flask) -> None:
    fields = {"issuer": "https://login.microsoftonline.com/x/v2.0", "preset": "entra-id"}
    with app.test_request_context():
        without = SetupForm.proposed(Recognition("issuer", "", fields), may_create_account=True)
        with_token = SetupForm.proposed(
            Recognition("token", "", fields, audiences=("1234",), claims={"sub": "x"}), may_create_account=True
        )
    assert without.audiences == []
    assert with_token.audiences == ["1234"]


def test_the_box_is_bounded(admin: Visitor, app: Flask) -> None:
    assert paste(admin, "{" * 100_001).status_code == 400
    assert paste(admin, '{"keys": [' + "[" * 50_000).status_code == 400
    assert drafts(app) == []


def test_a_draft_with_too_many_answers_is_refused(admin: Visitor, issuer: str, app: Flask) -> None:
    draft = begin(admin, issuer)
    fields = forms_of(admin.open(draft)).forms["setup"].to_dict()
    fields.update({f"conditions-{number}-value": "x" * 9000 for number in range(40)})
    for path in (draft, f"{draft}/keep"):
        answer = admin.client.post(path, data=fields)
        assert answer.status_code == 400
    assert sum(map(len, drafts(app))) < 10_000


def test_the_discovery_document_of_another_issuer_is_refused(admin: Visitor, site: ProviderSite) -> None:
    site.publish(issuer=GITHUB)
    answer = paste(admin, site.url + OPENID)
    assert answer.status_code == 400
    assert "which publishes elsewhere" in answer.text


def test_the_full_form_links_each_error_to_its_field(admin: Visitor) -> None:
    page = admin.open(f"{NEW}/form")
    empty: Changes = {
        name: "" for name in forms_of(page).forms["integration"] if name not in {"csrf_token", "key_source"}
    }
    wrong: Changes = {
        **{
            "algorithms": ["XX"],
            "scopes": ["y" * 101],
            "claim_conditions-0-claim": "a",
            "claim_conditions-0-value": "",
        },
        **{"preset": "none", "audiences": "a b\x01", "creations_per_hour": "x", "review_date": "x", "owner": "z" * 50},
    }
    refused = admin.send(page, "integration", {**empty, **wrong})
    assert refused.status_code == 400
    links = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>', refused.text)
    assert len(links) >= 10
    assert "run_as" in dict(links)
    for target, label in links:
        assert f'id="{target}"' in refused.text, target
        assert label != "Form", target


def test_the_second_of_two_clicks_on_save_makes_nothing(
    app: Flask, admin: Visitor, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = begin(admin, issuer)
    page = admin.open(draft)
    typed: Changes = {"conditions-0-value": "repo:shop"}

    def saved_meanwhile(form: SetupForm) -> None:
        monkeypatch.undo()
        assert admin.send(page, "setup", typed).status_code == 303

    monkeypatch.setattr(setup_views, "_test_keys", saved_meanwhile)
    second = admin.send(page, "setup", typed)
    assert (second.status_code, second.location) == (303, LIST)
    assert len(integrations(app)) == 1


def test_a_key_set_that_makes_the_draft_too_long_is_refused(app: Flask, admin: Visitor) -> None:
    document = key_set_document(jwk(rsa_key())).decode().removesuffix("}") + ', "x": "' + '\\"' * 49_760 + '"}'
    assert len(document) <= 100_000
    page = paste(admin, document)
    assert page.status_code == 400
    assert "The draft is longer than" in page.text
    assert drafts(app) == []


def test_errors_of_saving_are_shown_at_the_answers(
    app: Flask, admin: Visitor, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another administrator changes after the check is refused by the service, and then shown here."""
    draft = begin(admin, issuer)
    refused = {"run_as": ["Too late."], "jwks_url": ["Not this one."], "audiences": ["Nor this."]}
    monkeypatch.setattr(setup_views, "register_integration", mock.Mock(side_effect=InputInvalid(refused)))
    page = save(admin, draft, {"conditions-0-value": "x"})
    assert page.status_code == 400
    for target in ("new_account", "keys", "audience"):
        assert f'<li><a href="#{target}">' in page.text
        assert f'id="{target}"' in page.text


def test_an_existing_account_has_to_be_entered(admin: Visitor, issuer: str) -> None:
    page = save(admin, begin(admin, issuer), {"conditions-0-value": "x", "account": "existing"})
    assert "Enter the user ID of the account, or create one." in page.text
