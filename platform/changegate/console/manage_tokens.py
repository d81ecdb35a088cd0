"""Manage Tokens: the list of active tokens, and their revocation, individually or by integration."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.local_paths import local_path
from changegate.console.local_times import shown
from changegate.console.token_list import TokenList
from changegate.database import commit
from changegate.errors import RecordNotFound
from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthRefreshToken
from changegate.models.integration_choices import ID_TOKEN
from changegate.services.integrations.integrations import end_tokens, get_integration, list_integrations
from changegate.services.oauth.event_search import get_event
from changegate.services.oauth.live_refresh_tokens import search_refresh_tokens
from changegate.services.oauth.live_tokens import TOKENS_PER_PAGE, count_tokens, search_tokens
from changegate.services.oauth.refresh_tokens import end_refresh_token
from changegate.services.oauth.revocation import end_token
from changegate.services.scopes.scopes import list_scopes
from changegate.unproxied import current_request

bp = Blueprint("manage_tokens", __name__, url_prefix="/tokens")
bp.before_request(require_integration_administrator)


@bp.get("")
def list_view() -> str:
    """Show a page of the active access tokens, newest first; the first page also shows the latest refresh tokens."""
    sent = current_request()
    state = TokenList.of_arguments(sent.args)
    integrations = list_integrations()
    chosen = next((entity for entity in integrations if entity.client_id == state.integration), None)
    is_unknown = bool(state.integration) and chosen is None
    wanted_filter = state.filter(chosen.sys_id if chosen else None)
    tokens = [] if is_unknown else search_tokens(wanted_filter, TOKENS_PER_PAGE + 1, state.before or None)
    return render_template(
        "console/manage_tokens.html",
        wanted=state,
        tokens=tokens[:TOKENS_PER_PAGE],
        refresh_tokens=[] if is_unknown or state.before else search_refresh_tokens(wanted_filter),
        total=0 if is_unknown else count_tokens(wanted_filter),
        next_before=tokens[TOKENS_PER_PAGE - 1].correlation_id if len(tokens) > TOKENS_PER_PAGE else None,
        chosen=chosen,
        integrations=integrations,
        of_id_tokens={entity.client_id for entity in integrations if entity.type == ID_TOKEN},
        scopes=list_scopes(),
        here=sent.full_path.rstrip("?"),
    )


@bp.post("/<correlation_id>/revoke")
def revoke_view(correlation_id: str) -> ResponseReturnValue:
    """Revoke the token of an exchange; raises `RecordNotFound`."""
    event = get_event(correlation_id)
    if event.token_hash is None:
        raise RecordNotFound
    integration = db.session.get(OAuthEntity, event.entity)
    name = integration.name if integration else event.client_id
    was_live = end_token(correlation_id)
    commit()
    ended = "is revoked: it has stopped working" if was_live else "was already revoked"
    flash(f"The token of {name} from {shown(event.happened_at)} {ended}.")
    return _back()


@bp.post("/refresh-tokens/<correlation_id>/revoke")
def revoke_refresh_token_view(correlation_id: str) -> ResponseReturnValue:
    """Revoke the refresh token of an exchange and the access tokens issued for it; raises `RecordNotFound`."""
    row = db.session.get(OAuthRefreshToken, correlation_id)
    if row is None:
        raise RecordNotFound
    was_live = end_refresh_token(correlation_id, row.user, row.entity)
    commit()
    ended = "is revoked: it and its access tokens have stopped working" if was_live else "was already revoked"
    flash(f"The refresh token issued at {shown(row.issued_at)} {ended}.")
    return _back()


@bp.post("/integrations/<client_id>/revoke")
def revoke_all_view(client_id: str) -> ResponseReturnValue:
    """Revoke every token of an integration, including one being issued concurrently; raises `RecordNotFound`."""
    entity = get_integration(client_id)
    end_tokens(entity, by=caller().user_name)
    commit()
    flash(f"All tokens of {entity.name} are revoked: they have stopped working. The integration can get new tokens.")
    return _back()


def _back() -> ResponseReturnValue:
    return redirect(local_path(current_request().form.get("next")) or url_for("manage_tokens.list_view"))
