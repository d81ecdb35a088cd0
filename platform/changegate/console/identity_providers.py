"""The check of an identity provider for single sign-on, beside its record (docs/single-sign-on.md)."""

from flask import Blueprint, flash, redirect
from flask.typing import ResponseReturnValue

from changegate.console.guards import require_administrator
from changegate.console.records.extensions import Extension
from changegate.console.records.pages import list_url, record_url
from changegate.models.sign_on import PROVIDERS
from changegate.services.single_sign_on.failures import SignOnFailed
from changegate.services.single_sign_on.metadata import get_metadata
from changegate.services.single_sign_on.providers import get_provider, redirect_uri_of

# What the page of a provider shows besides the fields.
PAGE = Extension(
    "console/identity_provider.html",
    lambda _, record: {"redirect_uri": redirect_uri_of(record["alias"]["value"])},
)
bp = Blueprint("identity_providers", __name__, url_prefix="/identity-providers")
bp.before_request(require_administrator)


@bp.post("/<alias>/check")
def check_view(alias: str) -> ResponseReturnValue:
    """Read the metadata of a provider's issuer, and show it."""
    provider = get_provider(alias, active_only=False)
    try:
        metadata = get_metadata(provider.issuer, is_fresh=True)
    except SignOnFailed as refusal:
        flash(f"The provider cannot be used. {refusal.detail}", "danger")
    else:
        flash(f"The metadata was read. People sign in at {metadata.authorization_endpoint}.")
    return redirect(record_url(PROVIDERS, provider.sys_id) or list_url(PROVIDERS))
