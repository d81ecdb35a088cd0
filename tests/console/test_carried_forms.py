"""Forms across an expired session: all input is kept, and nothing is saved without another click."""

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from changegate.console.carried_forms import FORMS, MOST_BYTES
from changegate.extensions import db
from changegate.models import OAuthEntity, SysAuthScope
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import Registered
from tests.conftest import Clock
from tests.console.conftest import PASSWORD, SignIn
from tests.console.visitor import Changes, Visitor, forms_of
from tests.guards.audiences import list_endpoints

NEW = "/inbound-integrations/new/jwt-bearer"
FORM = f"{NEW}/form"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
SCOPE: Changes = {"name": "deploy", "rules-0-http_method": "PATCH", "rules-0-table": "change_request"}
# What acts at once and has no form to lose: the user returns to the page and nothing is done.
BUTTONS = {
    "account_links.use_view",
    "assignments.assign_view",
    "assignments.remove_view",
    "forgotten_password.send_view",
    "people.link_view",
    "people.sign_out_view",
    "people.step_view",
    "preferences.email_view",
    "preferences.end_session_view",
    "preferences.password_view",
    "calendar.create_feed_view",
    "calendar.revoke_feed_view",
    "change_files.delete_view",
    "change_files.upload_view",
    "approvals.answer_view",
    "change_requests.add_item_view",
    "change_requests.comment_view",
    "change_requests.move_view",
    "change_requests.watch_view",
    "delegations.end_view",
    "my_approvals.answer_view",
    "notifications.read_all_view",
    "notifications.read_view",
    "notifications.save_settings_view",
    "record_pages.delete_view",
    "records.bulk_view",
    "records.columns_view",
    "records.delete_filter_view",
    "records.filter_view",
    "records.save_filter_view",
    "identity_providers.check_view",
    "sign_on_links.link_view",
    "single_sign_on.start_view",
    "sign_in.logout_view",
    "sign_in.logout_everywhere_view",
    "sign_in.sign_in_view",
    "inbound_integrations.enable_view",
    "inbound_integrations.disable_view",
    "inbound_integrations.rotate_secret_view",
    "integration_keys.refresh_view",
    "integration_keys.block_view",
    "integration_keys.unblock_view",
    "integration_tabs.delete_view",
    "quick_setup.recognize_view",
    "quick_setup.discard_view",
    "token_events.constrain_view",
    "auth_scopes.delete_view",
    "manage_tokens.revoke_view",
    "manage_tokens.revoke_refresh_token_view",
    "manage_tokens.revoke_all_view",
}
End = Callable[[Visitor], None]


@pytest.fixture(params=["expired", "logged out", "signed in again"])
def end(request: pytest.FixtureRequest, clock: Clock) -> End:
    """End the session of a visitor; the last of the ways is that another tab has a new one."""

    def ended(visitor: Visitor) -> None:
        if request.param == "expired":
            clock.advance(hours=13)
            return
        visitor.send(visitor.open("/"), "/logout")
        if request.param == "signed in again":
            visitor.sign_in("admin", PASSWORD)

    return ended


def sent_again(visitor: Visitor, answer: TestResponse) -> TestResponse:
    """Log in where the answer asks for it, and return the page that shows the form again."""
    if "/login" in forms_of(answer).forms:
        assert answer.status_code == 403
        assert "Nothing was saved" in answer.text
        answer = visitor.send(answer, "/login", {"user_name": "admin", "password": PASSWORD})
    assert answer.status_code == 200, (answer.status_code, answer.location)
    assert "Nothing is saved yet" in answer.text
    return answer


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.query(model).count()


