"""The admin API of auth scopes, in JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response

from changegate.api.auth import caller, require_integration_administrator
from changegate.api.envelopes import empty_response, result_response
from changegate.api.preconditions import etag, require_unchanged
from changegate.api.request_body import read_object
from changegate.database import commit
from changegate.errors import InputInvalid
from changegate.extensions import settings
from changegate.models import SysAuthScope
from changegate.schemas.auth_scope import load_scope, load_scope_change
from changegate.services.scopes.scopes import (
    create_scope,
    delete_scope,
    fields_of_scope,
    get_scope,
    list_scopes,
    list_uses,
    lock_scope,
    update_scope,
)
from changegate.services.scopes.sentences import describe_scope

PREFIX = "/api/now/oauth/scopes"
# Derived fields, which are ignored in a body.
DERIVED = ("allows", "used_by")
bp = Blueprint("scopes", __name__, url_prefix=PREFIX)
bp.before_request(require_integration_administrator)


@bp.get("")
def list_view() -> Response:
    """Return all scopes, by name."""
    uses = list_uses()
    return result_response([_shown(scope, uses.get(scope.sys_id, ())) for scope in list_scopes()])


@bp.post("")
def create_view() -> Response:
    """Create a scope."""
    scope = create_scope(load_scope(_given(read_object(), None)), by=caller().user_name)
    commit()
    return result_response(
        _shown(scope), 201, {"Location": f"{settings().base_url}{PREFIX}/{scope.name}"} | etag(scope.record_version)
    )


@bp.get("/<name>")
def read_view(name: str) -> Response:
    """Return a scope."""
    return _one(get_scope(name))


@bp.patch("/<name>")
def change_view(name: str) -> Response:
    """Change the given fields, with effect on every integration that has the scope and on its active tokens."""
    sent = read_object()
    scope = _to_change(name, is_version_required=True)
    return _saved(scope, load_scope_change(_given(sent, scope), fields_of_scope(scope)))


@bp.put("/<name>")
def replace_view(name: str) -> Response:
    """Replace a scope; without rules it allows nothing."""
    sent = read_object()
    scope = _to_change(name, is_version_required=True)
    return _saved(scope, load_scope(_given(sent, scope)))


@bp.delete("/<name>")
def delete_view(name: str) -> Response:
    """Delete a scope that no integration uses."""
    delete_scope(_to_change(name))
    commit()
    return empty_response(204)


def _to_change(name: str, *, is_version_required: bool = False) -> SysAuthScope:
    """Return a scope, locked. Read the body before: a slow client must not hold the lock."""
    scope = lock_scope(name=name)
    require_unchanged(scope, is_required=is_version_required)
    return scope


def _given(sent: Mapping[str, Any], scope: SysAuthScope | None) -> dict[str, Any]:
    """Return the fields to write from a body; read-only fields may be sent back unchanged."""
    if "sys_id" in sent and (scope is None or sent["sys_id"] != scope.sys_id):
        raise InputInvalid({"sys_id": ["This field is read-only."]})
    return {name: value for name, value in sent.items() if name not in ("sys_id", *DERIVED)}


def _saved(scope: SysAuthScope, fields: Mapping[str, Any]) -> Response:
    update_scope(scope, fields, by=caller().user_name)
    commit()
    return _one(scope)


def _one(scope: SysAuthScope) -> Response:
    shown = _shown(scope, list_uses().get(scope.sys_id, ()))
    return result_response(shown, headers=etag(scope.record_version))


def _shown(scope: SysAuthScope, uses: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    used_by = [{"client_id": client_id, "name": name} for client_id, name in uses]
    return {"sys_id": scope.sys_id, **fields_of_scope(scope), "allows": describe_scope(scope), "used_by": used_by}
