"""Stale forms: the later of two changes is saved only after its author has seen the earlier one."""

from concurrent.futures import ThreadPoolExecutor
from html import unescape
from re import sub
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.schemas.auth_scope import load_scope
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import get_integration, set_active
from changegate.services.integrations.key_blocking import block_key
from changegate.services.integrations.saving import Registered
from changegate.services.scopes.scopes import create_scope, get_scope, update_scope
from tests.console.conftest import Change
from tests.console.visitor import Visitor, forms_of
from tests.support.certificates import certificate, pem

CONDITION = {"operator": "equals", "value_type": "string", "report_only": False}
REPOSITORY = {"claim": "repository", "value": "acme/shop", **CONDITION}
REF = {"claim": "ref", "value": "refs/heads/main", **CONDITION}
THUMBPRINT = "A" * 43
RACERS = 4


@pytest.fixture
def path(integration: Registered) -> str:
    return f"/inbound-integrations/{integration.entity.client_id}"


def stored(app: Flask, path: str) -> dict[str, Any]:
    with app.app_context():
        return fields_of(get_integration(path.rpartition("/")[2]))


def words(answer: TestResponse) -> str:
    """Return what a page shows, without its markup."""
    return " ".join(unescape(sub(r"<[^>]+>", " ", answer.text)).split())


def test_a_stale_tab_takes_no_claim_condition_away(app: Flask, admin: Visitor, path: str, change: Change) -> None:
    stale = admin.open(path)
    change(claim_conditions=[REPOSITORY])
    change(by="linus", claim_conditions=[REPOSITORY, REF])
    refused = admin.send(stale, "integration", {"comments": "typed in the stale tab"})

    assert refused.status_code == 409
    shown = words(refused)
    assert "Build pipeline has been changed since you opened this form, last by linus" in shown
    assert "Claim conditions Empty repository equals acme/shop ref equals refs/heads/main Empty grace" in shown
    assert "Comments Empty Empty typed in the stale tab Only you" in shown
    assert [one["claim"] for one in stored(app, path)["claim_conditions"]] == ["repository", "ref"]
    assert stored(app, path)["comments"] is None


def test_changes_are_shown_in_the_time_zone_that_their_column_names(admin: Visitor, path: str, change: Change) -> None:
    stale = admin.open(path)
    change(comments="first")
    assert "Changed by (UTC)" in words(admin.send(stale, "integration"))
    admin.send(admin.open("/preferences"), "preferences", {"time_zone": "Asia/Tokyo"})
    assert "Changed by (Asia/Tokyo)" in words(admin.send(stale, "integration"))


def test_the_form_can_overwrite_the_newer_version(app: Flask, admin: Visitor, path: str, change: Change) -> None:
    stale = admin.open(path)
    change(claim_conditions=[REPOSITORY])
    refused = admin.send(stale, "integration", {"comments": "typed"})
    again = admin.send(refused, "integration")
    assert again.status_code == 409
    version = forms_of(admin.open(path)).forms["integration"]["version"]
    saved = admin.send(again, "integration", {"overwrite": version})
    assert saved.status_code == 302
    assert (stored(app, path)["comments"], stored(app, path)["claim_conditions"]) == ("typed", [])


def test_the_differences_have_the_labels_of_the_form(admin: Visitor, path: str, change: Change) -> None:
    stale = admin.open(path)
    change(audiences=["https://change.example.com"], algorithms=["ES256"])
    refused = admin.send(stale, "integration").text
    differences = refused.partition('id="stale"')[2].partition("</table>")[0]
    for label in ("Accepted audiences", "Allowed algorithms"):
        assert f'<th scope="row">{label}</th>' in differences


def test_a_choice_holds_for_the_version_that_was_shown(app: Flask, admin: Visitor, path: str, change: Change) -> None:
    stale = admin.open(path)
    change(comments="first")
    refused = admin.send(stale, "integration")
    seen = forms_of(admin.open(path)).forms["integration"]["version"]
    change(comments="second")
    answer = admin.send(refused, "integration", {"overwrite": seen})
    assert answer.status_code == 409
    assert "Comments Empty second" in words(answer)
    assert stored(app, path)["comments"] == "second"


