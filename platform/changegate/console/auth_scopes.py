"""Auth scopes: what each allows, which integrations use it, and what a change affects.

See docs/reference/inbound-integrations.md#auth-scopes.
"""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.carried_forms import FRAGMENT_HEADER
from changegate.console.guards import caller, require_integration_administrator
from changegate.console.scope_form import ScopeForm
from changegate.console.stale_forms import is_stale, list_differences, stale_page
from changegate.database import commit, rollback
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import SysAuthScope
from changegate.models.auth_scope import ANY, API_VERSIONS, REST_APIS, USERACCOUNT
from changegate.schemas.auth_scope import METHODS
from changegate.services.catalog import TABLES
from changegate.services.oauth.scope_reach import reach_of
from changegate.services.scopes.scopes import (
    create_scope,
    delete_scope,
    list_scopes,
    list_uses,
    lock_scope,
    update_scope,
)
from changegate.services.scopes.sentences import describe_scope
from changegate.unproxied import current_request

CHOICES = {
    "rest_apis": {name: api.label for name, api in REST_APIS.items()},
    "http_methods": {**{method: method for method in METHODS}, ANY: "All"},
    "versions": {ANY: "All", **{version: version for version in API_VERSIONS}},
}
bp = Blueprint("auth_scopes", __name__, url_prefix="/auth-scopes")
bp.before_request(require_integration_administrator)


@bp.get("")
def list_view() -> str:
    """List all scopes, each with what it allows and the number of integrations that use it."""
    uses = list_uses()
    rows = [(scope, describe_scope(scope), uses.get(scope.sys_id, [])) for scope in list_scopes()]
    return render_template("console/auth_scopes.html", rows=rows)


@bp.get("/new")
def new_view() -> str:
    """Show the form of a new scope."""
    return _page(None, ScopeForm.blank())


@bp.post("/new")
def create_view() -> ResponseReturnValue:
    """Create a scope."""
    form = ScopeForm.of_request(current_request().form)
    try:
        scope = create_scope(form.load(), by=caller().user_name)
    except InputInvalid as problem:
        rollback()
        return _page(None, form.with_errors(problem.fields)), 400
    commit()
    flash(f"{scope.name} is created. No integration has it yet.")
    return redirect(url_for("auth_scopes.record_view", sys_id=scope.sys_id))


@bp.post("/new/edit")
@bp.post("/<sys_id>/edit")
def edit_view(sys_id: str | None = None) -> str:
    """Change the form by a step without saving; raises `RecordNotFound`."""
    sent = current_request()
    scope = _get_scope(sys_id) if sys_id else None
    form = ScopeForm.of_request(sent.form).take_step(sent.form.get("step", ""))
    if FRAGMENT_HEADER in sent.headers:
        return render_template("console/_scope_form.html", **_context(scope, form))
    return _page(scope, form)


@bp.get("/<sys_id>")
def record_view(sys_id: str) -> str:
    """Show a scope; raises `RecordNotFound`."""
    scope = _get_scope(sys_id)
    return _page(scope, ScopeForm.of_scope(scope))


@bp.post("/<sys_id>")
def update_view(sys_id: str) -> ResponseReturnValue:
    """Change a scope, for the integrations that use it and their active tokens; raises `RecordNotFound`."""
    scope = lock_scope(sys_id=sys_id)
    form = ScopeForm.of_request(current_request().form)
    if is_stale(scope):
        rollback()
        return _page(scope, form, stale=list_differences(scope, _stored_texts(scope), form.texts())), 409
    version = scope.record_version
    try:
        changes = update_scope(scope, form.load(), by=caller().user_name)
    except InputInvalid as problem:
        rollback()
        return _page(scope, form.at(version).with_errors(problem.fields)), 400
    commit()
    flash(f"{scope.name} is saved." if changes else f"{scope.name} is unchanged.")
    return redirect(url_for("auth_scopes.record_view", sys_id=sys_id))


@bp.post("/<sys_id>/delete")
def delete_view(sys_id: str) -> ResponseReturnValue:
    """Delete a scope that no integration uses; raises `RecordNotFound`."""
    scope = lock_scope(sys_id=sys_id)
    name, back = scope.name, url_for("auth_scopes.record_view", sys_id=sys_id)
    if stale := stale_page(scope, name, _stored_texts(scope), back):
        return stale
    try:
        delete_scope(scope)
    except InputInvalid as problem:
        rollback()
        flash(f"{name} is not deleted. {' '.join(problem.fields['name'])}", "danger")
        return redirect(back)
    commit()
    flash(f"{name} is deleted.")
    return redirect(url_for("auth_scopes.list_view"))


def _get_scope(sys_id: str) -> SysAuthScope:
    scope = db.session.get(SysAuthScope, sys_id)
    if scope is None:
        raise RecordNotFound
    return scope


def _stored_texts(scope: SysAuthScope) -> dict[str, str]:
    return ScopeForm.of_scope(scope).texts()


def _page(scope: SysAuthScope | None, form: ScopeForm, **results: Any) -> str:
    return render_template("console/auth_scope.html", **_context(scope, form), **results)


def _context(scope: SysAuthScope | None, form: ScopeForm) -> dict[str, Any]:
    return {
        "scope": scope,
        "form": form,
        "allows": describe_scope(scope) if scope else None,
        "reach": reach_of(scope),
        "is_built_in": scope is not None and scope.sys_id == USERACCOUNT,
        "tables": sorted(TABLES),
        **CHOICES,
    }