def test_a_new_integration_is_saved_by_the_second_save_with_all_its_rows(app: Flask, admin: Visitor, end: End) -> None:
    typed: Changes = {
        "name": "Pipeline <b>",
        "provider_name": "Example CI",
        "issuer": "https://ci.example.com",
        "audiences": "one\r\ntwo",
        "run_as": "admin",
        "jwks_url": "https://ci.example.com/jwks.json",
        "comments": "line one\r\nline two",
        "scopes": ["change_request.create", "change_request.read"],
        "claim_conditions-0-claim": "repository",
        "claim_conditions-0-operator": "equals",
        "claim_conditions-0-value_type": "string",
        "claim_conditions-0-value": 'acme/"shop"',
        "claim_conditions-3-claim": "ref",
        "claim_conditions-3-operator": "one_of",
        "claim_conditions-3-value_type": "string",
        "claim_conditions-3-value": "main\r\nrelease",
        "claim_conditions-3-report_only": "on",
        "public_client": "on",
        "assertion": JWT,
    }
    page = admin.open(FORM)
    end(admin)
    answer = admin.send(page, "integration", typed)
    assert JWT not in answer.text
    shown = sent_again(admin, answer)
    assert count(app, OAuthEntity) == 0
    assert JWT not in shown.text
    fields = forms_of(shown).forms["integration"]
    assert (fields["name"], fields["audiences"].split()) == ("Pipeline <b>", ["one", "two"])
    assert fields.getlist("scopes") == ["change_request.create", "change_request.read"]
    saved = admin.send(shown, "integration")
    assert saved.status_code == 302, saved.text
    with app.app_context():
        entity = db.session.query(OAuthEntity).one()
        assert entity.name == "Pipeline <b>"
        assert entity.public_client
        assert [row["claim"] for row in entity.claim_conditions or ()] == ["repository", "ref"]
        assert [row["report_only"] for row in entity.claim_conditions or ()] == [False, True]


@pytest.mark.parametrize("button", ["", "/edit", "/check-conditions", "/try-token", "/test-connection"])
def test_an_integration_is_shown_as_typed_whatever_button_was_pressed(
    app: Flask, admin: Visitor, integration: Registered, end: End, button: str
) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    page = admin.open(path)
    end(admin)
    fields = forms_of(page).forms["integration"].copy()
    fields["comments"], fields["step"] = "typed for an hour", "add claim_conditions"
    answer = admin.client.post(path + button, data=fields)
    shown = sent_again(admin, answer)
    again = forms_of(shown).forms["integration"]
    assert again["comments"] == "typed for an hour"
    assert not [name for name in again if name.startswith("claim_conditions-")]
    with app.app_context():
        assert get_integration(integration.entity.client_id).comments is None
    assert admin.send(shown, "integration").status_code == 302
    with app.app_context():
        assert get_integration(integration.entity.client_id).comments == "typed for an hour"


@pytest.mark.parametrize("connection_type", ["client-credentials", "id-token"])
def test_every_connection_type_is_shown_again(admin: Visitor, end: End, connection_type: str) -> None:
    page = admin.open(f"/inbound-integrations/new/{connection_type}")
    end(admin)
    shown = sent_again(admin, admin.send(page, "integration", {"name": "Typed"}))
    assert forms_of(shown).forms["integration"]["name"] == "Typed"


def test_a_scope_is_saved_by_the_second_save(app: Flask, admin: Visitor, end: End) -> None:
    page = admin.open("/auth-scopes/new")
    before = count(app, SysAuthScope)
    end(admin)
    shown = sent_again(admin, admin.send(page, "auth-scope", SCOPE))
    assert count(app, SysAuthScope) == before
    assert admin.send(shown, "auth-scope").status_code == 302
    assert count(app, SysAuthScope) == before + 1


def test_preferences_are_saved_by_the_second_save(admin: Visitor, end: End) -> None:
    page = admin.open("/preferences")
    end(admin)
    shown = sent_again(admin, admin.send(page, "preferences", {"time_zone": "Europe/Berlin"}))
    assert forms_of(shown).forms["preferences"]["time_zone"] == "Europe/Berlin"
    assert admin.send(shown, "preferences").status_code == 302


def test_no_secret_key_or_token_is_on_the_login_page(admin: Visitor, clock: Clock) -> None:
    secrets: Changes = {
        "assertion": "opaque-assertion",
        "jwks": '{"keys": [{"kty": "RSA", "d": "private"}]}',
        "client_secret": "hidden-1",
        "user_password": "hidden-2",
        "verifier_maps-0-name": "shown",
        "verifier_maps-0-shared_key": "hidden-3",
        "verifier_maps-1-certificate": PEM,
        "comments": f"pasted here: {JWT}",
        "name": "kept",
    }
    page = admin.open(FORM)
    clock.advance(hours=13)
    answer = admin.send(page, "integration", secrets)
    carried = forms_of(answer).forms["/login"]
    assert carried["carried-name"] == "kept"
    assert carried["carried-verifier_maps-0-name"] == "shown"
    for hidden in ("opaque-assertion", "private", "hidden-", "PRIVATE KEY", "MIIE", JWT):
        assert hidden not in answer.text, hidden