@pytest.mark.parametrize("version", [None, "", "x", "0-1", "-1-20260101000000", "99999999999-20260101000000", "0-²"])
def test_a_form_without_a_readable_version_is_stale(app: Flask, admin: Visitor, path: str, version: str | None) -> None:
    answer = admin.send(admin.open(path), "integration", {"version": version, "comments": "typed"})
    assert answer.status_code == 409
    assert "Comments Empty Empty typed" in words(answer)
    assert stored(app, path)["comments"] is None


def test_steps_and_refusals_keep_the_version_that_the_form_was_opened_on(
    app: Flask, admin: Visitor, path: str, change: Change
) -> None:
    opened = admin.open(path)
    change(comments="somebody else's")
    form = forms_of(opened).forms["integration"]
    stepped = admin.client.post(f"{path}/edit", data={**form, "step": "add claim_conditions"})
    assert admin.send(stepped, "integration").status_code == 409
    wrong = admin.send(admin.open(path), "integration", {"clock_skew_seconds": "x"})
    assert wrong.status_code == 400
    change(comments="and again")
    assert admin.send(wrong, "integration", {"clock_skew_seconds": "30"}).status_code == 409
    assert stored(app, path)["comments"] == "and again"


def test_a_form_that_overwrites_a_newer_version_can_be_corrected_first(
    app: Flask, admin: Visitor, path: str, change: Change
) -> None:
    stale = admin.open(path)
    change(comments="somebody else's")
    version = forms_of(admin.open(path)).forms["integration"]["version"]
    wrong = admin.send(stale, "integration", {"clock_skew_seconds": "x", "overwrite": version})
    assert wrong.status_code == 400
    assert admin.send(wrong, "integration", {"clock_skew_seconds": "31"}).status_code == 302
    assert stored(app, path)["clock_skew_seconds"] == 31


def test_differences_show_no_key(app: Flask, admin: Visitor, path: str, change: Change) -> None:
    secret = "a shared key that only its author may see"
    change(
        key_source="shared_key",
        jwks_url="",
        algorithms=["HS256"],
        verifier_maps=[{"name": "one", "shared_key": secret}],
    )
    stale = admin.open(path)
    change(verifier_maps=[{"name": "one", "shared_key": secret + " either"}])
    refused = admin.send(stale, "integration", {"verifier_maps-0-shared_key": secret + " at all"})
    assert refused.status_code == 409
    differences = refused.text.partition('id="stale"')[2].partition("</table>")[0]
    assert "one (shared key) with a new key" in differences
    assert secret not in differences


def test_differences_show_certificates_by_fingerprint(admin: Visitor, path: str, change: Change) -> None:
    first, second = pem(certificate()), pem(certificate())
    change(key_source="certificates", jwks_url="", verifier_maps=[{"name": "one", "certificate": first}])
    stale = admin.open(path)
    change(verifier_maps=[{"name": "one", "certificate": second}])
    refused = admin.send(stale, "integration", {"verifier_maps-0-certificate": "no certificate"})
    differences = refused.text.partition('id="stale"')[2].partition("</table>")[0]
    assert (refused.status_code, differences.count("one (certificate")) == (409, 3)
    assert "one (certificate unreadable)" in differences
    assert "BEGIN" not in differences


# The tab, the button, and the fields that it sends.
BUTTONS = {
    "disable": ("", "/disable", {}),
    "delete": ("/delete", "/delete", {}),
    "rotate-secret": ("/history", "/rotate-secret", {"overlap_hours": "24"}),
    "unblock-key": ("/keys", "/unblock-key", {"thumbprint": THUMBPRINT}),
}


