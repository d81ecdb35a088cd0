"""Test connection: fetches the key set that a form names and shows what is in it, before it is saved."""

from flask import Blueprint, render_template, request

from changegate.console.guards import require_integration_administrator
from changegate.console.integration_form import IntegrationForm
from changegate.console.integration_pages import render_new_page, render_record_page
from changegate.console.key_set_report import KeySetReport, probe_key_set
from changegate.extensions import db
from changegate.services.oauth.integrations import get_integration

FRAGMENT_HEADER = "X-Fragment"
bp = Blueprint("connection_test", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.post("/new/jwt-bearer/test-connection")
def test_new_view() -> str:
    """Test the URL in the form of a new integration."""
    key_set = _probe()
    return _fragment(key_set) or render_new_page(IntegrationForm.of_request(request.form), key_set)


@bp.post("/<client_id>/test-connection")
def test_record_view(client_id: str) -> str:
    """Test the URL in the form of a registered integration."""
    key_set = _probe()
    form = IntegrationForm.of_request(request.form)
    return _fragment(key_set) or render_record_page(get_integration(client_id), form, key_set)


def _probe() -> KeySetReport:
    # The guard has read who is calling; no transaction stays open while a stranger's server takes its time.
    db.session.rollback()
    return probe_key_set(request.form.get("jwks_url", "").strip())


def _fragment(key_set: KeySetReport) -> str | None:
    """Return the result alone for the script of the page; a browser without scripts gets the whole page."""
    if FRAGMENT_HEADER not in request.headers:
        return None
    return render_template("console/_key_set.html", key_set=key_set)
