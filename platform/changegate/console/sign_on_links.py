"""Preferences: the accounts at identity providers that a user signs in with."""

from types import SimpleNamespace

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.guards import caller, require_login
from changegate.console.single_sign_on import leave_for
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.single_sign_on.people import list_identities
from changegate.services.single_sign_on.providers import list_active
from changegate.services.users.accounts import confirm_password
from changegate.unproxied import current_request

bp = Blueprint("sign_on_links", __name__, url_prefix="/preferences/single-sign-on")
bp.before_request(require_login)


@bp.get("")
def list_view() -> str:
    """List the linked accounts, and the providers to link one of."""
    return _page({})


@bp.post("")
def link_view() -> ResponseReturnValue:
    """Go to a provider to link the account there, after the user has entered their password."""
    sent = current_request()
    alias = sent.form.get("provider", "")
    if alias not in {provider.alias for provider in list_active()}:
        raise RecordNotFound
    user = db.session.get_one(SysUser, caller().sys_id)
    try:
        confirm_password(user, sent.form.get("current_password", ""), sent.remote_addr or "")
    except InputInvalid as problem:
        return _page(problem.fields), 400
    return leave_for(alias, None, user.sys_id)


def _page(errors: dict[str, list[str]]) -> str:
    identities = list_identities(caller().sys_id)
    providers = list_active()
    names = {provider.issuer: provider.name for provider in providers}
    linked = [(names[found.issuer], found.subject) for found in identities if found.issuer in names]
    issuers = {found.issuer for found in identities}
    choices = {provider.alias: provider.name for provider in providers if provider.issuer not in issuers}
    form = SimpleNamespace(values={"provider": "", "current_password": ""}, errors=errors, notices={})
    return render_template("console/sign_on_links.html", linked=linked, choices=choices, form=form)
