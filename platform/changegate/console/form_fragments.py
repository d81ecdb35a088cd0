"""What the integration form can do before it is saved: test the connection, check, try, and fill itself in.

Each answers with a fragment for the script of the page, and with the whole page to a browser without scripts.
"""

from typing import Any

from flask import Blueprint, render_template, request

from changegate.console.condition_check import check_conditions
from changegate.console.form_steps import take_step
from changegate.console.guards import require_integration_administrator
from changegate.console.integration_form import IntegrationForm
from changegate.console.integration_pages import form_context, render_new_page, render_record_page
from changegate.console.key_set_report import probe_key_set
from changegate.console.token_trial import try_token
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.oauth.integrations import get_integration

FRAGMENT_HEADER = "X-Fragment"
bp = Blueprint("form_fragments", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.post("/new/jwt-bearer/test-connection")
@bp.post("/<client_id>/test-connection")
def test_connection_view(client_id: str | None = None) -> str:
    """Fetch the key set that the form names, and keep nothing of it."""
    _end_transaction()
    key_set = probe_key_set(request.form.get("jwks_url", "").strip())
    return _answer("console/_key_set.html", client_id, _form(), key_set=key_set)


@bp.post("/new/jwt-bearer/check-conditions")
@bp.post("/<client_id>/check-conditions")
def check_conditions_view(client_id: str | None = None) -> str:
    """Say what the claim conditions in the form admit."""
    form = _form()
    return _answer("console/_condition_check.html", client_id, form, check=check_conditions(form))


@bp.post("/new/jwt-bearer/try-token")
@bp.post("/<client_id>/try-token")
def try_token_view(client_id: str | None = None) -> str:
    """Judge a token by the form as typed; raises `RecordNotFound`."""
    _end_transaction()
    form, entity = _form(), _find_entity(client_id)
    trial = try_token(form, request.form.get("assertion", ""), entity)
    return _answer("console/_token_trial.html", client_id, form, trial=trial)


@bp.post("/new/jwt-bearer/edit")
@bp.post("/<client_id>/edit")
def edit_view(client_id: str | None = None) -> str:
    """Take a step that changes the form; raises `RecordNotFound`."""
    _end_transaction()
    form = take_step(_form(), request.form.get("step", ""))
    if FRAGMENT_HEADER not in request.headers:
        return _page(client_id, form)
    return render_template("console/_integration_form.html", **form_context(form, _find_entity(client_id)))


def _form() -> IntegrationForm:
    return IntegrationForm.of_request(request.form)


def _find_entity(client_id: str | None) -> OAuthEntity | None:
    return get_integration(client_id) if client_id else None


def _end_transaction() -> None:
    # The guard has read who is calling; no transaction stays open while a stranger's server takes its time.
    db.session.rollback()


def _answer(template: str, client_id: str | None, form: IntegrationForm, **result: Any) -> str:
    if FRAGMENT_HEADER in request.headers:
        entity = _find_entity(client_id)
        return render_template(template, entity=entity, **result)
    return _page(client_id, form, **result)


def _page(client_id: str | None, form: IntegrationForm, **result: Any) -> str:
    entity = _find_entity(client_id)
    return render_record_page(entity, form, **result) if entity else render_new_page(form, **result)
