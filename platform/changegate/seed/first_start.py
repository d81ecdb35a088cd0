"""First-start records, which an empty database needs before the first sign-in."""

import secrets
from collections.abc import Mapping

from sqlalchemy import select
from werkzeug.security import generate_password_hash

from changegate.extensions import db
from changegate.models import ChgModel, SysUser, SysUserHasRole, SysUserRole
from changegate.models.change_request import CHANGE_TYPES
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.seed.approvals import seed_approvals
from changegate.seed.risk import seed_risk_ranges
from changegate.seed.scopes import seed_scopes
from changegate.seed.standard_changes import seed_standard_changes
from changegate.services.catalog.shipped_choices import add_shipped_choices
from changegate.services.process_documents.versions import store_versions
from changegate.services.state_models.shipped import refresh_shipped_models
from changegate.services.tables.dictionary import refresh_dictionary

ADMIN_USER_NAME = "admin"
# The sys_id of the administrator that the tests of real clients expect (docs/reference/clients.md#pysnc).
ADMIN_SYS_ID = "6816f79cc0a8016401c5a33be04be441"
ROLES: Mapping[str, str] = {
    "admin": "Everything",
    "mi_admin": "Integrations, their findings, metrics and settings; contains oauth_admin",
    "oauth_admin": "Integrations, auth scopes and tokens",
    "itil": "Read and write change requests",
    "change_manager": "Everything on change requests, deletion included; contains itil",
    "sn_change_write": "Create and update change requests",
    "sn_change_read": "Read change requests",
    "approver_user": "Decide approvals",
}


def seed_first_start(admin_password: str | None) -> str | None:
    """Add missing roles, scopes, models, policies, choices, and templates, the dictionary, and the administrator.

    Returns the administrator's password if it was generated; it cannot be read later.
    """
    roles = _seed_roles()
    seed_scopes()
    _seed_models()
    seed_approvals()
    seed_risk_ranges()
    refresh_dictionary()
    add_shipped_choices()
    seed_standard_changes()
    store_versions()
    if db.session.get(SysUser, ADMIN_SYS_ID) is not None:
        return None
    password = admin_password or secrets.token_urlsafe(12)
    admin = SysUser(
        sys_id=ADMIN_SYS_ID,
        user_name=ADMIN_USER_NAME,
        name="System Administrator",
        first_name="System",
        last_name="Administrator",
        email="admin@example.com",
        user_password=generate_password_hash(password),
    )
    db.session.add(admin)
    db.session.flush()
    db.session.add(SysUserHasRole(user=admin.sys_id, role=roles["admin"].sys_id))
    db.session.flush()
    return None if admin_password else password


def _seed_roles() -> dict[str, SysUserRole]:
    roles = {role.name: role for role in db.session.execute(select(SysUserRole)).scalars()}
    for name, description in ROLES.items():
        if name not in roles:
            roles[name] = SysUserRole(name=name, description=description)
            db.session.add(roles[name])
    db.session.flush()
    return roles


def _seed_models() -> None:
    """Add the model of each type of change, with its shipped states and transitions."""
    for change_type, sys_id in MODELS_OF_TYPES.items():
        if db.session.get(ChgModel, sys_id) is None:
            label = CHANGE_TYPES[change_type]
            model = ChgModel(sys_id=sys_id, name=label, record_preset=f"type={change_type}^EQ")
            model.description = f"Changes of the type {label}"
            model.default_change_model = change_type == "normal"
            db.session.add(model)
    db.session.flush()
    refresh_shipped_models()
