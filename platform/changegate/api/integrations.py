"""The admin API of inbound integrations: the actions of the console's form, in JSON."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response
from marshmallow import ValidationError

from changegate.api.auth import caller, require_integration_administrator
from changegate.api.envelopes import empty_response, result_response
from changegate.api.preconditions import etag, require_unchanged
from changegate.api.request_body import read_object
from changegate.database import commit, rollback
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import now, settings
from changegate.models import OAuthEntity
from changegate.schemas import presets
from changegate.schemas.event_query import load_event_query
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration.cautions import list_cautions
from changegate.schemas.integration_calls import SecretRotationSchema, TrialRequestSchema
from changegate.schemas.integration_input import load_change, load_integration, load_replacement
from changegate.schemas.integration_views import EventSchema, KeyReportSchema, TrialSchema
from changegate.services.hygiene.warnings import warn_of_saved
from changegate.services.integrations.authority import require_authority
from changegate.services.integrations.dry_run import try_assertion
from changegate.services.integrations.event_pages import find_events
from changegate.services.integrations.input_completion import complete_input
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import (
    delete_integration,
    get_integration,
    list_integrations,
    lock_integration,
    rotate_secret,
    set_active,
)
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.integrations.key_report import report_keys
from changegate.services.integrations.saving import change_integration, register_integration
from changegate.services.keys.key_store import key_store
from changegate.unproxied import current_request

ADMIN_PREFIX = "/api/now/oauth"
READ_ONLY = ("sys_id", "client_id")
CLIENT_ID = re.compile(r"[0-9a-f]{32}\Z")
bp = Blueprint("integrations", __name__, url_prefix=ADMIN_PREFIX)
bp.before_request(require_integration_administrator)


@bp.get("/integrations")
def list_view() -> Response:
    """Return all integrations, by name."""
    return result_response([_shown(entity) for entity in list_integrations()])


@bp.post("/integrations")
def create_view() -> Response:
    """Register an integration; only this response contains its secret."""
    given = read_object()
    _require_unchanged(given, {})
    # End the transaction of the guard: none may stay open during a fetch from an identity provider.
    rollback()
    completed = complete_input(given, key_store(), presets)
    made = register_integration(load_integration(completed.given), by=caller().user_name)
    require_authority(made.entity, caller())
    commit()
    warnings = completed.warnings + _warnings(made.entity)
    location = f"{settings().base_url}{ADMIN_PREFIX}/integrations/{made.entity.client_id}"
    shown = _shown(made.entity) | {"client_secret": made.client_secret}
    headers = {"Location": location} | etag(made.entity.record_version)
    return result_response(shown, 201, headers, warnings=warnings)


@bp.get("/integrations/<client_id>")
def read_view(client_id: str) -> Response:
    """Return an integration."""
    return _answer(_wanted(client_id))


@bp.patch("/integrations/<client_id>")
def change_view(client_id: str) -> Response:
    """Change the given fields."""
    given = read_object()
    entity = _to_edit(client_id, is_version_required=True)
    return _saved(entity, load_change(_changes(entity, given), fields_of(entity)))


@bp.put("/integrations/<client_id>")
def replace_view(client_id: str) -> Response:
    """Replace an integration; fields that are not given get their defaults."""
    given = read_object()
    entity = _to_edit(client_id, is_version_required=True)
    return _saved(entity, load_replacement(_changes(entity, given), fields_of(entity)))


@bp.delete("/integrations/<client_id>")
def delete_view(client_id: str) -> Response:
    """Delete an integration, its keys, and its tokens."""
    delete_integration(_to_change(client_id), by=caller().user_name)
    commit()
    return empty_response(204)


@bp.post("/integrations/<client_id>/rotate-secret")
def rotate_view(client_id: str) -> Response:
    """Give an integration a new secret; only this response contains it."""
    overlap = timedelta(hours=_load(SecretRotationSchema())["overlap_hours"])
    entity = _to_edit(client_id)
    secret = rotate_secret(entity, by=caller().user_name, overlap=overlap)
    commit()
    return result_response({"client_id": client_id, "client_secret": secret})


@bp.post("/integrations/<client_id>/enable")
def enable_view(client_id: str) -> Response:
    """Activate an integration."""
    return _switched(client_id, is_active=True)


@bp.post("/integrations/<client_id>/disable")
def disable_view(client_id: str) -> Response:
    """Deactivate an integration and end its tokens."""
    return _switched(client_id, is_active=False)


@bp.get("/integrations/<client_id>/keys")
def keys_view(client_id: str) -> Response:
    """Return the key timeline of an integration."""
    return _keys(_wanted(client_id))


@bp.post("/integrations/<client_id>/refresh-keys")
def refresh_view(client_id: str) -> Response:
    """Fetch the keys now; if that fails, the stored keys stay."""
    entity = _wanted(client_id)
    refresh_keys(entity, key_store())
    # The key store writes in a transaction of its own. End ours, which cannot see that write.
    commit()
    return _keys(entity)


@bp.post("/integrations/<client_id>/keys/<thumbprint>/block")
def block_view(client_id: str, thumbprint: str) -> Response:
    """Block a key and end the tokens of its integration."""
    entity = _to_change(client_id)
    block_key(entity, thumbprint, by=caller().user_name)
    commit()
    return _keys(entity)


@bp.post("/integrations/<client_id>/keys/<thumbprint>/unblock")
def unblock_view(client_id: str, thumbprint: str) -> Response:
    """Unblock a key."""
    entity = _to_edit(client_id)
    unblock_key(entity, thumbprint, by=caller().user_name)
    commit()
    return _keys(entity)


@bp.post("/integrations/<client_id>/try")
def try_view(client_id: str) -> Response:
    """Check an assertion rule by rule, without recording it as used."""
    entity = _wanted(client_id)
    text = _load(TrialRequestSchema())["assertion"]
    run = try_assertion(fields_of(entity), text, key_store(), entity)
    return result_response(TrialSchema().dump(run))


@bp.get("/events")
def events_view() -> Response:
    """Return a page of token events, newest first; the Link header has the URL of the next page."""
    asked = load_event_query(current_request().args.to_dict())
    page = find_events(asked)
    return result_response(EventSchema(many=True).dump(page.events), headers=_link(page.next_before))


def _wanted(client_id: str) -> OAuthEntity:
    return get_integration(_readable(client_id))


def _to_change(client_id: str, *, is_version_required: bool = False) -> OAuthEntity:
    """Return an integration, locked. Read the body before: a slow client must not hold the lock."""
    entity = lock_integration(_readable(client_id))
    require_unchanged(entity, is_required=is_version_required)
    return entity


def _readable(client_id: str) -> str:
    if not CLIENT_ID.match(client_id):
        raise RecordNotFound
    return client_id


def _answer(entity: OAuthEntity, more: dict[str, Any] | None = None, **beside: Any) -> Response:
    return result_response(_shown(entity) | (more or {}), headers=etag(entity.record_version), **beside)


def _to_edit(client_id: str, *, is_version_required: bool = False) -> OAuthEntity:
    entity = _to_change(client_id, is_version_required=is_version_required)
    require_authority(entity, caller())
    return entity


def _warnings(entity: OAuthEntity) -> list[str]:
    """Return warnings about an integration that was just saved; fetches its keys if they were never fetched."""
    warnings = warn_of_saved([entity], key_store(), presets, now())[entity.client_id]
    return list_cautions(fields_of(entity), is_password_grant_on=settings().password_grant_enabled) + warnings


def _shown(entity: OAuthEntity) -> dict[str, Any]:
    return {"sys_id": entity.sys_id, "client_id": entity.client_id, **fields_of(entity)}


def _changes(entity: OAuthEntity, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to write from a body; read-only fields may be sent back unchanged."""
    _require_unchanged(given, {"sys_id": entity.sys_id, "client_id": entity.client_id})
    return {name: value for name, value in given.items() if name not in READ_ONLY}