@pytest.mark.parametrize("button", BUTTONS)
def test_a_stale_button_asks_again(app: Flask, admin: Visitor, path: str, change: Change, button: str) -> None:
    with app.app_context():
        block_key(get_integration(path.rpartition("/")[2]), THUMBPRINT, by="admin")
        db.session.commit()
    tab, suffix, sent = BUTTONS[button]
    stale = admin.open(path + tab)
    change(comments="somebody else's")
    before = stored(app, path)
    asked = admin.send(stale, path + suffix, sent)
    assert asked.status_code == 409
    assert "Comments Empty somebody else's grace" in words(asked)
    assert stored(app, path) == before
    assert admin.send(asked, "repeat").status_code in {200, 302, 303}


def test_a_stale_enable_asks_again(app: Flask, admin: Visitor, path: str, change: Change) -> None:
    with app.app_context():
        set_active(get_integration(path.rpartition("/")[2]), False, by="admin")
        db.session.commit()
    stale = admin.open(path)
    change(comments="compromised, do not enable")
    asked = admin.send(stale, f"{path}/enable")
    assert (asked.status_code, stored(app, path)["active"]) == (409, False)
    assert admin.send(asked, "repeat").status_code == 302
    assert stored(app, path)["active"] is True


def test_saving_stored_values_makes_no_new_version(admin: Visitor, path: str) -> None:
    opened = admin.open(path)
    assert admin.send(opened, "integration").status_code == 302
    after = admin.open(path)
    assert "Build pipeline is unchanged." in words(after)
    versions = {forms_of(page).forms["integration"]["version"] for page in (opened, after)}
    assert len(versions) == 1


@pytest.fixture
def scope_path(app: Flask) -> str:
    with app.app_context():
        made = create_scope(load_scope({"name": "deploy.read", "rules": ["GET table change_request"]}), by="admin")
        db.session.commit()
        return f"/auth-scopes/{made.sys_id}"


def change_scope(app: Flask, *rules: str) -> None:
    with app.app_context():
        update_scope(get_scope("deploy.read"), load_scope({"name": "deploy.read", "rules": rules}), by="grace")
        db.session.commit()


def rules_of(app: Flask) -> int:
    with app.app_context():
        return len(get_scope("deploy.read").rules)


def test_a_stale_tab_takes_no_rule_of_a_scope_away(app: Flask, admin: Visitor, scope_path: str) -> None:
    stale = admin.open(scope_path)
    change_scope(app, "GET table change_request own", "GET table task")
    refused = admin.send(stale, "auth-scope", {"description": "typed"})
    assert (refused.status_code, rules_of(app)) == (409, 2)
    shown = words(refused)
    assert "Rules GET now/table change_request GET now/table change_request own GET now/table task" in shown
    assert "Description Empty Empty typed Only you" in shown
    version = forms_of(admin.open(scope_path)).forms["auth-scope"]["version"]
    assert admin.send(refused, "auth-scope").status_code == 409
    assert admin.send(refused, "auth-scope", {"overwrite": version}).status_code == 302
    assert rules_of(app) == 1


def test_a_stale_deletion_of_a_scope_asks_again(app: Flask, admin: Visitor, scope_path: str) -> None:
    stale = admin.open(scope_path)
    change_scope(app, "GET table task")
    asked = admin.send(stale, f"{scope_path}/delete")
    assert (asked.status_code, rules_of(app)) == (409, 1)
    assert admin.send(asked, "repeat").status_code == 302
    assert admin.open(scope_path).status_code == 404


def test_of_two_tabs_that_save_at_once_exactly_one_wins(app: Flask, admin: Visitor, path: str) -> None:
    opened, start = admin.open(path), Barrier(RACERS)
    visitors = [Visitor(app.test_client()) for _ in range(RACERS)]
    for visitor in visitors:
        visitor.sign_in("admin", "correct horse battery")
    pages = [visitor.open(path) for visitor in visitors]
    assert {forms_of(page).forms["integration"]["version"] for page in pages} == {
        forms_of(opened).forms["integration"]["version"]
    }

    def race(number: int) -> int:
        start.wait()
        return visitors[number].send(pages[number], "integration", {"comments": f"racer {number}"}).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        statuses = sorted(pool.map(race, range(RACERS)))
    assert statuses == [302, *[409] * (RACERS - 1)]