def test_a_refused_login_keeps_the_form(admin: Visitor, clock: Clock) -> None:
    page = admin.open("/auth-scopes/new")
    clock.advance(hours=13)
    answer = admin.send(page, "auth-scope", SCOPE)
    answer = admin.send(answer, "/login", {"user_name": "admin", "password": "wrong"})
    assert answer.status_code == 403
    shown = admin.send(answer, "/login", {"user_name": "admin", "password": PASSWORD})
    assert forms_of(shown).forms["auth-scope"]["name"] == "deploy"


def test_two_tabs_keep_their_forms(admin: Visitor, clock: Clock) -> None:
    """The login in one tab makes the login page in the other one out of date."""
    page = admin.open("/auth-scopes/new")
    clock.advance(hours=13)
    tabs = [admin.send(page, "auth-scope", {**SCOPE, "name": name}) for name in ("one", "two")]
    for name, tab in zip(("one", "two"), tabs, strict=True):
        shown = admin.send(tab, "/login", {"user_name": "admin", "password": PASSWORD})
        assert forms_of(shown).forms["auth-scope"]["name"] == name


def test_the_login_page_has_a_bound(admin: Visitor, clock: Clock) -> None:
    page = admin.open("/auth-scopes/new")
    clock.advance(hours=13)
    answer = admin.send(page, "auth-scope", {"description": "x" * MOST_BYTES})
    assert answer.status_code == 403
    assert "too long to be kept" in answer.text
    assert "x" * 100 not in answer.text
    assert admin.send(page, "auth-scope", {"description": "x" * 70_000}).status_code == 400


def test_a_button_is_not_pressed_by_the_login(app: Flask, admin: Visitor, integration: Registered, end: End) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    token = forms_of(admin.open(path)).forms["integration"]["csrf_token"]
    end(admin)
    referrer = {"Referer": f"http://localhost{path}"}
    answer = admin.client.post(f"{path}/disable", data={"csrf_token": token}, headers=referrer)
    assert answer.status_code == 302
    if answer.location.startswith("/login"):
        answer = admin.sign_in("admin", PASSWORD, answer.location)
    assert answer.location == path
    assert admin.open(path).status_code == 200
    with app.app_context():
        assert get_integration(integration.entity.client_id).active


@pytest.mark.parametrize(
    "referrer",
    ["https://evil.example/x", "//evil.example", "http://localhost//evil.example", "http://localhost/logout"],
)
def test_a_button_leads_to_no_other_site(admin: Visitor, integration: Registered, clock: Clock, referrer: str) -> None:
    path = f"/inbound-integrations/{integration.entity.client_id}"
    token = forms_of(admin.open(path)).forms["integration"]["csrf_token"]
    clock.advance(hours=13)
    answer = admin.client.post(f"{path}/disable", data={"csrf_token": token}, headers={"Referer": referrer})
    assert answer.location == "/login"


@pytest.mark.parametrize("sent", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_another_site_fills_in_no_form(app: Flask, visitor: Visitor, sent: dict[str, str]) -> None:
    """A browser sends no cookie with such a form, so it looks like one whose session has ended."""
    without_cookies = app.test_client(use_cookies=False)
    token = forms_of(visitor.open("/login")).forms["/login"]["csrf_token"]
    answer = without_cookies.post("/auth-scopes/new", data={"csrf_token": token, "name": "planted"}, headers=sent)
    assert answer.status_code == 400
    assert "planted" not in answer.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/auth-scopes/new/delete", "/logout", "/api/now/table/x", "/static/x"],
)
def test_the_login_page_carries_forms_to_forms_alone(visitor: Visitor, target: str) -> None:
    page = visitor.open("/login")
    planted = {"carried_to": target, "carried-name": "planted"}
    answer = visitor.send(page, "/login", {"user_name": "admin", "password": PASSWORD, **planted})
    assert (answer.status_code, answer.location) == (302, "/")


def test_a_form_is_shown_to_those_alone_who_may_see_it(sign_in: SignIn, clock: Clock, admin: Visitor) -> None:
    sign_in("tom.okafor", "itil")
    page = admin.open("/auth-scopes/new")
    clock.advance(hours=13)
    answer = admin.send(page, "auth-scope", SCOPE)
    answer = admin.send(answer, "/login", {"user_name": "tom.okafor", "password": PASSWORD})
    assert answer.status_code == 403
    assert "You need the role" in answer.text


def test_every_form_of_the_console_is_carried_or_known_as_a_button(app: Flask) -> None:
    posts = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and not rule.rule.startswith(("/api/", "/oauth"))
    }
    assert len([*list_endpoints(app)]) > len(posts) > 20
    assert posts == FORMS.keys() | BUTTONS