def _require_unchanged(given: Mapping[str, Any], known: Mapping[str, str]) -> None:
    changed = [name for name in READ_ONLY if name in given and given[name] != known.get(name)]
    if changed:
        raise InputInvalid({name: ["This field is read-only."] for name in changed})


def _saved(entity: OAuthEntity, fields: dict[str, Any]) -> Response:
    changed = change_integration(entity, fields, by=caller().user_name)
    require_authority(entity, caller())
    commit()
    secret = {"client_secret": changed.client_secret} if changed.client_secret else {}
    warnings = _warnings(entity)
    return _answer(entity, secret, warnings=warnings)


def _switched(client_id: str, *, is_active: bool) -> Response:
    entity = _to_edit(client_id) if is_active else _to_change(client_id)
    set_active(entity, is_active, by=caller().user_name)
    commit()
    warnings = _warnings(entity)
    return _answer(entity, warnings=warnings)


def _keys(entity: OAuthEntity) -> Response:
    return result_response(KeyReportSchema().dump(report_keys(entity)))


def _load(schema: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(read_object())
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    return loaded


def _link(next_before: str | None) -> dict[str, str]:
    if next_before is None:
        return {}
    query = urlencode({**current_request().args.to_dict(), "before": next_before})
    return {"Link": f'<{settings().base_url}{ADMIN_PREFIX}/events?{query}>;rel="next"'}
