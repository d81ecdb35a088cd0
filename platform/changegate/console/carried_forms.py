"""Forms sent after their session had ended: the login page carries their fields, and the server stores nothing.

    form ──POST──> session has ended ──> login page with the fields as hidden inputs ──POST──> form, filled in again

Carried fields only fill the form in. To save it, the user presses Save again, which sends the CSRF token of the new
session; so a carried form can never write. Secrets and keys are not carried, since a login page may stay open on a
screen for hours.

    ask_to_sign_in           the session ended: the login page, with the form
    answer_old_form          the CSRF token is of an earlier session: the form again, or the login page
    sign_in.sign_in_view     after the login: `carried_by_login`, then `show_again`
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException

from changegate.console.local_paths import local_path
from changegate.extensions import settings
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.single_sign_on.providers import list_active
from changegate.unproxied import current_application, current_request, request_context

LOGIN = "sign_in.sign_in_view"
# Endpoints that receive a form, and the view that shows the form again without saving it.
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "inbound_integrations.create_view": "form_fragments.edit_view",
        "inbound_integrations.update_view": "form_fragments.edit_view",
        "form_fragments.edit_view": "form_fragments.edit_view",
        "form_fragments.test_connection_view": "form_fragments.edit_view",
        "form_fragments.check_conditions_view": "form_fragments.edit_view",
        "form_fragments.try_token_view": "form_fragments.edit_view",
        "quick_setup.save_view": "quick_setup.edit_view",
        "quick_setup.keep_view": "quick_setup.edit_view",
        "quick_setup.recognize_again_view": "quick_setup.edit_view",
        "quick_setup.edit_view": "quick_setup.edit_view",
        "auth_scopes.create_view": "auth_scopes.edit_view",
        "auth_scopes.update_view": "auth_scopes.edit_view",
        "auth_scopes.edit_view": "auth_scopes.edit_view",
        "invitations.invite_view": "invitations.edit_view",
        "invitations.edit_view": "invitations.edit_view",
        "preferences.save_view": "preferences.edit_view",
        "preferences.edit_view": "preferences.edit_view",
        "change_forms.create_view": "change_forms.edit_new_view",
        "change_forms.edit_new_view": "change_forms.edit_new_view",
        "change_forms.plan_new_view": "change_forms.edit_new_view",
        "change_forms.update_view": "change_forms.as_sent_view",
        "change_forms.plan_view": "change_forms.as_sent_view",
        "change_forms.as_sent_view": "change_forms.as_sent_view",
        "change_offers.create_view": "change_offers.edit_view",
        "change_offers.edit_view": "change_offers.edit_view",
        "delegations.create_view": "delegations.edit_new_view",
        "delegations.edit_new_view": "delegations.edit_new_view",
        "record_pages.create_view": "record_pages.edit_new_view",
        "record_pages.edit_new_view": "record_pages.edit_new_view",
        "record_pages.update_view": "record_pages.edit_view",
        "record_pages.edit_view": "record_pages.edit_view",
    }
)
FRAGMENT_HEADER = "X-Fragment"
# The salt with which Flask-WTF signs its tokens.
CSRF_SALT = "wtf-csrf-token"
PREFIX, TARGET = "carried-", "carried_to"
# Users who are not signed in may send 64 KiB (`guards.py`). The rest is for the prefixes that the login page adds.
MOST_BYTES, MOST_FIELDS = 48 * 1024, 1000
# Carrying `step` would repeat an action; the other names are those of secrets, keys, and tokens in any form.
# Matched against the names of fields; SECRET_TEXT, against their text, finds secrets in the wrong field.
NEVER_CARRIED = re.compile(
    r"(?:.*-)?(?:csrf_token|step|assertion|jwks|[a-z_]*(?:password|secret|shared_key|private_key))"
)
SECRET_TEXT = re.compile(r"""PRIVATE KEY|["'](?:d|k|p|q)["']\s*:|eyJ[\w-]+\.[\w-]+\.""")
ENDED = "Your session has ended. Nothing was saved."
KEPT = f"{ENDED} Log in to continue with your entries, except for secrets and keys."
TOO_LONG = f"{ENDED} The form is too long to be kept; go back in your browser to copy your entries."
SAVE_AGAIN = "Nothing is saved yet: your session had ended. Enter secrets and keys again, and save the form."
TRY_AGAIN = "Nothing was done: your session had ended. Try again."


@dataclass(frozen=True, slots=True)
class CarriedForm:
    """The path that a form was sent to, and its fields."""

    path: str
    fields: ImmutableMultiDict[str, str]

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of the hidden inputs of the login page."""
        yield TARGET, self.path
        for name, text in self.fields.items(multi=True):
            yield PREFIX + name, text


def ask_to_sign_in() -> ResponseReturnValue:
    """Send the caller to the login page and back afterward; the login page carries a form of this site."""
    sent = current_request()
    is_form = sent.endpoint in FORMS and FRAGMENT_HEADER not in sent.headers and is_from_this_site()
    if not is_form:
        return redirect(url_for("sign_in.login_view", next=_page_to_return_to()))
    is_short = (sent.content_length or 0) <= MOST_BYTES and len(sent.form) <= MOST_FIELDS
    carried = CarriedForm(sent.path, _carriable(sent.form)) if is_short else None
    return render_login(_page_to_return_to(), carried, refusal=KEPT if is_short else TOO_LONG)


def render_login(
    target: str | None, carried: CarriedForm | None, *, user_name: str = "", refusal: str | None = None
) -> ResponseReturnValue:
    """Render the login page with the target path and the carried form; with a refusal, the status is 403."""
    page = render_template(
        "console/login.html",
        user_name=user_name,
        next=target,
        carried=[*carried.inputs()] if carried else (),
        mail_is_configured=mail_is_configured(),
        refusal=refusal,
        providers=list_active(),
    )
    return page, 403 if refusal else 200


def carried_by_login() -> CarriedForm | None:
    """Return the form that the login page carried, or None."""
    http_request = current_request()
    path = local_path(http_request.form.get(TARGET))
    if path is None:
        return None
    sent = [(name, text) for name, text in http_request.form.items(multi=True) if name.startswith(PREFIX)]
    fields = ImmutableMultiDict([(name.removeprefix(PREFIX), text) for name, text in sent])
    # Filtered again, because the fields come back from the browser, where they can have been changed.
    return CarriedForm(path, _carriable(fields))


def show_again(carried: CarriedForm) -> ResponseReturnValue | None:
    """Return the form filled in with carried fields, or the refusal of its guard; None if the path is not a form's."""
    adapter = request_context().url_adapter
    try:
        endpoint, arguments = adapter.match(carried.path, method="POST") if adapter else ("", {})
    except HTTPException:
        return None
    view = FORMS.get(endpoint)
    if view is None:
        return None
    # The path comes from the browser, and the view is called without Flask's dispatch: run the guards of its blueprint.
    for guard in current_application().before_request_funcs[view.partition(".")[0]]:
        refusal: Any = guard()
        if refusal is not None:
            return cast("ResponseReturnValue", refusal)
    flash(SAVE_AGAIN, "danger")
    # The view reads its fields from the current request.
    current_request().form = carried.fields
    return cast("ResponseReturnValue", current_application().view_functions[view](**arguments))


def answer_old_form() -> ResponseReturnValue:
    """Answer a form of an earlier session without saving it: show it again, or ask the user to sign in."""
    sent = current_request()
    if sent.endpoint == LOGIN:
        carried, target = carried_by_login(), local_path(sent.form.get("next"))
        if not current_user.is_authenticated:
            return render_login(target, carried, refusal="This login page is out of date. Log in again.")
        shown = show_again(carried) if carried else None
        return shown or redirect(target or url_for("home.home_view"))
    if not current_user.is_authenticated:
        return ask_to_sign_in()
    shown = show_again(CarriedForm(sent.path, _carriable(sent.form)))
    if shown is None:
        flash(TRY_AGAIN, "danger")
        return redirect(_page_to_return_to() or url_for("home.home_view"))
    return shown


def is_of_earlier_session() -> bool:
    """Return whether the CSRF token of a refused form is genuine, but belongs to an earlier session."""
    # Only the signature is checked, with the salt of Flask-WTF: the token's value is that of the earlier session.
    sent = current_request()
    serializer = URLSafeTimedSerializer(str(current_application().secret_key), salt=CSRF_SALT)
    try:
        serializer.loads(sent.form.get("csrf_token", ""))
    except BadData:
        return False
    return FRAGMENT_HEADER not in sent.headers and is_from_this_site()


def is_from_this_site() -> bool:
    """Return whether a page of this site sent the request; another site must not fill in a form."""
    sent = current_request()
    site, origin = sent.headers.get("Sec-Fetch-Site"), sent.headers.get("Origin")
    if site is not None:
        return site == "same-origin"
    return origin is None or urlsplit(origin).netloc in {sent.host, urlsplit(settings().base_url).netloc}


def _page_to_return_to() -> str | None:
    """Return the path of the requested page; for a POST, the page that contains the form, or None."""
    sent = current_request()
    if sent.method == "GET":
        return sent.full_path.rstrip("?")
    try:
        origin = urlsplit(sent.referrer or "")
    except ValueError:
        return None
    path = local_path(origin.path + (f"?{origin.query}" if origin.query else ""))
    adapter = request_context().url_adapter
    is_page = origin.netloc == sent.host and adapter is not None and adapter.test(origin.path, method="GET")
    return path if is_page else None


def _carriable(fields: ImmutableMultiDict[str, str]) -> ImmutableMultiDict[str, str]:
    items = fields.items(multi=True)
    kept = [(name, text) for name, text in items if not (NEVER_CARRIED.fullmatch(name) or SECRET_TEXT.search(text))]
    return ImmutableMultiDict(kept)
