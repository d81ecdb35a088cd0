"""Inbound integrations: the list, the forms, and the record.

See docs/reference/inbound-integrations.md.
"""

from contextlib import suppress
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_integration_administrator
from changegate.console.integrations.checked_form import load_checked
from changegate.console.integrations.connection_types import OFFERS, get_connection
from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.listing import list_context
from changegate.console.integrations.pages import (
    previous_secret_until,
    render_new_page,
    render_record_page,
    stale_integration,
    stored_form,
    stored_texts,
)
from changegate.console.integrations.run_page import render_run_page, render_run_status
from changegate.console.integrations.setup_pages import BEARER, render_box
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.console.stale_forms import is_stale, list_differences
from changegate.database import commit, rollback
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import now, settings
from changegate.models import OAuthEntity
from changegate.schemas import presets
from changegate.services.hygiene.warnings import warn_of_saved
from changegate.services.integrations.authority import require_authority
from changegate.services.integrations.connection_types import connection_type_of
from changegate.services.integrations.drafts import discard_draft, get_draft
from changegate.services.integrations.integrations import get_integration, lock_integration, rotate_secret, set_active
from changegate.services.integrations.saving import change_integration, register_integration
from changegate.services.keys.key_store import key_store
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.reading.records import read_record
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

NOT_SAVED, NOT_ENABLED = "Not saved", "Not enabled"
SECRET_OVERLAPS = {"0": timedelta(0), "24": timedelta(hours=24)}
bp = Blueprint("inbound_integrations", __name__, url_prefix="/inbound-integrations")
bp.before_request(require_integration_administrator)
show_list_with("oauth_entity", "console/inbound_integrations.html", list_context)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """Show a page of the integrations, each with its latest event."""
    return list_page(get_table("oauth_entity"))


@bp.get("/by-sys-id/<sys_id>")
def by_sys_id_view(sys_id: str) -> ResponseReturnValue:
    """Redirect to the integration with a sys_id, by which other records refer to it; raises `RecordNotFound`."""
    record = read_record(get_table("oauth_entity"), caller(), sys_id, Shape("", fields=("client_id",)))
    return redirect(url_for("inbound_integrations.record_view", client_id=record["client_id"]))


@bp.get("/new")
def choose_view() -> str:
    """Show the choice of connection types."""
    return render_template("console/connection_types.html", offers=OFFERS)


@bp.get("/new/<connection_type>")
def new_view(connection_type: str) -> str:
    """Show the quick setup, or the blank form of a connection type without one; raises `RecordNotFound`."""
    connection = get_connection(connection_type)
    return render_box() if connection is BEARER else render_new_page(IntegrationForm.blank(connection))


@bp.get("/new/<connection_type>/form")
def form_view(connection_type: str) -> str:
    """Show the blank form of a connection type; raises `RecordNotFound`."""
    return render_new_page(IntegrationForm.blank(get_connection(connection_type)))


@bp.post("/new/<connection_type>")
def create_view(connection_type: str) -> ResponseReturnValue:
    """Register an integration; raises `RecordNotFound`."""
    form = IntegrationForm.of_request(current_request().form, get_connection(connection_type))
    try:
        registered = register_integration(load_checked(form), by=caller().user_name)
        require_authority(registered.entity, caller())
        if form.draft:
            _discard(form.draft)
    except InputInvalid as problem:
        rollback()
        return render_new_page(form.with_errors(problem.fields, NOT_SAVED)), problem.status
    commit()
    return _saved(registered.entity, registered.client_secret, "is registered")


@bp.get("/<client_id>")
def record_view(client_id: str) -> str:
    """Show an integration; raises `RecordNotFound`."""
    return render_record_page(get_integration(client_id))


@bp.post("/<client_id>")
def update_view(client_id: str) -> ResponseReturnValue:
    """Save an integration."""
    entity = lock_integration(client_id)
    form = IntegrationForm.of_request(current_request().form, connection_type_of(entity))
    if is_stale(entity):
        rollback()
        return render_record_page(entity, form, stale=list_differences(entity, stored_texts(entity), form.texts())), 409
    version = entity.record_version
    try:
        require_authority(entity, caller())
        changed = change_integration(entity, load_checked(form, entity), by=caller().user_name)
        require_authority(entity, caller())
    except InputInvalid as problem:
        rollback()
        return render_record_page(entity, form.at(version).with_errors(problem.fields, NOT_SAVED)), problem.status
    commit()
    return _saved(entity, changed.client_secret, "is saved" if changed.changes else "is unchanged")


@bp.get("/<client_id>/run")
def run_view(client_id: str) -> str:
    """Show what to run, and whether it has worked; raises `RecordNotFound`."""
    return render_run_page(get_integration(client_id), current_request().args.get("snippet", ""))


@bp.get("/<client_id>/run/status")
def run_status_view(client_id: str) -> str:
    """Return the status of the page *Run this* as an HTML fragment; raises `RecordNotFound`."""
    return render_run_status(get_integration(client_id))


@bp.post("/<client_id>/enable")
def enable_view(client_id: str) -> ResponseReturnValue:
    """Activate an integration."""
    entity = lock_integration(client_id)
    if stale := stale_integration(entity):
        return stale
    try:
        require_authority(entity, caller())
        set_active(entity, True, by=caller().user_name)
    except InputInvalid as problem:
        rollback()
        return render_record_page(entity, stored_form(entity).with_errors(problem.fields, NOT_ENABLED)), problem.status
    commit()
    return _saved(entity, None, "is enabled")


@bp.post("/<client_id>/disable")
def disable_view(client_id: str) -> ResponseReturnValue:
    """Deactivate an integration and end its tokens."""
    entity = lock_integration(client_id)
    if stale := stale_integration(entity):
        return stale
    set_active(entity, False, by=caller().user_name)
    commit()
    return _saved(entity, None, "is disabled; its tokens have stopped working")


@bp.post("/<client_id>/rotate-secret")
def rotate_secret_view(client_id: str) -> ResponseReturnValue:
    """Give an integration a new client secret."""
    entity = lock_integration(client_id)
    if stale := stale_integration(entity):
        return stale
    require_authority(entity, caller())
    overlap = SECRET_OVERLAPS.get(current_request().form.get("overlap_hours", ""), timedelta(0))
    secret = rotate_secret(entity, by=caller().user_name, overlap=overlap)
    commit()
    return _saved(entity, secret, "has a new client secret")


def _discard(draft_id: str) -> None:
    with suppress(RecordNotFound):
        discard_draft(get_draft(draft_id, caller().sys_id))


def _saved(entity: OAuthEntity, secret: str | None, what: str) -> ResponseReturnValue:
    """Redirect to the record; with a new secret, show it in this response, since it is not stored.

    The record shows the warnings, which depend on a fetch of the keys.
    """
    warnings = warn_of_saved([entity], key_store(), presets, now())[entity.client_id]
    if secret is not None:
        return render_template(
            "console/client_secret.html",
            entity=entity,
            secret=secret,
            what=what,
            warnings=warnings,
            previous_secret_until=previous_secret_until(entity),
            base_url=settings().base_url,
        )
    flash(f"{entity.name} {what}.")
    return redirect(url_for("inbound_integrations.record_view", client_id=entity.client_id))
