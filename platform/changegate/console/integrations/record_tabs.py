"""Events and history of an integration, and its deletion."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.integrations.history import list_history
from changegate.console.integrations.pages import stale_integration
from changegate.console.integrations.tabs import DETAILS, EVENTS, HISTORY, tab_context
from changegate.console.records.list_state import page_number
from changegate.database import commit
from changegate.extensions import now
from changegate.services.integrations.integrations import delete_integration, get_integration, lock_integration
from changegate.services.oauth.event_search import REPORTED_FOR, count_would_refuse, list_events
from changegate.services.oauth.log_tables import count_live_tokens
from changegate.unproxied import current_request

SHOWN_EVENTS = 20
bp = Blueprint("integration_tabs", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)


@bp.get("/<client_id>/events")
def events_view(client_id: str) -> str:
    """Show the latest token events; raises `RecordNotFound`."""
    entity = get_integration(client_id)
    return render_template(
        "console/integration_events.html",
        **tab_context(entity, EVENTS),
        events=list_events(entity.sys_id, SHOWN_EVENTS),
        would_refuse=count_would_refuse(now() - REPORTED_FOR).get(entity.sys_id, 0),
        integrations={entity.sys_id: entity},
    )


@bp.get("/<client_id>/history")
def history_view(client_id: str) -> str:
    """Show a page of the changes, newest first; raises `RecordNotFound`."""
    entity = get_integration(client_id)
    before = page_number(current_request().args.get("before", "")) or None
    return render_template(
        "console/integration_history.html", **tab_context(entity, HISTORY), history=list_history(entity, before)
    )


@bp.get("/<client_id>/delete")
def delete_question_view(client_id: str) -> str:
    """Ask before deleting, and show what would be lost; raises `RecordNotFound`."""
    entity = get_integration(client_id)
    return render_template(
        "console/integration_delete.html",
        **tab_context(entity, DETAILS),
        tokens=count_live_tokens(entity=entity.sys_id),
    )


@bp.post("/<client_id>/delete")
def delete_view(client_id: str) -> ResponseReturnValue:
    """Delete an integration with its tokens and keys; raises `RecordNotFound`."""
    entity = lock_integration(client_id)
    if stale := stale_integration(entity):
        return stale
    name = entity.name
    delete_integration(entity, by=caller().user_name)
    commit()
    flash(f"{name} is deleted; its tokens have stopped working.")
    return redirect(url_for("inbound_integrations.list_view"), 303)
