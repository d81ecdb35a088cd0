"""Actions on the integration form before it is saved: test the connection, check conditions, try a token, and steps.

Each returns an HTML fragment to the script of the page, and the whole page to a browser without scripts.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template

from changegate.console.carried_forms import FRAGMENT_HEADER
from changegate.console.guards import manages_integrations, require_integration_administrator
from changegate.console.integrations.condition_check import check_conditions
from changegate.console.integrations.connection_types import get_connection
from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.pages import (
    form_context,
    render_new_page,
    render_record_page,
    stored_form,
    target_of,
)
from changegate.console.integrations.steps import take_step, use_keys_step
from changegate.console.integrations.token_trial import try_token
from changegate.database import rollback
from changegate.errors import RecordNotFound
from changegate.models import OAuthEntity
from changegate.schemas import presets
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.recognition import test_connection
from changegate.services.keys.key_set import IgnoredKey
from changegate.services.keys.key_store import key_store
from changegate.services.keys.signing_key import SigningKey
from changegate.unproxied import current_request

bp = Blueprint("form_fragments", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.post("/new/<connection_type>/test-connection")
@bp.post("/<client_id>/test-connection")
def test_connection_view(client_id: str | None = None, connection_type: str = "") -> str:
    """Fetch the key set of the form without storing it; raises `RecordNotFound`."""
    form, entity = _form(client_id, connection_type)
    _end_transaction()
    key_set = report_key_set(current_request().form.get("jwks_url", "").strip())
    return _answer("console/_key_set.html", form, entity, key_set=key_set)


@bp.post("/new/<connection_type>/check-conditions")
@bp.post("/<client_id>/check-conditions")
def check_conditions_view(client_id: str | None = None, connection_type: str = "") -> str:
    """Check the claim conditions in the form; raises `RecordNotFound`."""
    form, entity = _form(client_id, connection_type)
    return _answer("console/_condition_check.html", form, entity, check=check_conditions(form))


@bp.post("/new/<connection_type>/try-token")
@bp.post("/<client_id>/try-token")
def try_token_view(client_id: str | None = None, connection_type: str = "") -> str:
    """Check a token against the form as typed, or for owners against what is stored; raises `RecordNotFound`."""
    is_manager = manages_integrations()
    _end_transaction()
    form, entity = _form(client_id, connection_type)
    if entity is not None and not is_manager:
        form = stored_form(entity)
    trial = try_token(form, current_request().form.get("assertion", ""), entity)
    return _answer("console/_token_trial.html", form, entity, trial=trial)


@bp.post("/new/<connection_type>/edit")
@bp.post("/<client_id>/edit")
def edit_view(client_id: str | None = None, connection_type: str = "") -> str:
    """Change the form by a step; raises `RecordNotFound`."""
    sent = current_request()
    form, entity = _form(client_id, connection_type, needs_provider=False)
    _end_transaction()
    form = take_step(form, sent.form.get("step", ""))
    if FRAGMENT_HEADER not in sent.headers:
        return _page(form, entity)
    return render_template("console/_integration_form.html", **form_context(form, entity))


def _form(
    client_id: str | None, connection_type: str, *, needs_provider: bool = True
) -> tuple[IntegrationForm, OAuthEntity | None]:
    """Return the form as sent and its integration; raises `RecordNotFound` for a type without a provider."""
    entity = get_integration(client_id) if client_id else None
    connection = connection_type_of(entity) if entity else get_connection(connection_type)
    if needs_provider and not connection.has_provider:
        raise RecordNotFound
    return IntegrationForm.of_request(current_request().form, connection), entity


def _end_transaction() -> None:
    # End the transaction of the guard: none may stay open during a fetch from an identity provider.
    rollback()


def _answer(template: str, form: IntegrationForm, entity: OAuthEntity | None, **result: Any) -> str:
    if FRAGMENT_HEADER in current_request().headers:
        return render_template(template, entity=entity, target=target_of(form, entity), **result)
    return _page(form, entity, **result)


def _page(form: IntegrationForm, entity: OAuthEntity | None, **result: Any) -> str:
    return render_record_page(entity, form, **result) if entity else render_new_page(form, **result)


@dataclass(frozen=True, slots=True)
class KeySetReport:
    """The keys of a JWKS URL, or the error of the fetch; `lead` is the step that uses the keys found at `jwks_url`."""

    keys: tuple[SigningKey, ...] = ()
    ignored: tuple[IgnoredKey, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None
    jwks_url: str = ""
    lead: str = ""


def report_key_set(url: str) -> KeySetReport:
    """Fetch the key set of a URL as an exchange would, without storing it."""
    if not url:
        return KeySetReport(error="Fill in the JWKS URL first.")
    test = test_connection(url, key_store(), presets)
    if test.fetched is None:
        lead = use_keys_step(test.jwks_url, test.issuer) if test.jwks_url else ""
        return KeySetReport(error=test.error, jwks_url=test.jwks_url, lead=lead)
    key_set = test.fetched.key_set
    return KeySetReport(key_set.keys, key_set.ignored, test.fetched.document.warnings)
