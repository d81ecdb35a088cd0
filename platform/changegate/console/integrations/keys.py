"""Actions on the keys of an integration: fetch now, block, and unblock."""

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.integrations.pages import stale_integration
from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.services.integrations.authority import require_authority
from changegate.services.integrations.integrations import get_integration, lock_integration
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.keys.key_store import key_store

SHORT_LENGTH = 12
bp = Blueprint("integration_keys", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.post("/<client_id>/refresh-keys")
def refresh_view(client_id: str) -> ResponseReturnValue:
    """Fetch the keys now; if that fails, the stored keys stay. Raises `RecordNotFound`."""
    entity = get_integration(client_id)
    try:
        fetched = refresh_keys(entity, key_store())
    except (JwksFetchFailed, JwksUnusable) as problem:
        flash(f"The keys could not be fetched. {problem.message}", "danger")
    else:
        count = len(fetched.key_set.keys)
        flash(f"The keys were fetched: {count} usable {'key' if count == 1 else 'keys'}.")
    return _back(client_id)


@bp.post("/<client_id>/block-key")
def block_view(client_id: str) -> ResponseReturnValue:
    """Block a key and end the tokens of the integration; raises `RecordNotFound` and `InputInvalid`."""
    entity, thumbprint = _wanted(client_id)
    if stale := stale_integration(entity):
        return stale
    block_key(entity, thumbprint, by=caller().user_name)
    db.session.commit()
    flash(f"The key {thumbprint[:SHORT_LENGTH]}… is blocked, and the tokens of {entity.name} have stopped working.")
    return _back(client_id)


@bp.post("/<client_id>/unblock-key")
def unblock_view(client_id: str) -> ResponseReturnValue:
    """Unblock a key; raises `RecordNotFound`."""
    entity, thumbprint = _wanted(client_id)
    if stale := stale_integration(entity):
        return stale
    require_authority(entity, caller())
    unblock_key(entity, thumbprint, by=caller().user_name)
    db.session.commit()
    flash(f"The key {thumbprint[:SHORT_LENGTH]}… is no longer blocked.")
    return _back(client_id)


def _wanted(client_id: str) -> tuple[OAuthEntity, str]:
    return lock_integration(client_id), request.form.get("thumbprint", "")


def _back(client_id: str) -> ResponseReturnValue:
    return redirect(url_for("inbound_integrations.record_view", client_id=client_id, _anchor="keys"))
