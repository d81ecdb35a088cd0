"""Every form of the console that changes a stored record carries the version of it that was shown."""

import ast
import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

from flask import Flask

from changegate.console.stale_forms import OVERWRITE, VERSION, is_stale, stale_page, was_seen
from tests.guards.source_tree import PRODUCT, calls, shown

TEMPLATES = PRODUCT / "console" / "templates"
CHECKS = {is_stale.__name__, stale_page.__name__, "stale_integration"}
# Passed to the engine, which calls it under the lock of the record.
CONDITION = was_seen.__name__
NEW = "The record does not exist yet."
NOT_SAVED = "Nothing is saved."
SESSION = "It begins or ends a session, and changes no record that a form shows."
REVOCATION = "Whatever has changed meanwhile, the tokens are to end."
OWN_SETTING = "It is a setting of the user, and nothing depends on it."
DRAFT = "A draft is seen by one user only, and nothing depends on it."
LINK = "The account gets one new link, or uses one up."
ASSIGNMENT = "An assignment is made or ended, and has no fields that a form shows."
WITHOUT_VERSION = {
    "account_links.use_view": LINK,
    "assignments.assign_view": ASSIGNMENT,
    "assignments.remove_view": ASSIGNMENT,
    "auth_scopes.create_view": NEW,
    "auth_scopes.edit_view": NOT_SAVED,
    "calendar.create_feed_view": NEW,
    "calendar.revoke_feed_view": REVOCATION,
    "change_files.delete_view": "A file has no versions.",
    "change_files.upload_view": NEW,
    "change_offers.create_view": NEW,
    "change_offers.edit_view": NOT_SAVED,
    "change_forms.as_sent_view": NOT_SAVED,
    "change_requests.add_item_view": "A CI is added to whatever the change affects.",
    "change_requests.comment_view": "A comment is added to whatever the change is.",
    "change_requests.watch_view": "Users add or remove themselves, whatever the change is.",
    "change_forms.create_view": NEW,
    "change_forms.edit_new_view": NOT_SAVED,
    "change_forms.plan_new_view": NOT_SAVED,
    "change_forms.plan_view": NOT_SAVED,
    "my_approvals.answer_view": "Each selected approval carries its own version, which the answer checks.",
    "delegations.create_view": NEW,
    "delegations.edit_new_view": NOT_SAVED,
    "forgotten_password.send_view": LINK,
    "form_fragments.check_conditions_view": NOT_SAVED,
    "form_fragments.edit_view": NOT_SAVED,
    "form_fragments.test_connection_view": NOT_SAVED,
    "form_fragments.try_token_view": NOT_SAVED,
    "inbound_integrations.create_view": NEW,
    "integration_keys.refresh_view": "It fetches what the provider publishes, and changes no field of the form.",
    "invitations.edit_view": NOT_SAVED,
    "invitations.invite_view": NEW,
    "manage_tokens.revoke_all_view": REVOCATION,
    "manage_tokens.revoke_refresh_token_view": REVOCATION,
    "manage_tokens.revoke_view": REVOCATION,
    "people.link_view": LINK,
    "people.sign_out_view": SESSION,
    "notifications.read_all_view": OWN_SETTING,
    "notifications.read_view": OWN_SETTING,
    "notifications.save_settings_view": OWN_SETTING,
    "preferences.edit_view": NOT_SAVED,
    "preferences.email_view": LINK,
    "preferences.end_session_view": SESSION,
    "preferences.password_view": "The current password is part of the form.",
    "quick_setup.discard_view": DRAFT,
    "quick_setup.edit_view": NOT_SAVED,
    "quick_setup.keep_view": DRAFT,
    "quick_setup.recognize_again_view": DRAFT,
    "quick_setup.recognize_view": NEW,
    "quick_setup.save_view": NEW,
    "record_pages.create_view": NEW,
    "record_pages.edit_new_view": NOT_SAVED,
    "record_pages.edit_view": NOT_SAVED,
    "records.bulk_view": "The new value of one field is meant for whatever the selected records are.",
    "records.columns_view": OWN_SETTING,
    "records.delete_filter_view": OWN_SETTING,
    "records.filter_view": NOT_SAVED,
    "records.save_filter_view": NEW,
    "identity_providers.check_view": "It reads what the provider publishes, and changes no record.",
    "sign_in.logout_everywhere_view": SESSION,
    "sign_in.logout_view": SESSION,
    "sign_in.sign_in_view": SESSION,
    "sign_on_links.link_view": "The password is part of the form, and an account is linked once.",
    "single_sign_on.start_view": SESSION,
}
FORM = re.compile(r"<form\b(?P<start>(?:\{\{.*?\}\}|\{%.*?%\}|[^>])*)>(?P<inside>.*?)</form>", re.DOTALL)
POST = re.compile(r"""method=["']?post\b""", re.IGNORECASE)
ENDPOINT = re.compile(r"""["'](\w+\.\w+)["']""")
ACTION = re.compile(r'action="((?:\{\{.*?\}\}|[^"])*)"')
CARRIED = re.compile(rf'\bversion\(|name="(?:{VERSION}|{OVERWRITE})"')


def posting_views(app: Flask) -> Iterator[tuple[str, ast.AST]]:
    """Give the console's endpoints that take forms, each with the code of its view."""
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    for endpoint in sorted(endpoints):
        view = inspect.unwrap(app.view_functions[endpoint])
        if view.__module__.startswith("changegate.console."):
            yield endpoint, ast.parse(dedent(inspect.getsource(view)))


def passes_condition(view: ast.AST) -> bool:
    keywords = (node for node in ast.walk(view) if isinstance(node, ast.keyword))
    return any(ast.unparse(each.value) == CONDITION for each in keywords if each.arg == "condition")


def posting_forms(page: str) -> Iterator[tuple[str, bool]]:
    """Give the actions of the forms of a page that are sent by POST, and whether each carries a version."""
    for form in FORM.finditer(page):
        if POST.search(form["start"]):
            action = ACTION.search(form["start"])
            yield action[1] if action else "", CARRIED.search(form["inside"]) is not None


def needs_version(action: str) -> bool:
    endpoints = set(ENDPOINT.findall(action))
    return not endpoints or not endpoints <= WITHOUT_VERSION.keys()


def test_every_view_that_takes_a_form_checks_its_version_or_is_an_exception(app: Flask) -> None:
    unchecked = {
        endpoint for endpoint, view in posting_views(app) if not (calls(view) & CHECKS or passes_condition(view))
    }
    assert unchecked == WITHOUT_VERSION.keys()


def test_every_form_carries_the_version_that_its_view_checks() -> None:
    forms = [
        (shown(path), action, carries)
        for path in sorted(TEMPLATES.rglob("*.html"))
        for action, carries in posting_forms(path.read_text())
    ]
    assert forms
    assert not [(page, action) for page, action, carries in forms if carries != needs_version(action)]


def test_the_rule_sees_a_form_without_a_version() -> None:
    form = """<form method="post" action="{{ url_for('auth_scopes.delete_view', sys_id=scope.sys_id) }}">%s</form>"""
    for inside, carries in (("{{ csrf() }}", False), ("{{ version(scope) }}", True)):
        [(action, found)] = posting_forms(form % inside)
        assert (found, needs_version(action)) == (carries, True)
    # Where it is sent to is not known before it is shown.
    assert needs_version("{{ here }}")
    assert not list(posting_forms("""<form method="get" action="/x"></form>"""))
