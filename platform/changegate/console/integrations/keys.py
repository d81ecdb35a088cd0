"""The keys of an integration, and the actions on them: fetch now, block, and unblock."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.integrations.key_panel import SHORT_LENGTH, key_panel
from changegate.console.integrations.pages import stale_integration
from changegate.console.integrations.tabs import KEYS, tab_context
from changegate.database import commit
from changegate.errors import JwksFetchFailed, JwksUnusable, RecordNotFound
from changegate.models import OAuthEntity
from changegate.services.integrations.authority import require_authority
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.integrations import get_integration, lock_integration
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.keys.key_store import key_store
from changegate.unproxied import current_request

bp = Blueprint("integration_keys", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.get("/<client_id>/keys")
def list_view(client_id: str) -> str:
    """Show the keys; raises `RecordNotFound`, also for a connection type without keys."""
    entity = get_integration(client_id)
    if not connection_type_of(entity).has_provider:
        raise RecordNotFound
    return render_template("console/integration_keys.html", **tab_context(entity, KEYS), key_panel=key_panel(entity))


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
    commit()
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
    commit()
    flash(f"The key {thumbprint[:SHORT_LENGTH]}… is no longer blocked.")
    return _back(client_id)


def _wanted(client_id: str) -> tuple[OAuthEntity, str]:
    return lock_integration(client_id), current_request().form.get("thumbprint", "")


def _back(client_id: str) -> ResponseReturnValue:
    return redirect(url_for("integration_keys.list_view", client_id=client_id))
